package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalGather(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", 0), x.Rank())
	if err != nil {
		return nil, err
	}
	idx, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	shape := slices.Concat(x.Shape[:axis], c.In[1].Shape, x.Shape[axis+1:])
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	src := cellsOf(x)
	outer, run := tensor.Elements(x.Shape[:axis]), tensor.Elements(x.Shape[axis+1:])
	for k, i := range idx {
		if i, err = wrapIndex(i, x.Shape[axis]); err != nil {
			return nil, err
		}
		for o := range outer {
			dst.copy((o*len(idx)+k)*run, src, (o*x.Shape[axis]+i)*run, run)
		}
	}
	return []*tensor.Tensor{dst.tensor(x.DType, shape)}, nil
}

func inferGather(c *Inference) ([]Fact, error) {
	x, idx := c.Input(0), c.Input(1)
	if !x.Ranked || !idx.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	axis, err := axisOf(c.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	t := graph.OfDims(x.DType, slices.Concat(x.Shape[:axis], idx.Shape, x.Shape[axis+1:]))
	elems, ok := elemsOf(x)
	list, known := c.Ints(1)
	if !ok || !known || len(x.Shape) != 1 || !followsElems(t) {
		return Typed(t), nil
	}
	out := make([]graph.Dim, len(list))
	for k, i := range list {
		if i, err = wrapIndex(i, len(elems)); err != nil {
			return nil, err
		}
		out[k] = elems[i]
	}
	return []Fact{elemsFact(x.DType, out, len(idx.Shape) == 0)}, nil
}

func evalGatherElements(c *Call) ([]*tensor.Tensor, error) {
	x, at := c.In[0], c.In[1]
	axis, err := axisOf(c.Int("axis", 0), x.Rank())
	if err != nil {
		return nil, err
	}
	from, err := positionsAlong(x.Shape, at, axis)
	if err != nil {
		return nil, err
	}
	dst, err := newCells(x.DType, at.Shape)
	if err != nil {
		return nil, err
	}
	dst.gather(cellsOf(x), from.pos, from.run)
	return []*tensor.Tensor{dst.tensor(x.DType, at.Shape)}, nil
}

// positionsAlong returns the places in a tensor of the given shape that the indices in at name: an index's own position
// with its coordinate along axis replaced. Rows of indices that are alike, as Expand makes them, name a run each.
func positionsAlong(shape []int, at *tensor.Tensor, axis int) (places, error) {
	if at.Rank() != len(shape) {
		return places{}, invalidf("indices of shape %v for rank %d", at.Shape, len(shape))
	}
	for k, d := range at.Shape {
		if k != axis && d > shape[k] {
			return places{}, invalidf("indices of shape %v reach outside %v", at.Shape, shape)
		}
	}
	idx, err := ints(at)
	if err != nil || len(idx) == 0 {
		return places{run: 1}, err
	}
	own := strides(shape)
	step := slices.Clone(own)
	step[axis] = 0
	outer, steps := collapse(at.Shape, step)
	run, last := 1, 0
	if n := len(outer) - 1; n >= 0 {
		run, last, outer, steps[0] = outer[n], steps[0][n], outer[:n], steps[0][:n]
	}
	each := 1
	if last == 1 && rowsAlike(idx, run) {
		each = run
	}
	pos := make([]int, len(idx)/each)
	eachIndex(outer, steps, func(i int, off []int) {
		from := off[0]
		row := idx[i*run : (i+1)*run]
		for k := 0; k < run; k += each {
			v := int(row[k])
			if v < 0 || v >= shape[axis] {
				var wrong error
				if v, wrong = wrapIndex(v, shape[axis]); wrong != nil && err == nil {
					err = wrong
				}
			}
			pos[(i*run+k)/each] = from + v*own[axis]
			from += last
		}
	})
	return places{pos, each}, err
}

// rowsAlike says whether each row of n elements holds but one number.
func rowsAlike(x []int64, n int) bool {
	for ; len(x) > 0; x = x[n:] {
		for _, v := range x[1:n] {
			if v != x[0] {
				return false
			}
		}
	}
	return true
}

func inferGatherElements(c *Inference) ([]Fact, error) {
	x, idx := c.Input(0), c.Input(1)
	if !idx.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	return Typed(graph.OfDims(x.DType, idx.Shape)), nil
}

func evalGatherND(c *Call) ([]*tensor.Tensor, error) {
	x, at := c.In[0], c.In[1]
	batch := c.Int("batch_dims", 0)
	if batch < 0 || batch >= at.Rank() || batch > x.Rank() || !slices.Equal(x.Shape[:batch], at.Shape[:batch]) {
		return nil, invalidf("%d batch dimensions in %s and %s", batch, x, at)
	}
	tuples := at.Shape[:at.Rank()-1]
	pos, run, err := tuplePositions(at, x.Shape[batch:])
	if err != nil {
		return nil, err
	}
	width := at.Shape[at.Rank()-1]
	shape := slices.Concat(tuples, x.Shape[batch+width:])
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	inner := tensor.Elements(x.Shape[batch:])
	perBatch := max(1, tensor.Elements(tuples[batch:]))
	for i := perBatch; i < len(pos); i++ {
		pos[i] += i / perBatch * inner
	}
	dst.gather(cellsOf(x), pos, run)
	return []*tensor.Tensor{dst.tensor(x.DType, shape)}, nil
}

// tuplePositions reads the last axis of at as index tuples into a tensor of the given shape.
// It returns the position that each names and the number of elements that lie there.
func tuplePositions(at *tensor.Tensor, shape []int) (pos []int, run int, err error) {
	idx, err := ints(at)
	if err != nil {
		return nil, 0, err
	}
	if at.Rank() == 0 || at.Shape[at.Rank()-1] > len(shape) {
		return nil, 0, invalidf("index tuples of shape %v for shape %v", at.Shape, shape)
	}
	width := at.Shape[at.Rank()-1]
	own := strides(shape)
	pos = make([]int, tensor.Elements(at.Shape[:at.Rank()-1]))
	for i := range pos {
		for k, d := range shape[:width] {
			v := int(idx[i*width+k])
			if v < 0 || v >= d {
				if v, err = wrapIndex(v, d); err != nil {
					return nil, 0, err
				}
			}
			pos[i] += v * own[k]
		}
	}
	return pos, tensor.Elements(shape[width:]), nil
}

func inferGatherND(c *Inference) ([]Fact, error) {
	x, idx := c.Input(0), c.Input(1)
	batch := c.Int("batch_dims", 0)
	if !x.Ranked || !idx.Ranked || len(idx.Shape) == 0 || !idx.Shape[len(idx.Shape)-1].IsKnown() {
		return Typed(graph.Unranked(x.DType)), nil
	}
	last := len(idx.Shape) - 1
	width := idx.Shape[last].Size
	if batch < 0 || batch > last || width > len(x.Shape)-batch {
		return nil, invalidf("index tuples of %s with %d batch dimensions for %s", idx.Type, batch, x.Type)
	}
	return Typed(graph.OfDims(x.DType, slices.Concat(idx.Shape[:last], x.Shape[batch+width:]))), nil
}
