package op

import "lowbit/internal/tensor"

// qlinearPool returns the Eval of an average pooling on codes: the pooling of their real
// values, quantized. Inputs: X, its scale and zero point, scale and zero point of the result.
func qlinearPool(pool func(c *Call) ([]*tensor.Tensor, error)) func(c *Call) ([]*tensor.Tensor, error) {
	return channelsLast(func(c *Call) ([]*tensor.Tensor, error) {
		x := c.In[0]
		if err := wantRank("input", x.Shape, 3); err != nil {
			return nil, err
		}
		v, err := dequantized(x, c.In[1], c.Input(2))
		if err != nil {
			return nil, err
		}
		out, err := pool(&Call{Node: c.Node, Opset: c.Opset, In: []*tensor.Tensor{tensor.Wrap(tensor.Float64, v, x.Shape...)}})
		if err != nil {
			return nil, err
		}
		return one(quantized(tensor.Of[float64](out[0]), x.DType, c.In[3], c.Input(4), out[0].Shape))
	})
}

// evalNhwcMaxPool is MaxPool without the places of the maxima.
func evalNhwcMaxPool(c *Call) ([]*tensor.Tensor, error) {
	out, err := evalMaxPool(c)
	if err != nil {
		return nil, err
	}
	return out[:1], nil
}
