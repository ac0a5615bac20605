package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A granularity says which scale each element of a tensor has, the tensor seen as
// (outer,n,inner) around the quantization axis: all the same, one for each position along the
// axis, or one for each block of them (ONNX QuantizeLinear, "supported quantization granularities").
type granularity struct {
	outer, n, inner int
	block           int // positions along the axis that share a scale; 0 where all do
	blocked         bool
}

// granularityOf reads the granularity from the shape of the scale and the node's axis and block_size.
func granularityOf(n *graph.Node, x, scale []int) (granularity, error) {
	if tensor.Elements(scale) == 1 && (len(scale) <= 1 || n.Int("block_size", 0) == 0) {
		return granularity{outer: 1, n: tensor.Elements(x), inner: 1}, nil
	}
	axis := n.Int("axis", 1)
	if len(x) == 1 && !n.Has("axis") {
		axis = 0
	}
	axis, err := axisOf(axis, len(x))
	if err != nil {
		return granularity{}, err
	}
	g := granularity{outer: tensor.Elements(x[:axis]), n: x[axis], inner: tensor.Elements(x[axis+1:]), block: 1}
	size := n.Int("block_size", 0)
	switch {
	case len(scale) == 1 && size == 0:
		if scale[0] != x[axis] {
			return g, invalidf("%d scales for axis %d of shape %v", scale[0], axis, x)
		}
		return g, nil
	case len(scale) != len(x) || size <= 0:
		return g, invalidf("scale of shape %v and block size %d do not fit shape %v", scale, size, x)
	}
	want := slices.Clone(x)
	want[axis] = x[axis] / size
	if x[axis]%size != 0 {
		want[axis]++
	}
	if !slices.Equal(scale, want) {
		return g, invalidf("scale of shape %v, blocks of %d along axis %d of %v need %v", scale, size, axis, x, want)
	}
	g.block, g.blocked = size, true
	return g, nil
}

// runs calls f for consecutive elements [lo,hi), of which the first has scale k and each further one that of
// the one before it and step more: 0, or 1.
func (g granularity) runs(f func(lo, hi, k, step int)) {
	if g.block == 0 {
		f(0, g.n, 0, 0)
		return
	}
	if g.n == 0 || g.inner == 0 {
		return
	}
	blocks := (g.n + g.block - 1) / g.block
	for o := range g.outer {
		if g.blocked && g.inner == 1 {
			for b := range blocks {
				f(o*g.n+b*g.block, o*g.n+min(g.n, (b+1)*g.block), o*blocks+b, 0)
			}
			continue
		}
		for a := range g.n {
			at := (o*g.n + a) * g.inner
			if !g.blocked {
				f(at, at+g.inner, a, 0)
				continue
			}
			f(at, at+g.inner, (o*blocks+a/g.block)*g.inner, 1)
		}
	}
}

// checkZero holds a zero point against the scale it goes with: as many elements, or none.
func checkZero(zero, scale *tensor.Tensor) error {
	if zero != nil && (zero.Len() != scale.Len() || zero.Rank() > 1 && !slices.Equal(zero.Shape, scale.Shape)) {
		return invalidf("zero point of shape %v for a scale of shape %v", zero.Shape, scale.Shape)
	}
	return nil
}

// zeros returns the elements of a zero point, or n zeros where there is none. An 8-bit or
// narrower float has none to shift by: it has to be zero.
func zeros(zero *tensor.Tensor, n int) ([]int64, error) {
	switch {
	case zero == nil:
		return make([]int64, n), nil
	case !zero.DType.IsFloat():
		return ints(zero)
	}
	v, err := floats(zero)
	if err != nil {
		return nil, err
	}
	for _, z := range v {
		if z != 0 {
			return nil, invalidf("zero point %g of type %s, which has to be 0", z, zero.DType)
		}
	}
	return make([]int64, len(v)), nil
}
