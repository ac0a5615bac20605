package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalCompress keeps the slices along axis (the elements of the flattened input without one)
// whose condition holds.
func evalCompress(c *Call) ([]*tensor.Tensor, error) {
	x, cond := c.In[0], c.In[1]
	axis := 0
	if !c.HasAttr("axis") {
		x = x.Reshape(x.Len())
	} else {
		var err error
		if axis, err = axisOf(c.Int("axis", 0), x.Rank()); err != nil {
			return nil, err
		}
	}
	if cond.Rank() != 1 || cond.Len() > x.Shape[axis] {
		return nil, invalidf("a condition of shape %v for dimension %d", cond.Shape, x.Shape[axis])
	}
	var keep []int64
	for i, v := range cond.Raw {
		if v != 0 {
			keep = append(keep, int64(i))
		}
	}
	return one(sliceAt(x, axis, keep))
}

func inferCompress(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !c.HasAttr("axis") {
		return Typed(graph.OfDims(x.DType, unknownDims(1))), nil
	}
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	axis, err := axisOf(c.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	dims[axis] = graph.Unknown
	return Typed(graph.OfDims(x.DType, dims)), nil
}
