package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalFlatten(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOrEnd(c.Int("axis", 1), x.Rank())
	if err != nil {
		return nil, err
	}
	outer := tensor.Elements(x.Shape[:axis])
	return []*tensor.Tensor{x.Reshape(outer, tensor.Elements(x.Shape[axis:]))}, nil
}

func inferFlatten(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.OfDims(x.DType, []graph.Dim{graph.Unknown, graph.Unknown})), nil
	}
	axis, err := axisOrEnd(c.Int("axis", 1), len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := []graph.Dim{mulDims(x.Shape[:axis]...), mulDims(x.Shape[axis:]...)}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
