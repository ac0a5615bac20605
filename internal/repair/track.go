package repair

import (
	"context"
	"fmt"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// walkMost is how many samples a walk takes at most on either side.
const walkMost = 24

// The elements of the float network's results that are compared with are as many as take sampleBytes, of all layers. Of those,
// the ones of the layers that come next are kept, which take wantBytes, or a share of what the samples feed where that is
// more: the float network runs again for the next ones. What a piece of either network leaves is kept up to as much, and
// computed again beyond that.
const (
	sampleBytes = 64 << 20
	wantBytes   = 8 << 20
	fedShare    = 4
)

// betweenBytes is what may be kept of all samples between two pieces of a network.
func betweenBytes(samples []calib.Inputs) int {
	if len(samples) == 0 {
		return wantBytes
	}
	in := samples[0]()
	defer tensor.Recycle(in)
	return max(wantBytes, len(samples)*int(bytesOf(in))/fedShare)
}

// head returns the first n of a list, or all.
func head[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// A track follows the layers of a network, one after the other, through its quantized form, with
// elements of what each yields in float to compare with.
type track struct {
	job       *Job
	out       *Outcome
	origin    *graph.Model // the float network as it was
	fit, held []calib.Inputs
	walk      *walk
	plain     *tour                  // of the float network
	known     int                    // pieces of walk whose layers' results in float were kept
	layers    map[*graph.Node]*layer // by the node of the quantized network
	want      []map[string]seen      // by sample and layer; of the layers that come next
	per, most int                    // elements of each channel kept of each sample; no more than most, unless it is 0
	bytes     int                    // what they may take; 0 for as much as wantBytes and fedShare allow
	few       int                    // layers of which too little is seen
	fallen    int                    // layers whose solver fell back
}

// A seen is what a layer yields for a sample: the shape, and elements of each channel (C,per).
type seen struct {
	shape []int
	x     []float32
}

// like says whether t lies element by element beside what was seen. It may not where the network computes its own
// sizes, such as durations, from values that the quantization changes.
func (s *seen) like(t *tensor.Tensor) bool { return s.shape != nil && slices.Equal(s.shape, t.Shape) }

func newTrack(j *Job) *track {
	return &track{job: j, out: &Outcome{}, fit: head(j.Fit, walkMost), held: head(j.Held, walkMost)}
}

// start quantizes the network and cuts it behind the layers.
func (c *track) start(ctx context.Context, pick func(l *layer) bool) error {
	j := c.job
	p := *j.Plan
	if p.Mode == plan.Dynamic { // activations quantized as they come differ little from float ones
		p.Mode = plan.Weights
	}
	quant := pass.Clone(j.Net)
	c.layers = map[*graph.Node]*layer{}
	for name, l := range findLayers(j.Net.Graph, j.Plan) {
		for _, n := range quant.Graph.Nodes {
			if plan.NodeName(n) == name && pick(l) {
				c.layers[n] = l
			}
		}
	}
	if err := pass.Quantize(quant, &p, "qdq"); err != nil {
		return err
	}
	samples := slices.Concat(c.fit, c.held)
	c.origin = j.origin()
	channels := 0
	for _, l := range c.layers {
		channels += c.channels(l)
	}
	if c.per = c.most; c.per == 0 {
		c.per = max(8, sampleBytes/(4*max(1, channels*len(samples))))
	}
	if c.bytes == 0 {
		c.bytes = betweenBytes(samples)
	}
	ends := map[string]bool{}
	for _, l := range c.layers {
		ends[l.name] = true
	}
	c.plain = newTour(j, c.origin, samples, c.bytes, func(n *graph.Node) bool { return ends[plan.NodeName(n)] })
	c.walk = newWalk(j, quant, samples)
	c.walk.most = c.bytes
	c.walk.cut(func(n *graph.Node) string {
		if c.layers[n] == nil {
			return ""
		}
		return c.walk.codes(n)
	})
	c.want = make([]map[string]seen, len(samples))
	for i := range c.want {
		c.want[i] = map[string]seen{}
	}
	return nil
}

// each runs the pieces of the quantized network in turn. do runs one with a layer; where that
// changes the layer, the piece is run again.
func (c *track) each(ctx context.Context, do func(ctx context.Context, p *piece, l *layer, want []seen) (left []map[string]*tensor.Tensor, changed bool, err error)) error {
	for k := range c.walk.pieces {
		p := c.walk.from(k)
		var left []map[string]*tensor.Tensor
		again := true
		var err error
		if p.layer != nil {
			l := c.layers[p.layer]
			made, err := c.recorder(p).once(l.name, []*layer{l}, func() (bool, error) {
				want, err := c.wanted(ctx, k, l)
				if err == nil {
					left, again, err = do(ctx, p, l, want)
				}
				return again, err
			})
			if err == nil && made != nil && !made.Stale {
				again = false
				left, err = made.left(ctx, c.walk, p)
			}
			if err != nil {
				return err
			}
		}
		if again { // with the layer as it was
			drop(left)
			left = nil
		}
		if again && !p.large && k+1 < len(c.walk.pieces) {
			if left, err = c.walk.run(ctx, p, nil, nil); err != nil {
				return err
			}
		}
		c.walk.leave(k, left)
		c.job.progress(k+1, len(c.walk.pieces))
	}
	return nil
}

// wanted hands out what the layer of piece k yields in float.
func (c *track) wanted(ctx context.Context, k int, l *layer) ([]seen, error) {
	if err := c.float(ctx, k); err != nil {
		return nil, err
	}
	want := make([]seen, len(c.want))
	for i, w := range c.want {
		want[i] = w[l.name]
		delete(w, l.name)
	}
	return want, nil
}

// recorder keeps what is done to the layer of a piece.
func (c *track) recorder(p *piece) *recorder {
	return &recorder{job: c.job, out: c.out, walk: c.walk, counts: []*int{&c.few, &c.fallen}, node: func(*layer) *graph.Node { return p.layer }}
}

// float runs the float network as far as the layer of piece k, unless it did so before, and keeps the elements that are
// compared of that layer and of those around it, as many as may be kept.
func (c *track) float(ctx context.Context, k int) error {
	for c.known <= k {
		from, to := around(c.known, len(c.walk.pieces), c.bytes, func(i int) int {
			if l := c.layers[c.walk.pieces[i].layer]; l != nil {
				return 4 * c.per * c.channels(l) * len(c.want)
			}
			return 0
		})
		if err := c.floats(ctx, c.walk.pieces[from:to], k < to); err != nil {
			return err
		}
		c.known = to
	}
	return nil
}

// floats runs the part of the float network that ends with the layers of some pieces, and keeps elements of these if
// they are wanted.
func (c *track) floats(ctx context.Context, pieces []*piece, keep bool) error {
	byValue := map[string]*layer{}
	var watch []string
	for _, p := range pieces {
		if l := c.layers[p.layer]; l != nil {
			watch = append(watch, l.node.Out[0])
			byValue[l.node.Out[0]] = l
		}
	}
	return c.plain.show(ctx, watch, func(i int, value string, t *tensor.Tensor) {
		if l := byValue[value]; l != nil && keep {
			c.want[i][l.name] = seen{slices.Clone(t.Shape), spread(t, l.axis, c.per)}
		}
	})
}

// around returns the run of numbers below n around k when these are split, from the first on, into runs whose sizes add
// up to no more than most. The last bits of what a network yields may depend on which values are watched: so what is watched
// together must not depend on where work was taken up.
func around(k, n, most int, size func(i int) int) (from, to int) {
	for to <= k {
		from = to
		for sum := 0; to < n; to++ {
			if sum += size(to); to > from && sum > most {
				break
			}
		}
	}
	return from, to
}

// channels is how many output channels a layer has.
func (c *track) channels(l *layer) int {
	return max(1, outputs(l.node, c.job.Net.Graph.ConstTensor(l.node.In[l.weight])))
}

// setConst puts a new constant into the quantized network: operand in of a node, which the plan
// calls as.
func (w *walk) setConst(n *graph.Node, in int, as string, t *tensor.Tensor, p *plan.Plan) error {
	g := w.net.Graph
	name := n.In[in]
	v := p.Value(as)
	if v == nil { // in float
		g.SetConst(name, t)
		return nil
	}
	dq := g.Index().Producer(name)
	if dq == nil {
		return fmt.Errorf("%q is not stored in codes", name)
	}
	if dq.Op != "DequantizeLinear" || g.Const(dq.In[0]) == nil { // of other forms, the numbers themselves do
		n.In[in] = name + "_repaired"
		g.SetConst(n.In[in], t)
		return nil
	}
	codes, err := pass.Encode(t, v)
	if err == nil {
		g.SetConst(dq.In[0], codes)
		w.setScale(dq, v)
	}
	return err
}

// setOffset changes the constant that moves each channel of layer n of the quantized network.
func (w *walk) setOffset(n *graph.Node, l *layer, t *tensor.Tensor, p *plan.Plan) error {
	if l.bias > 0 {
		return w.setConst(n, l.bias, l.as, t, p)
	}
	return w.setConst(w.net.Graph.Index().OnlyUse(n.Out[0]), l.added, l.as, t, p)
}

// setScale puts the scales of a value into the DequantizeLinear that decodes it.
func (w *walk) setScale(dq *graph.Node, v *plan.Value) {
	old := w.net.Graph.ConstTensor(dq.In[1])
	if old == nil || old.DType != tensor.Float32 || old.Len() != len(v.Params) {
		return
	}
	s := make([]float32, len(v.Params))
	for i, p := range v.Params {
		s[i] = p.Scale
	}
	w.net.Graph.SetConst(dq.In[1], tensor.Float32s(s, old.Shape...))
}
