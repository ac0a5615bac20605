package pass

import (
	"math"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// BatchNorm folds a BatchNormalization into the Conv, ConvTranspose or Gemm before it:
// with k = scale/√(var+ε), weights become W·k by output channel and the bias (b−mean)·k + shift
// (Jacob et al., Quantization and Training of Neural Networks, 2018, section 3.2).
var BatchNorm = &Pass{
	Name: "batchnorm", Doc: "fold BatchNormalization into the weights before it",
	Run: func(m *graph.Model) error {
		used := namesOf(m)
		for g := range m.Graph.Graphs() {
			x := g.Index()
			var rest []*graph.Node
			for _, n := range g.Nodes {
				if !isBatchNorm(n) || !foldBatchNorm(g, x, used, n) {
					rest = append(rest, n)
					continue
				}
				x = g.Index()
			}
			g.Nodes = rest
		}
		return nil
	},
}

// isBatchNorm says whether n is a BatchNormalization with all its operands.
func isBatchNorm(n *graph.Node) bool {
	return n.Op == "BatchNormalization" && graph.CanonicalDomain(n.Domain) == "" && len(n.In) == 5 && len(n.Out) > 0
}

// foldBatchNorm folds one node into its producer and says whether it could.
func foldBatchNorm(g *graph.Graph, x *graph.Index, used names, n *graph.Node) bool {
	p := x.Producer(n.In[0])
	if p == nil || x.OnlyUse(n.In[0]) != n || anyNamed(n.Out[1:]) {
		return false
	}
	a, ok := normAffine(g, n)
	return ok && foldAffine(g, used, p, n, a)
}

// affine is a factor and a shift for each channel.
type affine struct{ factor, shift []float32 }

// onto returns shifts as they are once a is done to them.
func (a affine) onto(shift []float32) []float32 {
	out := make([]float32, len(shift))
	for i, v := range shift {
		out[i] = float32(float64(float64(v)*float64(a.factor[i])) + float64(a.shift[i]))
	}
	return out
}

// foldAffine lets p, whose result n alone reads, do what n does to it, and says whether it could.
func foldAffine(g *graph.Graph, used names, p, n *graph.Node, a affine) bool {
	axis, ok := channelAxis(p)
	if !ok || len(p.In) < 2 {
		return false
	}
	w := floatConst(g, p.In[1])
	if w == nil || w.Rank() < 2 {
		return false
	}
	bias, ok := channelBias(g, p, len(a.factor))
	if !ok {
		return false
	}
	scaled, ok := scaleChannels(w, axis, p.Int("group", 1), p.Op == "ConvTranspose", a.factor)
	if !ok {
		return false
	}
	bias = a.onto(bias)
	wName, bName := used.folded(p.In[1]), used.folded(p.Out[0]+"_bias")
	g.SetConst(wName, scaled)
	g.SetConst(bName, tensor.Float32s(bias, len(bias)))
	p.In = []string{p.In[0], wName, bName}
	p.Out[0] = n.Out[0]
	return true
}

// folded is fresh for a constant that takes something in.
func (u names) folded(name string) string {
	return u.fresh(strings.TrimSuffix(name, "_folded") + "_folded")
}

// channelBias returns a copy of p's bias with one element for each of n channels, zeros where there
// is none. A Gemm's may be any shape that broadcasts to (rows, n); it has to be the same for all rows.
func channelBias(g *graph.Graph, p *graph.Node, n int) ([]float32, bool) {
	bias := make([]float32, n)
	if len(p.In) < 3 || p.In[2] == "" {
		return bias, true
	}
	b := floatConst(g, p.In[2])
	if b == nil || b.Rank() > 0 && b.Len() != b.Shape[b.Rank()-1] {
		return nil, false
	}
	switch x := tensor.Of[float32](b); len(x) {
	case n:
		copy(bias, x)
	case 1:
		for i := range bias {
			bias[i] = x[0]
		}
	default:
		return nil, false
	}
	return bias, true
}

func anyNamed(names []string) bool {
	for _, s := range names {
		if s != "" {
			return true
		}
	}
	return false
}

// channelAxis is the axis of the weight that makes p's output channels; false where p cannot
// take a normalization in.
func channelAxis(p *graph.Node) (int, bool) {
	switch {
	case graph.CanonicalDomain(p.Domain) != "":
		return 0, false
	case p.Op == "Conv":
		return 0, true
	case p.Op == "ConvTranspose":
		return 1, true
	case p.Op == "Gemm" && p.Float("alpha", 1) == 1 && p.Float("beta", 1) == 1:
		return 1 - p.Int("transB", 0), true
	}
	return 0, false
}

// normAffine returns a BatchNormalization of constants as a factor and a shift.
func normAffine(g *graph.Graph, n *graph.Node) (affine, bool) {
	var c [4][]float32
	for i := range c {
		t := floatConst(g, n.In[1+i])
		if t == nil {
			return affine{}, false
		}
		c[i] = tensor.Of[float32](t)
		if len(c[i]) != len(c[0]) {
			return affine{}, false
		}
	}
	if n.Bool("training_mode", false) || n.Int("spatial", 1) != 1 {
		return affine{}, false
	}
	eps := float64(n.Float("epsilon", 1e-5))
	a := affine{make([]float32, len(c[0])), make([]float32, len(c[0]))}
	for i := range a.factor {
		k := float64(c[0][i]) / math.Sqrt(float64(c[3][i])+eps)
		a.factor[i] = float32(k)
		a.shift[i] = float32(float64(c[1][i]) - float64(float64(c[2][i])*k))
	}
	return a, true
}

func floatConst(g *graph.Graph, name string) *tensor.Tensor {
	if t := g.ConstTensor(name); isFloat(t) && g.Input(name) == nil {
		return t
	}
	return nil
}

// scaleChannels returns w with each slice along the channel axis multiplied by its factor. The
// weights of a grouped ConvTranspose hold the channels of one group only: (C, M/group, …).
func scaleChannels(w *tensor.Tensor, axis, group int, transposed bool, k []float32) (*tensor.Tensor, bool) {
	per := w.Shape[axis]
	groups := 1
	if transposed {
		groups = group
	}
	if per*groups != len(k) || groups > 1 && w.Shape[0]%groups != 0 {
		return nil, false
	}
	inner := tensor.Elements(w.Shape[axis+1:])
	out := w.Clone()
	x := tensor.Of[float32](out)
	rows := len(x) / max(1, inner)
	for r := range rows {
		c := r % per
		if groups > 1 {
			c += r / per / (w.Shape[0] / groups) * per
		}
		for i := range inner {
			x[r*inner+i] *= k[c]
		}
	}
	return out, true
}
