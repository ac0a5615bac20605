package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalCausalConv convolves every channel of input (N,C,L) with its own kernel (C,1,K), which
// sees the past alone: past_state (N,C,K-1) or zeros come in front.
func evalCausalConv(c *Call) ([]*tensor.Tensor, error) {
	x, w := c.In[0], c.In[1]
	if x.Rank() != 3 || w.Rank() != 3 || w.Shape[0] != x.Shape[1] || w.Shape[1] != 1 || w.Shape[2] < 1 {
		return nil, invalidf("input of shape %v and weight of shape %v", x.Shape, w.Shape)
	}
	batch, channels, length, k := x.Shape[0], x.Shape[1], x.Shape[2], w.Shape[2]
	state := []int{batch, channels, k - 1}
	if err := wantShape("bias", c.Input(2), channels); err != nil {
		return nil, err
	}
	if err := wantShape("past_state", c.Input(3), state...); err != nil {
		return nil, err
	}
	if _, err := sized(state); err != nil {
		return nil, err
	}
	act, err := causalActivation(c.Node)
	if err != nil {
		return nil, err
	}
	in, err := floatsOf(x, w, c.Input(2), c.Input(3))
	if err != nil {
		return nil, err
	}
	y, carry := make([]float64, x.Len()), make([]float64, tensor.Elements(state))
	row := make([]float64, k-1+length) // the past, then the input
	for i := range batch * channels {
		clear(row)
		if in[3] != nil {
			copy(row, in[3][i*(k-1):(i+1)*(k-1)])
		}
		copy(row[k-1:], in[0][i*length:(i+1)*length])
		copy(carry[i*(k-1):(i+1)*(k-1)], row[length:])
		ch, bias := i%channels, 0.0
		if in[2] != nil {
			bias = in[2][ch]
		}
		for t := range length {
			y[i*length+t] = act(dot(in[1][ch*k:(ch+1)*k], row[t:t+k]) + bias)
		}
	}
	out, err := fromFloats(x.DType, y, x.Shape)
	if err != nil {
		return nil, err
	}
	present, err := fromFloats(x.DType, carry, state)
	return []*tensor.Tensor{out, present}, err
}

func causalActivation(n *graph.Node) (func(float64) float64, error) {
	switch a := n.Str("activation", "none"); a {
	case "none":
		return func(x float64) float64 { return x }, nil
	case "silu", "swish":
		return func(x float64) float64 { return x * sigmoid(x) }, nil
	default:
		return nil, invalidf("activation %q", a)
	}
}

func inferCausalConv(c *Inference) ([]Fact, error) {
	x, w := c.Input(0), c.Input(1)
	state := unknownDims(3)
	if x.Ranked {
		if len(x.Shape) != 3 {
			return nil, invalidf("%s, three dimensions are needed", x.Type)
		}
		copy(state, x.Shape[:2])
	}
	if w.Ranked && len(w.Shape) == 3 && w.Shape[2].Size >= 1 {
		state[2] = graph.Known(w.Shape[2].Size - 1)
	}
	return Typed(x.Type, graph.OfDims(x.DType, state)), nil
}
