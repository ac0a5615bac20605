package repair

import (
	"context"
	"fmt"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// BRECQ learns the rounding of the layers of a section together, against what the section yields in
// float, behind sections that are quantized and learnt already (Li et al., BRECQ, 2021; the rounding is
// AdaRound's). It begins at the weights as they are: those of AdaRound, where that went before.
var BRECQ = &Repair{
	Name: "brecq", Doc: "learn the rounding of neighbouring layers together, for the sake of their section's result", Stage: After, Data: true, Many: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return newLearner(j).run(ctx) },
}

const (
	learnSteps = 400     // of one section
	learnWarm  = 0.2     // share of them without a pull to the marks
	learnRate  = 0.03    // of the rounding
	biasRate   = 0.001   // of a bias, as a share of its size
	betaFrom   = 20      // exponent of the pull
	betaTo     = 2       // which falls by a cosine
	pullShare  = 10      // of the pull, as a multiple of the size that gradients had in the warm-up
	batchMost  = 32      // samples of one step
	batchCells = 6 << 20 // numbers that a step computes
	lanes      = 4       // parts of a batch, whatever the number of threads
	learnBytes = 256 << 20
)

// A learner learns one section after the other.
type learner struct {
	job      *Job
	out      *Outcome
	origin   *graph.Model
	samples  []calib.Inputs
	fit      int // of the samples; the rest judge
	fences   map[string]*plan.Value
	x        *graph.Index
	walk     *walk
	nodes    map[*graph.Node]*graph.Node // those of the quantized network
	sections []*section
	plain    *tour                       // of the float network
	known    int                         // sections whose results in float were seen
	bySample []map[string]*tensor.Tensor // what sections yield in float, channels last
	left     int                         // sections that keep their weights
}

func newLearner(j *Job) *learner {
	return &learner{job: j, out: &Outcome{}, origin: j.origin(), samples: slices.Concat(j.Fit, j.Held), fit: len(j.Fit), x: j.Net.Graph.Index()}
}

func (r *learner) run(ctx context.Context) (*Outcome, error) {
	j := r.job
	if r.fit == 0 {
		return &Outcome{Note: "it needs samples"}, nil
	}
	p := *j.Plan
	if p.Mode == plan.Dynamic {
		p.Mode = plan.Weights
	}
	quant := pass.Clone(j.Net)
	r.nodes = map[*graph.Node]*graph.Node{}
	for i, n := range j.Net.Graph.Nodes {
		r.nodes[n] = quant.Graph.Nodes[i]
	}
	if err := pass.Quantize(quant, &p, "qdq"); err != nil {
		return nil, err
	}
	r.fences = fencesOf(j.Net.Graph, &p)
	r.cut()
	r.walk = newWalk(j, quant, r.samples)
	r.walk.cut(r.ends())
	outs := map[string]bool{}
	for _, s := range r.sections {
		outs[s.out] = true
	}
	r.plain = newTour(j, r.origin, r.samples, max(betweenBytes(r.samples), learnBytes/fedShare), func(n *graph.Node) bool { return outs[n.Out[0]] })
	for range r.samples {
		r.bySample = append(r.bySample, map[string]*tensor.Tensor{})
	}
	if err := r.each(ctx); err != nil {
		return nil, err
	}
	switch {
	case len(r.sections) == 0:
		r.out.Note = "no section of layers can be learnt"
	case len(r.out.Changes) == 0:
		r.out.Note = "no section errs less on samples held back than with the weights it had"
	case r.left > 0:
		r.out.Note = fmt.Sprintf("%d of %d sections keep the weights they had, which err less on samples held back", r.left, len(r.sections))
	}
	return r.out, nil
}

// cut finds the sections whose layers can be learnt.
func (r *learner) cut() {
	g := r.job.Net.Graph
	byNode := map[*graph.Node]*layer{}
	for _, l := range findLayers(g, r.job.Plan) {
		if len(r.x.Uses(l.node.In[l.weight])) == 1 {
			byNode[l.node] = l
		}
	}
	c := &cutter{g: g, x: r.x, layers: byNode}
	r.sections = c.sections()
}

// ends returns where the pieces of a walk end: at the inputs and results of sections.
func (r *learner) ends() func(n *graph.Node) string {
	all := map[string]bool{}
	for _, s := range r.sections {
		all[s.in], all[s.out] = true, true
	}
	x := r.walk.net.Graph.Index()
	return func(n *graph.Node) string {
		if !all[n.Out[0]] {
			return ""
		}
		if u := x.OnlyUse(n.Out[0]); u != nil && u.Op == "QuantizeLinear" {
			return u.Out[0]
		}
		return n.Out[0]
	}
}

// each runs the pieces of the quantized network in turn, each after its section is learnt.
func (r *learner) each(ctx context.Context) error {
	byOut := map[string]int{}
	for i, s := range r.sections {
		byOut[s.out] = i
	}
	for k, p := range r.walk.pieces {
		if p.layer != nil {
			if i, ok := byOut[p.layer.Out[0]]; ok {
				if err := r.learn(ctx, i, p); err != nil {
					return err
				}
				r.job.progress(i+1, len(r.sections))
			}
		}
		left, err := r.walk.run(ctx, p, nil, nil)
		if err != nil {
			return err
		}
		r.walk.leave(k, left)
	}
	return nil
}

