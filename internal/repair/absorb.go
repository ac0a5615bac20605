package repair

import (
	"context"
	"fmt"
	"maps"
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// Absorb moves what a channel nearly always exceeds out of the bias before its activation into the
// biases of the layers that read it, so that its values take less room: c = max(0, β−3γ) in front of a
// ReLU, where 99.865 % of the values are above c and change nothing, and c = β where nothing clamps
// (Nagel et al. 2019, section 4.1.3). Where the clamp has a bound above too, a channel is moved only if
// β+3γ stays below that, so that it is a ReLU to it. β and γ are what BatchNormalization tells of the channel, or
// else its mean and deviation over samples. A reader that pads would add the moved amount at its
// border too, so only those that do not are moved to.
var Absorb = &Repair{
	Name: "absorb", Doc: "move what a channel always exceeds into the biases that follow", Stage: Before,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		a := &absorber{job: j, x: j.Net.Graph.Index(), out: &Outcome{}}
		if err := a.measure(ctx); err != nil {
			return nil, err
		}
		for _, n := range j.Net.Graph.Nodes {
			a.node(n)
		}
		if len(a.out.Changes) == 0 {
			a.out.Note = a.note()
		}
		return a.out, nil
	},
}

// absorbDevs is how many deviations below its mean a value hardly ever is.
const absorbDevs = 3

type absorber struct {
	job    *Job
	x      *graph.Index
	out    *Outcome
	norms  map[string]pass.Norm
	padded int // layers whose readers pad
	seen   int // layers whose statistics are known
}

func (a *absorber) note() string {
	switch {
	case a.seen == 0:
		return "it needs BatchNormalization's statistics, or samples"
	case a.padded > 0:
		return fmt.Sprintf("no channel stays above zero in front of layers that do not pad; %d layers do pad", a.padded)
	}
	return "no channel stays above zero in front of a layer that could take it"
}

// measure takes the statistics of layers without BatchNormalization from the samples.
func (a *absorber) measure(ctx context.Context) error {
	a.norms = a.job.Norms
	if len(a.job.Fit) == 0 {
		return nil
	}
	axes := map[string]int{}
	for _, n := range a.job.Net.Graph.Nodes {
		if l := layerOf(a.job.Net.Graph, a.x, n); l != nil && l.bias > 0 {
			if _, known := a.norms[n.Out[0]]; !known && l.axis > 0 {
				axes[n.Out[0]] = l.axis
			}
		}
	}
	seen, err := normsOf(ctx, a.job, axes)
	if err != nil {
		return err
	}
	a.norms = map[string]pass.Norm{}
	for name, v := range a.job.Norms {
		a.norms[name] = v
	}
	maps.Copy(a.norms, seen)
	return nil
}

// node moves what the channels of one layer exceed.
func (a *absorber) node(n *graph.Node) {
	g := a.job.Net.Graph
	l := layerOf(g, a.x, n)
	v, known := a.norms[n.Out[0]]
	if l == nil || l.bias == 0 || !known || l.lo != 0 && !(math.IsInf(l.lo, -1) && math.IsInf(l.hi, 1)) {
		return
	}
	b := g.ConstTensor(n.In[l.bias])
	if b.Len() != len(v.Mean) {
		return
	}
	a.seen++
	readers, ok := a.readers(n, len(v.Mean))
	if !ok {
		return
	}
	c, some := make([]float64, len(v.Mean)), 0
	for i := range c {
		c[i] = -l.spare(v.Mean[i], v.Dev[i])
		if c[i] != 0 {
			some++
		}
	}
	if some == 0 {
		return
	}
	g.SetConst(n.In[l.bias], moved(b, c))
	for _, r := range readers {
		a.take(r, c)
	}
	if own, ok := a.job.Norms[n.Out[0]]; ok {
		mean := make([]float64, len(c))
		for i := range c {
			mean[i] = own.Mean[i] + c[i]
		}
		a.job.Norms[n.Out[0]] = pass.Norm{Mean: mean, Dev: own.Dev}
	}
	a.out.add(n.Out[0], "the biases of %d of %d channels moved to the layers behind", some, len(c))
}

// spare is what a channel of that mean and deviation hardly ever goes below.
func (l *layer) spare(mean, dev float64) float64 {
	switch {
	case math.IsInf(l.lo, -1):
		return mean
	case mean+float64(absorbDevs*dev) > l.hi:
		return 0
	}
	return math.Max(0, mean-float64(absorbDevs*dev))
}

// readers lists the layers that read n's result, behind its clamp, if all that read it are layers with
// biases that can take something in.
func (a *absorber) readers(n *graph.Node, channels int) ([]*layer, bool) {
	g := a.job.Net.Graph
	name := n.Out[0]
	for {
		u := a.x.OnlyUse(name)
		if u == nil || !(&layer{lo: math.Inf(-1), hi: math.Inf(1)}).narrow(g, u) {
			break
		}
		name = u.Out[0]
	}
	var list []*layer
	for _, u := range a.x.Uses(name) {
		l := layerOf(g, a.x, u.Node)
		if l == nil || u.In != 0 || l.bias == 0 || a.x.IsOutput(name) {
			return nil, false
		}
		if u.Node.Op == "ConvTranspose" || u.Node.Op == "Conv" && !unpadded(u.Node) {
			a.padded++
			return nil, false
		}
		lanes := 0
		if !taps(u.Node, g.ConstTensor(u.Node.In[l.weight]), func(_, in, _ int) { lanes = max(lanes, in+1) }) || lanes != channels {
			return nil, false
		}
		list = append(list, l)
	}
	return list, len(list) > 0
}

// take adds what a layer's input lost by channel, −c, to its bias: Σ W·c over the input channels.
func (a *absorber) take(l *layer, c []float64) {
	g := a.job.Net.Graph
	b := g.ConstTensor(l.node.In[l.bias])
	w := g.ConstTensor(l.node.In[l.weight])
	x, by := tensor.Of[float32](w), make([]float64, b.Len())
	taps(l.node, w, func(out, in, at int) { by[out] -= float64(float64(x[at]) * c[in]) })
	g.SetConst(l.node.In[l.bias], moved(b, by))
}
