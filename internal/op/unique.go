package op

import (
	"cmp"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// uniqueAxis returns the tensor and axis whose slices are told apart: the flattened input
// where the attribute is absent.
func uniqueAxis(c *Call) (*tensor.Tensor, int, error) {
	x := c.In[0]
	if !c.HasAttr("axis") {
		return x.Reshape(x.Len()), 0, nil
	}
	axis, err := axisOf(c.Int("axis", 0), x.Rank())
	return x, axis, err
}

func evalUnique(c *Call) ([]*tensor.Tensor, error) {
	x, axis, err := uniqueAxis(c)
	if err != nil {
		return nil, err
	}
	return uniqueSlices(x, axis, c.Bool("sorted", true))
}

// uniqueSlices returns the slices along axis that differ, sorted or as they come first, and the results of Unique about them.
func uniqueSlices(x *tensor.Tensor, axis int, sorted bool) ([]*tensor.Tensor, error) {
	compare, err := sliceComparer(x, axis)
	if err != nil {
		return nil, err
	}
	order := make([]int, x.Shape[axis])
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	var groups [][]int // of equal slices, each in order of position
	for i, p := range order {
		if i == 0 || compare(order[i-1], p) != 0 {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], p)
	}
	if !sorted {
		slices.SortFunc(groups, func(a, b []int) int { return a[0] - b[0] })
	}
	first, counts := make([]int64, len(groups)), make([]int64, len(groups))
	inverse := make([]int64, len(order))
	for g, list := range groups {
		first[g], counts[g] = int64(list[0]), int64(len(list))
		for _, p := range list {
			inverse[p] = int64(g)
		}
	}
	y, err := sliceAt(x, axis, first)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{y, tensor.Vector(first...), tensor.Vector(inverse...), tensor.Vector(counts...)}, nil
}

// comparer returns a three-way comparison of the elements at two positions of t. NaN is the
// largest number; false precedes true; strings compare by bytes.
func comparer(t *tensor.Tensor) (func(i, j int) int, error) {
	switch {
	case t.DType == tensor.String:
		return func(i, j int) int { return cmp.Compare(t.Str[i], t.Str[j]) }, nil
	case t.DType == tensor.Uint64:
		return elementOrder(tensor.Of[uint64](t)), nil
	case t.DType.IsInt() || t.DType == tensor.Bool:
		x, err := ints(t)
		return elementOrder(x), err
	}
	x, err := floats(t)
	return func(i, j int) int {
		a, b := x[i], x[j]
		if a != a || b != b {
			return -cmp.Compare(a, b) // cmp puts NaN first
		}
		return cmp.Compare(a, b)
	}, err
}

func elementOrder[T cmp.Ordered](x []T) func(i, j int) int {
	return func(i, j int) int { return cmp.Compare(x[i], x[j]) }
}

// sliceComparer compares the slices of x at two positions along axis, element by element.
func sliceComparer(x *tensor.Tensor, axis int) (func(i, j int) int, error) {
	compare, err := comparer(x)
	if err != nil {
		return nil, err
	}
	outer, inner := tensor.Elements(x.Shape[:axis]), tensor.Elements(x.Shape[axis+1:])
	size := x.Shape[axis] * inner
	return func(i, j int) int {
		for o := range outer {
			for k := range inner {
				if r := compare(o*size+i*inner+k, o*size+j*inner+k); r != 0 {
					return r
				}
			}
		}
		return 0
	}, nil
}

// sliceAt returns the slices of x at the given positions along axis.
func sliceAt(x *tensor.Tensor, axis int, at []int64) (*tensor.Tensor, error) {
	shape := slices.Clone(x.Shape)
	shape[axis] = len(at)
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	src := cellsOf(x)
	inner := tensor.Elements(x.Shape[axis+1:])
	for o := range tensor.Elements(x.Shape[:axis]) {
		for k, p := range at {
			dst.copy((o*len(at)+k)*inner, src, (o*x.Shape[axis]+int(p))*inner, inner)
		}
	}
	return dst.tensor(x.DType, shape), nil
}

func inferUnique(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	list := graph.OfDims(tensor.Int64, unknownDims(1))
	y := graph.OfDims(x.DType, unknownDims(1))
	if c.HasAttr("axis") {
		y = graph.Unranked(x.DType)
		if x.Ranked {
			axis, err := axisOf(c.Int("axis", 0), len(x.Shape))
			if err != nil {
				return nil, err
			}
			y = graph.OfDims(x.DType, x.Shape)
			y.Shape[axis] = graph.Unknown
		}
	}
	return Typed(y, list, list, list)[:max(1, len(c.Out))], nil
}
