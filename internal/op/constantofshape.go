package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// fillValue returns the one element that a ConstantOfShape repeats.
func fillValue(n *graph.Node) (*tensor.Tensor, error) {
	v := n.Tensor("value")
	if v == nil {
		return tensor.Scalar(0), nil
	}
	if v.Len() != 1 {
		return nil, invalidf("the value has %d elements, not 1", v.Len())
	}
	return v, nil
}

func evalConstantOfShape(c *Call) ([]*tensor.Tensor, error) {
	v, err := fillValue(c.Node)
	if err != nil {
		return nil, err
	}
	shape, err := indices(c.In[0])
	if err != nil {
		return nil, err
	}
	dst, err := newCells(v.DType, shape)
	if err != nil {
		return nil, err
	}
	dst.fill(0, tensor.Elements(shape), cellsOf(v), 0)
	return []*tensor.Tensor{dst.tensor(v.DType, shape)}, nil
}

func inferConstantOfShape(c *Inference) ([]Fact, error) {
	v, err := fillValue(c.Node)
	if err != nil {
		return nil, err
	}
	dims, ok := elemsOf(c.Input(0))
	if !ok {
		return Typed(graph.Unranked(v.DType)), nil
	}
	t := graph.OfDims(v.DType, dims)
	if x, err := v.Ints(); err == nil && len(dims) == 1 && dims[0].IsKnown() && dims[0].Size <= foldLimit && followsElems(t) && x[0] >= 0 {
		return []Fact{elemsFact(v.DType, slices.Repeat([]graph.Dim{graph.Known(int(x[0]))}, dims[0].Size), false)}, nil
	}
	return Typed(t), nil
}
