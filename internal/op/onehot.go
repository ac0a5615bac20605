package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalOneHot(c *Call) ([]*tensor.Tensor, error) {
	at, values := c.In[0], c.In[2]
	depth, err := floats(c.In[1])
	if err != nil {
		return nil, err
	}
	if len(depth) != 1 || !(depth[0] >= 0 && depth[0] <= maxBytes) || values.Len() != 2 {
		return nil, invalidf("depth %v with %d values", depth, values.Len())
	}
	axis, err := axisOf(c.Int("axis", -1), at.Rank()+1)
	if err != nil {
		return nil, err
	}
	idx, err := floats(at)
	if err != nil {
		return nil, err
	}
	n := int(depth[0])
	shape := slices.Insert(slices.Clone(at.Shape), axis, n)
	dst, err := newCells(values.DType, shape)
	if err != nil {
		return nil, err
	}
	src := cellsOf(values)
	dst.fill(0, tensor.Elements(shape), src, 0)
	inner := tensor.Elements(at.Shape[axis:])
	for i, v := range idx {
		if v >= -float64(n) && v < float64(n) { // others stay off
			k := int(v)
			if k < 0 {
				k += n
			}
			dst.copy((i/inner*n+k)*inner+i%inner, src, 1, 1)
		}
	}
	return []*tensor.Tensor{dst.tensor(values.DType, shape)}, nil
}

func inferOneHot(c *Inference) ([]Fact, error) {
	at, d := c.Input(0), c.Input(2).DType
	if !at.Ranked {
		return Typed(graph.Unranked(d)), nil
	}
	axis, err := axisOf(c.Int("axis", -1), len(at.Shape)+1)
	if err != nil {
		return nil, err
	}
	depth := graph.Unknown
	if v := c.Input(1).Value; v != nil && v.Len() == 1 {
		if x, err := floats(v); err == nil && x[0] >= 0 && x[0] <= maxBytes {
			depth = graph.Known(int(x[0]))
		}
	} else if elems, ok := elemsOf(c.Input(1)); ok && len(elems) == 1 {
		depth = elems[0]
	}
	return Typed(graph.OfDims(d, slices.Insert(slices.Clone(at.Shape), axis, depth))), nil
}
