package main

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// A pairing says which values of two models mean the same.
type pairing struct {
	a, b    []string             // the values to watch, in the order of the first model
	nameInB map[string]string    // by the name in the first model
	scales  map[string]scale     // of values that the second model holds as codes, by their name there
	factors map[string][]float64 // of the channels of values of the second model, which repairs multiplied
}

// A scale turns the codes of a value back into numbers.
type scale struct {
	factor float32
	zero   int64
}

// pairValues finds the second model's counterpart of every value of the first. Quantization keeps
// the names of values that stay in float, and derives those of others: NAME_dq is what their
// readers get, NAME_q the codes where operators compute on these.
func pairValues(a, b *graph.Graph) pairing {
	p := pairing{nameInB: map[string]string{}, scales: map[string]scale{}}
	there := written(b)
	for _, n := range a.Nodes {
		for _, name := range n.Out {
			if name == "" {
				continue
			}
			for _, other := range []string{name + "_dq", name + "_DequantizeLinear_Output", name, name + "_q"} {
				if there[other] && p.fits(b, name, other) {
					p.a, p.b = append(p.a, name), append(p.b, other)
					p.nameInB[name] = other
					break
				}
			}
		}
	}
	return p
}

// fits says whether the second model's value can be compared, and notes its scale where it is codes.
func (p *pairing) fits(b *graph.Graph, name, other string) bool {
	if other != name+"_q" {
		return true
	}
	s := report.Floats(b.ConstTensor(name + "_scale"))
	if len(s) != 1 {
		return false
	}
	zero := int64(0)
	if t := b.ConstTensor(name + "_zp"); t != nil {
		z, err := t.Ints()
		if err != nil || len(z) != 1 {
			return false
		}
		zero = z[0]
	}
	p.scales[other] = scale{s[0], zero}
	return true
}

// read returns the numbers of a value of the second model, nil where it has none.
func (p *pairing) read(name string, t *tensor.Tensor) []float32 {
	x, f := p.decoded(name, t), p.factors[name]
	axis := slices.Index(t.Shape, len(f))
	if axis > 1 && axis < t.Rank()-1 || axis < 0 || len(f) == 0 || x == nil {
		return x
	}
	if t.Rank() > 1 && t.Shape[1] == len(f) {
		axis = 1
	}
	run := tensor.Elements(t.Shape[axis+1:])
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(float64(v) / f[i/run%len(f)])
	}
	return y
}

// decoded returns the numbers of a value as the second model has them.
func (p *pairing) decoded(name string, t *tensor.Tensor) []float32 {
	s, coded := p.scales[name]
	if !coded {
		return report.Floats(t)
	}
	if t.Kind != tensor.Dense || format.ByElem(t.DType) == nil {
		return nil
	}
	codes, err := t.Ints()
	if err != nil {
		return nil
	}
	x := make([]float32, len(codes))
	for i, c := range codes {
		x[i] = float32(c-s.zero) * s.factor
	}
	return x
}

// written are the names that the nodes of a graph write.
func written(g *graph.Graph) map[string]bool {
	names := map[string]bool{}
	for _, n := range g.Nodes {
		for _, o := range n.Out {
			names[o] = o != ""
		}
	}
	return names
}
