package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Affine folds products and sums with a constant for each channel, or for all, into the weights of the Conv, ConvTranspose or
// Gemm before them, or into the BatchNormalization: what stays an operator of its own is rounded to codes once more. So it does with
// Gemm's alpha and beta, beside which runtimes have no product of codes.
var Affine = &Pass{
	Name: "affine", Doc: "fold Mul, Div, Add and Sub of constants into the weights before them, and factors of Gemm",
	Run: func(m *graph.Model) error {
		used := namesOf(m)
		for g := range m.Graph.Graphs() {
			x := g.Index()
			for _, n := range g.Nodes {
				foldFactors(g, x, used, n)
			}
			x = g.Index()
			for _, n := range slices.Clone(g.Nodes) {
				if foldLinear(g, x, used, n) {
					g.Nodes = slices.DeleteFunc(g.Nodes, func(m *graph.Node) bool { return m == n })
					x = g.Index()
				}
			}
		}
		return nil
	},
}

// foldLinear folds one Mul, Div, Add or Sub into its producer and says whether it could.
func foldLinear(g *graph.Graph, x *graph.Index, used names, n *graph.Node) bool {
	if graph.CanonicalDomain(n.Domain) != "" || len(n.In) != 2 || n.Has("axis") || n.Has("broadcast") {
		return false
	}
	at := slices.IndexFunc(n.In, func(name string) bool { return floatConst(g, name) != nil })
	if at < 0 {
		return false
	}
	p := x.Producer(n.In[1-at])
	if p == nil || x.OnlyUse(n.In[1-at]) != n {
		return false
	}
	channels, rank := channelsOf(g, p)
	c, ok := eachChannel(floatConst(g, n.In[at]), channels, rank, p.Op == "Gemm")
	if !ok {
		return false
	}
	a, ok := linear(n.Op, c, at == 0)
	switch {
	case !ok:
		return false
	case isBatchNorm(p):
		foldIntoNorm(g, used, p, n, a)
		return true
	}
	return len(x.Uses(p.In[1])) == 1 && foldAffine(g, used, p, n, a) // others that read the weight would have one of their own
}

// channelsOf returns how many channels the result of a node has that takes an affine in, and the rank of that, 0 where it is not known.
func channelsOf(g *graph.Graph, p *graph.Node) (channels, rank int) {
	if isBatchNorm(p) {
		if _, ok := normAffine(g, p); ok && !anyNamed(p.Out[1:]) {
			return floatConst(g, p.In[1]).Len(), 0
		}
		return 0, 0
	}
	axis, ok := channelAxis(p)
	if !ok || len(p.In) < 2 {
		return 0, 0
	}
	w := floatConst(g, p.In[1])
	if w == nil || w.Rank() < 2 {
		return 0, 0
	}
	channels = w.Shape[axis]
	if p.Op == "ConvTranspose" {
		channels *= p.Int("group", 1)
	}
	return channels, w.Rank()
}

// eachChannel returns a constant as a number for each channel: along the last axis of the result, or the second, (N,C,…) of that rank.
func eachChannel(t *tensor.Tensor, channels, rank int, last bool) ([]float32, bool) {
	x := tensor.Of[float32](t)
	switch {
	case channels == 0 || rank > 0 && t.Rank() > rank:
		return nil, false
	case len(x) == 1 && (rank > 0 || t.Rank() < 2):
		return slices.Repeat(x, channels), true
	case len(x) != channels || rank == 0:
		return nil, false
	}
	behind := rank - 2 // axes behind that of the channels
	if last {
		behind = 0
	}
	at := t.Rank() - 1 - behind
	return x, at >= 0 && t.Shape[at] == channels
}

// linear is what an operator does to each channel of its other operand; first says that the constant is the first.
func linear(op string, c []float32, first bool) (affine, bool) {
	a := affine{make([]float32, len(c)), make([]float32, len(c))}
	for i, v := range c {
		switch a.factor[i] = 1; {
		case op == "Mul":
			a.factor[i] = v
		case op == "Div" && !first:
			a.factor[i] = 1 / v
		case op == "Add":
			a.shift[i] = v
		case op == "Sub" && first:
			a.factor[i], a.shift[i] = -1, v
		case op == "Sub":
			a.shift[i] = -v
		default:
			return affine{}, false
		}
		if f, s := a.factor[i], a.shift[i]; f-f != 0 || s-s != 0 {
			return affine{}, false
		}
	}
	return a, true
}

// foldIntoNorm lets a BatchNormalization do what n does to its result.
func foldIntoNorm(g *graph.Graph, used names, p, n *graph.Node, a affine) {
	scale := slices.Clone(tensor.Of[float32](floatConst(g, p.In[1])))
	for i, f := range a.factor {
		scale[i] *= f
	}
	shift := a.onto(tensor.Of[float32](floatConst(g, p.In[2])))
	for i, x := range [][]float32{scale, shift} {
		name := used.folded(p.In[1+i])
		g.SetConst(name, tensor.Float32s(x, len(x)))
		p.In[1+i] = name
	}
	p.Out[0] = n.Out[0]
}
