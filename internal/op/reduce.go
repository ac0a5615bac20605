package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A reduction makes one number of a list. i is its form on integers; where it is nil they
// are reduced as real numbers and truncated.
type reduction struct {
	f func(x []float64) float64
	i func(x []int64) int64
	u func(x []uint64) uint64 // of uint64, where i would read the sign
}

func (r *reduction) eval(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	reduced, err := reducedAxes(c, x.Rank())
	if err != nil {
		return nil, err
	}
	g := newGroups(x.Shape, reduced)
	shape := g.shape(c.Bool("keepdims", true))
	if _, err := checkSize(x.DType, shape); err != nil {
		return nil, err
	}
	switch {
	case x.DType == tensor.Uint64 && r.u != nil:
		return one(tensor.Wrap(x.DType, reduceBy(tensor.Of[uint64](x), g, r.u), shape...), nil)
	case !x.DType.IsFloat() && r.i != nil:
		v, err := ints(x)
		if err != nil {
			return nil, err
		}
		return one(fromInts(x.DType, reduceBy(v, g, r.limited(x.DType)), shape))
	}
	v, err := floats(x)
	if err != nil {
		return nil, err
	}
	return one(fromFloats(x.DType, reduceBy(v, g, r.f), shape))
}

// limited is r.i with the ends of int64, which stand for the extreme of nothing, replaced by
// those of element type d.
func (r *reduction) limited(d tensor.DType) func([]int64) int64 {
	return func(x []int64) int64 {
		v := r.i(x)
		if len(x) > 0 || v != math.MinInt64 && v != math.MaxInt64 {
			return v
		}
		lo, hi := intRange(d)
		return min(max(v, lo), hi)
	}
}

// reducedAxes says of each axis whether the node reduces it. The axes are an attribute or
// the second input; without any, all axes are reduced unless the node says none.
func reducedAxes(c *Call, rank int) ([]bool, error) {
	axes, err := listArg(c, 1, "axes")
	if err != nil {
		return nil, err
	}
	return markAxes(c.Node, axes, rank)
}

func markAxes(n *graph.Node, axes []int, rank int) ([]bool, error) {
	if len(axes) > 0 {
		return axisSet(axes, rank)
	}
	all := make([]bool, rank)
	for i := range all {
		all[i] = !n.Bool("noop_with_empty_axes", false)
	}
	return all, nil
}

// groups are the elements of a tensor that are reduced together.
type groups struct {
	dims        []int
	reduced     []bool
	kept, inner []int // sizes of the axes that stay and that go
	keptStride  []int
	innerStride []int
}

func newGroups(shape []int, reduced []bool) *groups {
	g, own := &groups{dims: shape, reduced: reduced}, strides(shape)
	for i, d := range shape {
		if reduced[i] {
			g.inner = append(g.inner, d)
			g.innerStride = append(g.innerStride, own[i])
		} else {
			g.kept = append(g.kept, d)
			g.keptStride = append(g.keptStride, own[i])
		}
	}
	return g
}

// shape returns the result's shape.
func (g *groups) shape(keep bool) []int { return reducedShape(g.dims, g.reduced, keep, 1) }

// reducedShape returns a shape without the axes that went, or with one in their places.
func reducedShape[T any](shape []T, reduced []bool, keep bool, one T) []T {
	out := []T{}
	for i, d := range shape {
		switch {
		case !reduced[i]:
			out = append(out, d)
		case keep:
			out = append(out, one)
		}
	}
	return out
}

// reduceBy applies f to every group of x, in row-major order.
func reduceBy[T, U any](x []T, g *groups, f func([]T) U) []U {
	offsets := make([]int, tensor.Elements(g.inner))
	eachIndex(g.inner, [][]int{g.innerStride}, func(i int, off []int) { offsets[i] = off[0] })
	out := make([]U, tensor.Elements(g.kept))
	group := make([]T, len(offsets))
	eachIndex(g.kept, [][]int{g.keptStride}, func(i int, off []int) {
		for k, o := range offsets {
			group[k] = x[off[0]+o]
		}
		out[i] = f(group)
	})
	return out
}

func inferReduce(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	keep := c.Bool("keepdims", true)
	axes, known := inferList(c, 1, "axes")
	out := graph.Unranked(t.DType)
	switch {
	case t.Ranked && known:
		reduced, err := markAxes(c.Node, axes, len(t.Shape))
		if err != nil {
			return nil, err
		}
		return Typed(graph.OfDims(t.DType, reducedShape(t.Shape, reduced, keep, graph.Known(1)))), nil
	case t.Ranked && keep:
		return Typed(graph.OfDims(t.DType, unknownDims(len(t.Shape)))), nil
	case t.Ranked:
		if list := c.Input(1).Shape; len(list) == 1 && list[0].Size > 0 && list[0].Size <= len(t.Shape) {
			return Typed(graph.OfDims(t.DType, unknownDims(len(t.Shape)-list[0].Size))), nil
		}
	}
	return Typed(out), nil
}
