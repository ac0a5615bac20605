package pass

import (
	"math"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Flows counts the values that flow through a model in few bits, by the name of their format: those
// behind QuantizeLinear, those that DynamicQuantizeLinear makes, those that a Cast rounds, and those
// of 16-bit floats that other operators make.
func Flows(m *graph.Model) map[string]int {
	count := map[string]int{}
	facts, err := op.Infer(m, nil)
	if err != nil {
		return count
	}
	for g := range m.Graph.Graphs() {
		x := g.Index()
		for _, n := range g.Nodes {
			if f := flowFormat(m, g, x, n, facts); f != nil {
				count[f.Name]++
			}
		}
	}
	return count
}

// flowFormat returns the format of the first result of n, nil where it is not of few bits.
func flowFormat(m *graph.Model, g *graph.Graph, x *graph.Index, n *graph.Node, facts op.Facts) *format.Format {
	if len(n.Out) == 0 || n.Op == "DequantizeLinear" || facts[n.Out[0]].Value != nil {
		return nil
	}
	d := facts[n.Out[0]].DType
	switch {
	case n.Op == "Where":
		return signOf(m, x, n)
	case n.Op == "Mul":
		return exponentOf(m, x, n)
	case d == tensor.Float16 || d == tensor.BFloat16:
		return format.ByElem(d)
	case op.Lookup(n.Domain, n.Op) == nil || !op.Lookup(n.Domain, n.Op).Quantized():
		return nil
	}
	f := format.ByElem(d)
	if f == nil || n.Op != "QuantizeLinear" {
		return f
	}
	if c := x.Producer(n.In[0]); c != nil && c.Op == "Clip" {
		return clippedTo(m, c, n, f)
	}
	return snapped(f, number(m, n, 1))
}

// signOf recognises values that keep their sign alone: Where(Less(x, 0), −s, s).
func signOf(m *graph.Model, x *graph.Index, n *graph.Node) *format.Format {
	less := x.Producer(n.In[0])
	a, b := m.Graph.ConstTensor(n.In[1]), m.Graph.ConstTensor(n.In[2])
	if less == nil || less.Op != "Less" || a == nil || b == nil || a.DType != tensor.Float32 || a.Len() != 1 || b.DType != tensor.Float32 || b.Len() != 1 {
		return nil
	}
	if tensor.Of[float32](a)[0] != -tensor.Of[float32](b)[0] {
		return nil
	}
	return format.Binary
}

// exponentOf recognises values whose exponent is rounded: Pow(2, Clip(…)) · Sign(x).
func exponentOf(m *graph.Model, x *graph.Index, n *graph.Node) *format.Format {
	pow, sign := x.Producer(n.In[0]), x.Producer(n.In[1])
	if pow == nil || sign == nil || pow.Op != "Pow" || sign.Op != "Sign" || number(m, pow, 0) != 2 {
		return nil
	}
	clip, step := x.Producer(pow.In[1]), 1.0
	if clip != nil && clip.Op == "Mul" {
		clip, step = x.Producer(clip.In[0]), number(m, clip, 1)
	}
	if clip == nil || clip.Op != "Clip" {
		return nil
	}
	width := (number(m, clip, 2) - number(m, clip, 1)) * step
	for _, f := range format.All {
		if f.Kind == format.Logarithmic {
			if lo, hi := f.Exponents(); math.Abs(hi-lo-width) < 1e-3 && f.ExponentStep() == step {
				return f
			}
		}
	}
	return nil
}

// clippedTo returns the format of fewer bits that the bounds of clip c in front of q leave, or f.
func clippedTo(m *graph.Model, c, q *graph.Node, f *format.Format) *format.Format {
	scale, zero := number(m, q, 1), number(m, q, 2)
	lo, hi := math.Round(number(m, c, 1)/scale+zero), math.Round(number(m, c, 2)/scale+zero)
	for _, g := range format.All {
		if g.Bits < 8 && g.Lo < g.Hi && float64(g.Lo) == lo && float64(g.Hi) == hi && snaps(g, scale) {
			f = g
		}
	}
	return f
}

// snapped returns the format of the same codes whose scales are confined, where this one is such.
func snapped(f *format.Format, scale float64) *format.Format {
	for _, g := range format.All {
		if g.Snap != nil && g.Via == f.Via && g.Elem == f.Elem && snaps(g, scale) {
			return g
		}
	}
	return f
}

func snaps(f *format.Format, scale float64) bool {
	return f.Snap == nil || scale > 0 && f.Snap(scale) == scale
}

// number returns the constant that is operand i of n: zero where it is left out, NaN where it flows.
func number(m *graph.Model, n *graph.Node, i int) float64 {
	if i >= len(n.In) || n.In[i] == "" {
		return 0
	}
	t := m.Graph.ConstTensor(n.In[i])
	if t == nil || t.Len() != 1 {
		return math.NaN()
	}
	v, err := format.Floats(t)
	if err != nil {
		return math.NaN()
	}
	return v[0]
}