// float runs the float network as far as section k, unless it did so before, and keeps the results of it and
// of those around it, as many as may be kept.
func (r *learner) float(ctx context.Context, k int) error {
	for r.known <= k {
		from, to := around(r.known, len(r.sections), learnBytes, func(i int) int {
			shape, ok := r.job.Facts[r.sections[i].out].Static()
			if !ok {
				return learnBytes + 1
			}
			return 4 * len(r.samples) * tensor.Elements(shape)
		})
		for _, own := range r.bySample {
			clear(own)
		}
		spatial := map[string]bool{}
		var watch []string
		for _, s := range r.sections[from:to] {
			watch = append(watch, s.out)
			spatial[s.out] = s.spatial()
		}
		err := r.plain.show(ctx, watch, func(i int, value string, t *tensor.Tensor) {
			if sp, ok := spatial[value]; ok && k < to {
				r.bySample[i][value] = r.channelsLast(t, sp)
			}
		})
		if err != nil {
			return err
		}
		r.known = to
	}
	return nil
}

// channelsLast copies a tensor as (pixels,channels).
func (r *learner) channelsLast(t *tensor.Tensor, spatial bool) *tensor.Tensor {
	c, ok := cellFor(t.Shape, spatial)
	y := tensor.New(tensor.Float32, t.Shape...)
	if !ok || c.last || c.pixels() == 1 {
		copy(tensor.Of[float32](y), tensor.Of[float32](t))
		return y
	}
	kernel.Transpose(r.job.Level, tensor.Of[float32](y), tensor.Of[float32](t), 1, c.c, c.pixels())
	return y
}

// learn learns section k, which piece p of the quantized network computes.
func (r *learner) learn(ctx context.Context, k int, p *piece) error {
	rec := &recorder{job: r.job, out: r.out, walk: r.walk, counts: []*int{&r.left}, node: func(l *layer) *graph.Node { return r.nodes[l.node] }}
	_, err := rec.once(r.sections[k].out, r.sections[k].layers, func() (bool, error) { return true, r.teach(ctx, k, p) })
	return err
}

// teach learns section k.
func (r *learner) teach(ctx context.Context, k int, p *piece) error {
	if err := r.float(ctx, k); err != nil {
		return err
	}
	defer func() {
		for i := range r.bySample {
			delete(r.bySample[i], r.sections[k].out)
		}
	}()
	c := r.course(k, p)
	if c == nil {
		r.left++
		return nil
	}
	before, err := c.loss(ctx, c.held)
	if err != nil {
		return err
	}
	if err = c.run(ctx); err != nil {
		return err
	}
	after, err := c.loss(ctx, c.held)
	if err != nil {
		return err
	}
	if !(after < before) {
		r.left++
		return nil
	}
	s := r.sections[k]
	signal := c.signal(c.held)
	r.out.addGain(ratio(before, after), s.layers[len(s.layers)-1].name, "%d layers up to %q learnt together: %.1f → %.1f dB on samples held back", len(s.layers), s.out, ratio(signal, before), ratio(signal, after))
	for _, l := range s.layers {
		r.out.Changes[len(r.out.Changes)-1].also(l.name)
	}
	return c.settle(r, s)
}

// course prepares to learn a section; nil where it cannot be put on a tape.
func (r *learner) course(k int, p *piece) *course {
	s, j := r.sections[k], r.job
	if len(p.in) != 1 {
		return nil
	}
	decode, coded, ok := r.decoder(s, p.in[0])
	if !ok {
		return nil
	}
	first := r.walk.value(0, p.in[0])
	t := newTape(j.Level, s, j.Net.Graph, r.x, r.fences, first.Shape, coded)
	if t == nil {
		return nil
	}
	c := &course{job: j, taper: t, seed: uint64(k), decode: decode}
	r.fill(c, s, func(i int) *tensor.Tensor { return r.walk.value(i, p.in[0]) })
	if len(c.fit) == 0 || len(c.held) == 0 || !c.prepare(s) {
		return nil
	}
	return c
}

// fill gives a course the inputs and wanted results of the samples that have one shape.
func (r *learner) fill(c *course, s *section, input func(i int) *tensor.Tensor) {
	first := input(0)
	for i := range r.samples {
		in, want := input(i), r.bySample[i][s.out]
		if in == nil || want == nil || !slices.Equal(in.Shape, first.Shape) || want.Len() != c.cells[c.tape.out].len() {
			continue
		}
		if c.in, c.want = append(c.in, in), append(c.want, tensor.Of[float32](want)); i < r.fit {
			c.fit = append(c.fit, len(c.in)-1)
		} else {
			c.held = append(c.held, len(c.in)-1)
		}
	}
	if len(c.held) == 0 { // every second sample judges
		for i, at := range c.fit {
			if i%2 == 1 {
				c.held = append(c.held, at)
			}
		}
	}
}

// decoder returns how to read the input of a section from what the walk keeps of it.
func (r *learner) decoder(s *section, kept string) (read func(dst []float32, t *tensor.Tensor), coded, ok bool) {
	if kept == s.in {
		return func(dst []float32, t *tensor.Tensor) { copy(dst, tensor.Of[float32](t)) }, false, r.walk.value(0, kept).DType == tensor.Float32
	}
	q := r.walk.net.Graph.Index().Producer(kept)
	v := r.fences[s.in]
	if q == nil || q.Op != "QuantizeLinear" || q.In[0] != s.in || v == nil || len(v.Params) != 1 {
		return nil, false, false
	}
	f := format.Lookup(v.Format)
	return func(dst []float32, t *tensor.Tensor) {
		codes, err := f.TensorCodes(t)
		if err == nil {
			f.Decode(dst, codes, v.Params[0])
		}
	}, true, true
}
