package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// ofChannelsLast says of a node whether its images are (N,D...,C) and not (N,C,D...).
func ofChannelsLast(n *graph.Node) bool {
	return n.Op == "NhwcMaxPool" || n.Bool("channels_last", false)
}

// channelsLast returns the Eval of an operator on images, the first input and the one result, in either order of axes.
func channelsLast(eval func(c *Call) ([]*tensor.Tensor, error)) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		if !ofChannelsLast(c.Node) {
			return eval(c)
		}
		if err := wantRank("input", c.In[0].Shape, 3); err != nil {
			return nil, err
		}
		last := c.In[0].Rank() - 1
		x, err := moveAxis(c.In[0], last, 1)
		if err != nil {
			return nil, err
		}
		first := *c
		first.In = slices.Clone(c.In)
		first.In[0] = x
		out, err := eval(&first)
		if err != nil {
			return nil, err
		}
		return one(moveAxis(out[0], 1, last))
	}
}

// inferChannelsLast returns the Infer of such an operator.
func inferChannelsLast(infer func(c *Inference) ([]Fact, error)) func(c *Inference) ([]Fact, error) {
	return func(c *Inference) ([]Fact, error) {
		x := c.Input(0)
		last := len(x.Shape) - 1
		if !ofChannelsLast(c.Node) || last < 2 {
			return infer(c)
		}
		first := *c
		first.In = slices.Clone(c.In)
		first.In[0] = Fact{Type: graph.OfDims(x.DType, moved(x.Shape, last, 1))}
		out, err := infer(&first)
		if err != nil || !out[0].Ranked {
			return out, err
		}
		return Typed(graph.OfDims(out[0].DType, moved(out[0].Shape, 1, last))), nil
	}
}

// moveAxis moves one axis of a tensor to another place; the others keep their order.
func moveAxis(t *tensor.Tensor, from, to int) (*tensor.Tensor, error) {
	st := strides(t.Shape)
	return strided(t, moved(t.Shape, from, to), 0, moved(st, from, to))
}

func moved[T any](list []T, from, to int) []T {
	out := make([]T, 0, len(list))
	for i, v := range list {
		if i != from {
			out = append(out, v)
		}
	}
	return append(out[:to], append([]T{list[from]}, out[to:]...)...)
}
