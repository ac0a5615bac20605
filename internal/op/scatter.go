package op

import (
	"slices"

	"lowbit/internal/tensor"
)

// combine returns how a reduction merges an update into an element; nil if it has no such name.
func combine[T number](reduction string) func(a, b T) T {
	switch reduction {
	case "add":
		return func(a, b T) T { return a + b }
	case "mul":
		return func(a, b T) T { return a * b }
	case "max":
		return func(a, b T) T { return max(a, b) }
	case "min":
		return func(a, b T) T { return min(a, b) }
	}
	return nil
}

// places are where a scatter puts its updates, and a gather finds its elements: each run of them at the elements that
// begin at the next of the positions.
type places struct {
	pos []int
	run int
}

// scatter returns data with updates merged in; the reduction "none" overwrites.
func scatter(data, updates *tensor.Tensor, reduction string, to places) (*tensor.Tensor, error) {
	if data.DType != updates.DType {
		return nil, invalidf("updates are %s, data is %s", updates.DType, data.DType)
	}
	switch d := data.DType; {
	case reduction == "none":
		return overwrite(data, updates, to)
	case combine[int64](reduction) == nil:
		return nil, invalidf("reduction %q is not known", reduction)
	case d == tensor.Uint64:
		x := slices.Clone(tensor.Of[uint64](data))
		reduceInto(x, tensor.Of[uint64](updates), reduction, to)
		return tensor.Wrap(d, x, data.Shape...), nil
	case d.IsInt() || d == tensor.Bool:
		return scatterAs(data, updates, reduction, to, ints, fromInts)
	}
	return scatterAs(data, updates, reduction, to, floats, fromFloats)
}

func overwrite(data, updates *tensor.Tensor, to places) (*tensor.Tensor, error) {
	dst, err := newCells(data.DType, data.Shape)
	if err != nil {
		return nil, err
	}
	dst.copy(0, cellsOf(data), 0, data.Len())
	dst.scatter(to.pos, cellsOf(updates), to.run)
	return dst.tensor(data.DType, data.Shape), nil
}

// scatterAs reduces in T, which read and round convert from and to the element type.
func scatterAs[T number](data, updates *tensor.Tensor, reduction string, to places,
	read func(*tensor.Tensor) ([]T, error), round func(tensor.DType, []T, []int) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	x, err := read(data)
	if err != nil {
		return nil, err
	}
	u, err := read(updates)
	if err != nil {
		return nil, err
	}
	x = slices.Clone(x)
	reduceInto(x, u, reduction, to)
	return round(data.DType, x, data.Shape)
}

func reduceInto[T number](x, updates []T, reduction string, to places) {
	f := combine[T](reduction)
	for k, at := range to.pos {
		for i := range to.run {
			x[at+i] = f(x[at+i], updates[k*to.run+i])
		}
	}
}

func evalScatterElements(c *Call) ([]*tensor.Tensor, error) {
	data, at, updates := c.In[0], c.In[1], c.In[2]
	axis, err := axisOf(c.Int("axis", 0), data.Rank())
	if err != nil {
		return nil, err
	}
	if !slices.Equal(at.Shape, updates.Shape) {
		return nil, invalidf("indices of shape %v for updates of shape %v", at.Shape, updates.Shape)
	}
	to, err := positionsAlong(data.Shape, at, axis)
	if err != nil {
		return nil, err
	}
	return one(scatter(data, updates, c.Str("reduction", "none"), to))
}

func evalScatterND(c *Call) ([]*tensor.Tensor, error) {
	data, at, updates := c.In[0], c.In[1], c.In[2]
	pos, run, err := tuplePositions(at, data.Shape)
	if err != nil {
		return nil, err
	}
	width := at.Shape[at.Rank()-1]
	if want := slices.Concat(at.Shape[:at.Rank()-1], data.Shape[width:]); !slices.Equal(want, updates.Shape) {
		return nil, invalidf("updates of shape %v, not %v", updates.Shape, want)
	}
	return one(scatter(data, updates, c.Str("reduction", "none"), places{pos, run}))
}

// evalTensorScatter writes update (N,…,S,…) into a cache (N,…,M,…) from write_indices[n] on.
func evalTensorScatter(c *Call) ([]*tensor.Tensor, error) {
	cache, update := c.In[0], c.In[1]
	axis, err := axisOf(c.Int("axis", -2), cache.Rank())
	if err != nil {
		return nil, err
	}
	mode := c.Str("mode", "linear")
	if mode != "linear" && mode != "circular" {
		return nil, invalidf("mode %q is not known", mode)
	}
	if axis == 0 || joinable(cache, update, axis) != nil || update.Shape[axis] > cache.Shape[axis] {
		return nil, invalidf("%s does not fit into %s along axis %d", update, cache, axis)
	}
	starts := make([]int, cache.Shape[0])
	if c.Has(2) {
		if starts, err = indices(c.In[2]); err != nil {
			return nil, err
		}
	}
	size, n := cache.Shape[axis], update.Shape[axis]
	for _, s := range starts {
		if s < 0 || mode == "linear" && s > size-n {
			return nil, invalidf("write index %d is outside dimension %d", s, size)
		}
	}
	if len(starts) != cache.Shape[0] {
		return nil, invalidf("%d write indices for a batch of %d", len(starts), cache.Shape[0])
	}
	inner := tensor.Elements(cache.Shape[axis+1:])
	perBatch := tensor.Elements(cache.Shape[1:axis])
	pos := make([]int, update.Len()/max(1, inner))
	for k := range pos {
		o, i := k/n, k%n
		pos[k] = (o*size + (starts[o/perBatch]%size+i)%size) * inner
	}
	return one(scatter(cache, update, "none", places{pos, inner}))
}
