package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// qlinearPool returns the Eval of an average pooling on codes: the pooling of their real
// values, quantized. Inputs: X, its scale and zero point, scale and zero point of the result.
// With channels_last, X is (N,D...,C) and not (N,C,D...).
func qlinearPool(pool func(c *Call) ([]*tensor.Tensor, error)) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x := c.In[0]
		if err := wantRank("input", x.Shape, 3); err != nil {
			return nil, err
		}
		v, err := dequantized(x, c.In[1], c.Input(2))
		if err != nil {
			return nil, err
		}
		real := tensor.Wrap(tensor.Float64, v, x.Shape...)
		last := c.Bool("channels_last", false)
		if last {
			real, err = moveAxis(real, x.Rank()-1, 1)
			if err != nil {
				return nil, err
			}
		}
		out, err := pool(&Call{Node: c.Node, Opset: c.Opset, In: []*tensor.Tensor{real}})
		if err != nil {
			return nil, err
		}
		y := out[0]
		if last {
			if y, err = moveAxis(y, 1, x.Rank()-1); err != nil {
				return nil, err
			}
		}
		return one(quantized(tensor.Of[float64](y), x.DType, c.In[3], c.Input(4), y.Shape))
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

// inferQLinearPool infers a pooling by its float form.
func inferQLinearPool(infer func(c *Inference) ([]Fact, error)) func(c *Inference) ([]Fact, error) {
	return func(c *Inference) ([]Fact, error) {
		x := Fact{Type: c.Input(0).Type}
		last := c.Bool("channels_last", false) && len(x.Shape) > 2
		if last {
			x.Type = graph.OfDims(x.DType, moved(x.Shape, len(x.Shape)-1, 1))
		}
		out, err := infer(&Inference{Node: c.Node, Opset: c.Opset, In: []Fact{x}})
		if err != nil || !last || !out[0].Ranked {
			return out, err
		}
		dims := out[0].Shape
		return Typed(graph.OfDims(x.DType, moved(dims, 1, len(dims)-1))), nil
	}
}
