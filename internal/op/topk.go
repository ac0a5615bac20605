package op

import (
	"cmp"
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

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
	keys, err := rankKeys(x)
	if err != nil {
		return nil, err
	}
	if !c.Bool("largest", true) {
		for i := range keys {
			keys[i] = ^keys[i]
		}
	}
	return selectTop(x, axis, k, keys)
}

// rankKeys returns integers that stand in the order of t's elements: NaN is the largest number,
// and zero has no sign.
func rankKeys(t *tensor.Tensor) ([]int64, error) {
	if t.DType.IsInt() {
		x, err := ints(t)
		keys := slices.Clone(x)
		if t.DType == tensor.Uint64 {
			for i := range keys {
				keys[i] ^= math.MinInt64
			}
		}
		return keys, err
	}
	x, err := floats(t)
	keys := make([]int64, len(x))
	for i, v := range x {
		keys[i] = floatKey(v)
	}
	return keys, err
}

func floatKey(v float64) int64 {
	switch {
	case v != v:
		return math.MaxInt64
	case v > 0:
		return int64(math.Float64bits(v))
	}
	return -int64(math.Float64bits(-v) &^ (1 << 63))
}

// selectTop returns the k elements of each row along axis whose keys are largest.
func selectTop(x *tensor.Tensor, axis, k int, keys []int64) ([]*tensor.Tensor, error) {
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
	top := make(ranking, k)
	for o := range tensor.Elements(x.Shape[:axis]) * inner {
		first := o/inner*n*inner + o%inner
		top.fill(keys, first, inner, n)
		for i, r := range top {
			to := o/inner*k*inner + i*inner + o%inner
			values.copy(to, src, first+r.at*inner, 1)
			where[to] = int64(r.at)
		}
	}
	return []*tensor.Tensor{values.tensor(x.DType, shape), at}, nil
}

// A ranking holds the best of a row.
type ranking []ranked

type ranked struct {
	key int64
	at  int
}

// order is negative where a comes before b: the larger key, of equal ones the earlier.
func (a ranked) order(b ranked) int {
	if a.key != b.key {
		return cmp.Compare(b.key, a.key)
	}
	return a.at - b.at
}

// fill sorts the best of n keys, step apart from position first on, into h. While it looks at
// them h is a heap whose root is the one to give way next.
func (h ranking) fill(keys []int64, first, step, n int) {
	for i := range h {
		h[i] = ranked{keys[first+i*step], i}
	}
	if 0 < len(h) && len(h) < n {
		for i := len(h)/2 - 1; i >= 0; i-- {
			h.sink(i)
		}
		for i, p := len(h), first+len(h)*step; i < n; i, p = i+1, p+step {
			if keys[p] > h[0].key {
				h[0] = ranked{keys[p], i}
				h.sink(0)
			}
		}
	}
	slices.SortFunc(h, ranked.order)
}

// sink moves entry i down until none below it comes after it.
func (h ranking) sink(i int) {
	for {
		last := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if h[c].order(h[last]) > 0 {
				last = c
			}
		}
		if last == i {
			return
		}
		h[i], h[last] = h[last], h[i]
		i = last
	}
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
