package op

import (
	"cmp"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

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

// topCount returns the attribute (opset 7 to 9) or the input k.
func topCount(c *Call) (int, error) {
	k, err := listArg(c, 1, "")
	if err != nil {
		return 0, err
	}
	if k == nil {
		return c.Int("k", 0), nil
	}
	if len(k) != 1 {
		return 0, invalidf("k has %d elements, not 1", len(k))
	}
	return k[0], nil
}

// evalTopK returns the k largest (or smallest) elements along an axis in order, and where they
// stood. Of equal ones the earlier comes first.
func evalTopK(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", -1), x.Rank())
	if err != nil {
		return nil, err
	}
	k, err := topCount(c)
	if err != nil {
		return nil, err
	}
	if k < 0 || k > x.Shape[axis] {
		return nil, invalidf("k is %d for %d elements", k, x.Shape[axis])
	}
	compare, err := comparer(x)
	if err != nil {
		return nil, err
	}
	if !c.Bool("largest", true) {
		return selectTop(x, axis, k, compare)
	}
	return selectTop(x, axis, k, func(i, j int) int { return -compare(i, j) })
}

// selectTop returns the first k elements of each row along axis in the given order of positions.
func selectTop(x *tensor.Tensor, axis, k int, compare func(i, j int) int) ([]*tensor.Tensor, error) {
	n := x.Shape[axis]
	shape := slices.Clone(x.Shape)
	shape[axis] = k
	values, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	at, err := newChecked(tensor.Int64, shape...)
	if err != nil {
		return nil, err
	}
	where, src := tensor.Of[int64](at), cellsOf(x)
	inner := tensor.Elements(x.Shape[axis+1:])
	order := make([]int, n)
	for o := range tensor.Elements(x.Shape[:axis]) * inner {
		first := o/inner*n*inner + o%inner
		for i := range order {
			order[i] = first + i*inner
		}
		slices.SortStableFunc(order, compare)
		for i, p := range order[:k] {
			to := o/inner*k*inner + i*inner + o%inner
			values.copy(to, src, p, 1)
			where[to] = int64((p - first) / inner)
		}
	}
	return []*tensor.Tensor{values.tensor(x.DType, shape), at}, nil
}

func inferTopK(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType), graph.Unranked(tensor.Int64)), nil
	}
	axis, err := axisOf(c.Int("axis", -1), len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	dims[axis] = graph.Known(c.Int("k", -1))
	if k, ok := elemsOf(c.Input(1)); ok && len(k) == 1 {
		dims[axis] = k[0]
	}
	return Typed(graph.OfDims(x.DType, dims), graph.OfDims(tensor.Int64, dims)), nil
}
