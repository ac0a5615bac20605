package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalCausalConv convolves every channel of input (N,C,L) with its own kernel (C,1,K), whose taps lie dilation apart and
// which sees the past alone: past_state (N,C,(K-1)*dilation) or zeros come in front. That of ONNX Runtime may have channels last.
func evalCausalConv(c *Call) ([]*tensor.Tensor, error) {
	if err := causalOptions(c.Node); err != nil {
		return nil, err
	}
	if !c.Bool("channels_last", false) {
		return causalConv(c)
	}
	first := *c
	first.In = slices.Clone(c.In)
	for _, i := range []int{0, 3} {
		t := c.Input(i)
		if t == nil {
			continue
		}
		if t.Rank() != 3 {
			return nil, unsupportedf("channels of shape %v", t.Shape)
		}
		var err error
		if first.In[i], err = moveAxis(t, 2, 1); err != nil {
			return nil, err
		}
	}
	out, err := causalConv(&first)
	if err != nil {
		return nil, err
	}
	for i, t := range out {
		if out[i], err = moveAxis(t, 1, 2); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// causalOptions refuses what is not computed.
func causalOptions(n *graph.Node) error {
	for name, plain := range map[string]int{"ndim": 1, "state_window": 0, "state_update_capacity": 0, "state_channels_last": -1, "state_length": 0, "input_channel_offset": 0, "input_channels": 0} {
		if v := n.Int(name, plain); v != plain {
			return unsupportedf("%s %d", name, v)
		}
	}
	if d := n.Int("dilation", 1); d < 1 || d > maxElements {
		return invalidf("dilation %d", d)
	}
	return nil
}

// causalConv is evalCausalConv with channels first.
func causalConv(c *Call) ([]*tensor.Tensor, error) {
	x, w := c.In[0], c.In[1]
	if x.Rank() != 3 || w.Rank() != 3 || w.Shape[0] != x.Shape[1] || w.Shape[1] != 1 || w.Shape[2] < 1 || w.Shape[2] > maxElements {
		return nil, invalidf("input of shape %v and weight of shape %v", x.Shape, w.Shape)
	}
	batch, channels, length, k, apart := x.Shape[0], x.Shape[1], x.Shape[2], w.Shape[2], c.Int("dilation", 1)
	past := (k - 1) * apart
	state := []int{batch, channels, past}
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
	for i := range batch * channels {
		row := make([]float64, past, past+length) // the past, then the input
		if in[3] != nil {
			copy(row, in[3][i*past:])
		}
		row = append(row, in[0][i*length:(i+1)*length]...)
		copy(carry[i*past:(i+1)*past], row[length:])
		ch, bias := i%channels, 0.0
		if in[2] != nil {
			bias = in[2][ch]
		}
		for t := range length {
			sum := 0.0
			for j, v := range in[1][ch*k : (ch+1)*k] {
				sum += float64(v * row[t+j*apart])
			}
			y[i*length+t] = act(sum + bias)
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
	if err := causalOptions(c.Node); err != nil {
		return nil, err
	}
	state, along := unknownDims(3), 2
	if c.Node.Bool("channels_last", false) {
		along = 1
	}
	if x.Ranked {
		if len(x.Shape) != 3 {
			return nil, invalidf("%s, three dimensions are needed", x.Type)
		}
		copy(state, x.Shape)
		state[along] = graph.Unknown
	}
	if w.Ranked && len(w.Shape) == 3 && w.Shape[2].Size >= 1 && w.Shape[2].Size <= maxElements {
		state[along] = graph.Known((w.Shape[2].Size - 1) * c.Int("dilation", 1))
	}
	return Typed(x.Type, graph.OfDims(x.DType, state)), nil
}
