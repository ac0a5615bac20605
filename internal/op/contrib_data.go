package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalUniqueInOrder is Unique of ONNX Runtime: the elements of a vector in the order in which they come first, where each element
// of it is among these, and how often each occurs.
func evalUniqueInOrder(c *Call) ([]*tensor.Tensor, error) {
	if c.In[0].Rank() != 1 {
		return nil, invalidf("x of shape %v, a vector is needed", c.In[0].Shape)
	}
	out, err := uniqueSlices(c.In[0], 0, false)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{out[0], out[2], out[3]}, nil
}

func inferUniqueInOrder(c *Inference) ([]Fact, error) {
	x, some := c.Input(0), unknownDims(1)
	all := unknownDims(1)
	if x.Ranked && len(x.Shape) == 1 {
		all[0] = x.Shape[0]
	}
	return Typed(graph.OfDims(x.DType, some), graph.OfDims(tensor.Int64, all), graph.OfDims(tensor.Int64, some)), nil
}

// expandedDim returns the place of the axis that ExpandDims adds to so many.
func expandedDim(axis, rank int) (int, error) { return axisOf(axis, rank+1) }

// evalExpandDims puts an axis of one element at a place that a number tells.
func evalExpandDims(c *Call) ([]*tensor.Tensor, error) {
	axis, err := c.intScalarOf(1)
	if err != nil {
		return nil, err
	}
	x := c.In[0]
	at, err := expandedDim(int(axis), x.Rank())
	if err != nil {
		return nil, err
	}
	return one(x.Reshape(slices.Insert(slices.Clone(x.Shape), at, 1)...), nil)
}

func inferExpandDims(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	axis, ok := c.Ints(1)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	if !ok || len(axis) != 1 {
		return Typed(graph.OfDims(x.DType, unknownDims(len(x.Shape)+1))), nil
	}
	at, err := expandedDim(axis[0], len(x.Shape))
	if err != nil {
		return nil, err
	}
	return Typed(graph.OfDims(x.DType, slices.Insert(slices.Clone(x.Shape), at, graph.Known(1)))), nil
}

// evalRangeByOne is Range whose third operand may be left out.
func evalRangeByOne(c *Call) ([]*tensor.Tensor, error) {
	if c.Has(2) {
		return evalRange(c)
	}
	step, err := fromInts(c.In[0].DType, []int64{1}, nil)
	if c.In[0].DType.IsFloat() {
		step, err = fromFloats(c.In[0].DType, []float64{1}, nil)
	}
	if err != nil {
		return nil, err
	}
	return evalRange(&Call{Node: c.Node, Opset: c.Opset, In: []*tensor.Tensor{c.In[0], c.In[1], step}})
}

// evalMatMulInteger16 multiplies 16-bit integers.
func evalMatMulInteger16(c *Call) ([]*tensor.Tensor, error) {
	return evalMatMulInteger(&Call{Node: c.Node, In: c.In[:2]})
}
