package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalSqueeze(c *Call) ([]*tensor.Tensor, error) {
	axes, err := listArg(c, 1, "axes")
	if err != nil {
		return nil, err
	}
	x := c.In[0]
	drop, err := axisSet(axes, x.Rank())
	if err != nil {
		return nil, err
	}
	var shape []int
	for i, d := range x.Shape {
		switch {
		case axes == nil && d == 1:
		case axes != nil && drop[i]:
			if d != 1 {
				return nil, invalidf("axis %d of shape %v is not 1", i, x.Shape)
			}
		default:
			shape = append(shape, d)
		}
	}
	return []*tensor.Tensor{x.Reshape(shape...)}, nil
}

func inferSqueeze(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	axes, ok := inferList(c, 1, "axes")
	if !ok || !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	drop, err := axisSet(axes, len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := []graph.Dim{}
	for i, d := range x.Shape {
		switch {
		case axes == nil && !d.IsKnown():
			return Typed(graph.Unranked(x.DType)), nil
		case axes == nil && d.Size == 1:
		case axes != nil && drop[i]:
			if d.IsKnown() && d.Size != 1 {
				return nil, invalidf("axis %d of %s is not 1", i, x.Type)
			}
		default:
			dims = append(dims, d)
		}
	}
	return keepElems(x, graph.OfDims(x.DType, dims)), nil
}

func evalUnsqueeze(c *Call) ([]*tensor.Tensor, error) {
	axes, err := listArg(c, 1, "axes")
	if err != nil {
		return nil, err
	}
	x := c.In[0]
	shape, err := unsqueeze(x.Shape, axes, 1)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{x.Reshape(shape...)}, nil
}

// unsqueeze inserts one at the listed positions of the result.
func unsqueeze[T any](shape []T, axes []int, one T) ([]T, error) {
	rank := len(shape) + len(axes)
	added, err := axisSet(axes, rank)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, rank)
	for i := range rank {
		if added[i] {
			out = append(out, one)
			continue
		}
		out, shape = append(out, shape[0]), shape[1:]
	}
	return out, nil
}

func inferUnsqueeze(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	axes, ok := inferList(c, 1, "axes")
	if !ok || !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	dims, err := unsqueeze(x.Shape, axes, graph.Known(1))
	if err != nil {
		return nil, err
	}
	return keepElems(x, graph.OfDims(x.DType, dims)), nil
}
