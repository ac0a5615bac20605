package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalClip limits values to bounds given as attributes (before opset 11) or as scalar inputs.
// Where the bounds cross, the upper one wins.
func evalClip(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	for i := 1; i <= 2; i++ {
		if t := c.Input(i); t != nil && t.Len() != 1 {
			return nil, invalidf("bound of shape %v, a scalar is needed", t.Shape)
		}
	}
	if x.DType.IsFloat() {
		lo, hi, err := clipBounds(c)
		if err != nil {
			return nil, err
		}
		return one(mapFloats(x, func(v float64) float64 {
			if v < lo {
				v = lo
			}
			if v > hi {
				v = hi
			}
			return v
		}))
	}
	out := x
	var err error
	for i, o := range []*arith{maxArith, minArith} {
		if t := c.Input(i + 1); t != nil && err == nil {
			out, err = o.apply(out, t.Reshape())
		}
	}
	return one(out, err)
}

func clipBounds(c *Call) (lo, hi float64, err error) {
	lo = float64(c.Float("min", float32(math.Inf(-1))))
	hi = float64(c.Float("max", float32(math.Inf(1))))
	if c.Has(1) && err == nil {
		lo, err = c.scalarOf(1)
	}
	if c.Has(2) && err == nil {
		hi, err = c.scalarOf(2)
	}
	return lo, hi, err
}

// inferClip keeps the type, and follows the elements of integer vectors that have a lower bound alone.
func inferClip(c *Inference) ([]Fact, error) {
	f := c.Input(0)
	out := Fact{Type: f.Type}
	if c.Has(1) {
		if followsElems(f.Type) && !c.Has(2) {
			followZip(&out, f, c.Input(1), maxDim)
		}
		out.Type = f.Type
	}
	return []Fact{out}, nil
}

// maxDim is the larger of two elements where they are known.
func maxDim(a, b graph.Dim) graph.Dim {
	switch {
	case a.IsKnown() && b.IsKnown():
		return graph.Known(max(a.Size, b.Size))
	case a.Same(b):
		return a
	}
	return graph.Unknown
}
