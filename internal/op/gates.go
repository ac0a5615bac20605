package op

import (
	"math"

	"lowbit/internal/tensor"
)

// evalGatedRMSNorm divides each run of as many elements as scale has by the root of its mean square, and multiplies it with
// scale and with a function of the gate. Inputs: X, scale, gate of X's shape.
func evalGatedRMSNorm(c *Call) ([]*tensor.Tensor, error) {
	x, scale := c.In[0], c.In[1]
	if x.Rank() < 1 || scale.Rank() != 1 || scale.Len() < 1 || x.Shape[x.Rank()-1]%scale.Len() != 0 {
		return nil, invalidf("X %v and scale %v", x.Shape, scale.Shape)
	}
	if err := wantShape("gate", c.In[2], x.Shape...); err != nil {
		return nil, err
	}
	act := func(z float64) float64 { return z * sigmoid(z) }
	switch name := c.Str("activation", "silu"); name {
	case "silu", "swish":
	case "sigmoid":
		act = sigmoid
	default:
		return nil, invalidf("activation %q", name)
	}
	v, err := floatsOf(x, scale, c.In[2])
	if err != nil {
		return nil, err
	}
	y, size, eps := make([]float64, x.Len()), scale.Len(), float64(c.Float("epsilon", 1e-5))
	for at := 0; at < len(y); at += size {
		run := v[0][at : at+size]
		root := math.Sqrt(dot(run, run)/float64(size) + eps)
		for i, e := range run {
			y[at+i] = e / root * v[1][i] * act(v[2][at+i])
		}
	}
	return one(fromFloats(x.DType, y, x.Shape))
}

// evalLinearAttentionGate gives the gates of LinearAttention: decay_scale·softplus(a+dt_bias), and the sigmoid of b. Inputs: a
// (N,T,heads), dt_bias and decay_scale (heads), b (N,T,heads).
func evalLinearAttentionGate(c *Call) ([]*tensor.Tensor, error) {
	a, b := c.In[0], c.Input(3)
	if a.Rank() != 3 || c.Wants(1) && b == nil {
		return nil, invalidf("a of shape %v, which needs three dimensions, and b where beta is read", a.Shape)
	}
	heads := a.Shape[2]
	for i := 1; i <= 2; i++ {
		if err := wantShape("dt_bias or decay_scale", c.In[i], heads); err != nil {
			return nil, err
		}
	}
	if err := wantShape("b", b, a.Shape...); err != nil {
		return nil, err
	}
	v, err := floatsOf(a, c.In[1], c.In[2])
	if err != nil {
		return nil, err
	}
	decay := make([]float64, a.Len())
	for i := range decay {
		decay[i] = v[2][i%heads] * softplus(v[0][i]+v[1][i%heads])
	}
	out := make([]*tensor.Tensor, 2)
	if out[0], err = fromFloats(a.DType, decay, a.Shape); err == nil && b != nil {
		out[1], err = mapFloats(b, sigmoid)
	}
	return out, err
}
