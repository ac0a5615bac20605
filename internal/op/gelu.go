package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// biased returns the Eval of f(x+bias), the bias an optional vector along the last axis.
func biased(f func(float64) float64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x, bias := c.In[0], c.Input(1)
		if bias == nil {
			return one(mapFloats(x, f))
		}
		if bias.Rank() != 1 || !broadcastsTo(bias.Shape, x.Shape) {
			return nil, invalidf("bias of shape %v for an input of shape %v", bias.Shape, x.Shape)
		}
		sum := &arith{f: func(x, y float64) float64 { return f(x + y) }}
		return one(sum.apply(x, bias))
	}
}

// fastGelu is geluTanh with the constants rounded as FastGelu states them.
func fastGelu(x float64) float64 {
	return x * sigmoid(2*(0.7978845608028654*x+0.035677408136300125*x*x*x))
}

// quickGelu is x·sigmoid(alpha·x).
func quickGelu(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 1.702))
	return func(x float64) float64 { return x * sigmoid(alpha*x) }
}
