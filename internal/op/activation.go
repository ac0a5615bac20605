package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// activation returns the Eval of a function of real numbers whose constants are attributes.
func activation(of func(n *graph.Node) func(float64) float64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) { return one(mapFloats(c.In[0], of(c.Node))) }
}

func relu(x float64) float64 {
	if x < 0 {
		return 0
	}
	return x
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func softplus(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}

func softsign(x float64) float64 { return x / (1 + math.Abs(x)) }

func mish(x float64) float64 { return x * math.Tanh(softplus(x)) }

// hardSwish is x·HardSigmoid(x) with alpha 1/6 and beta 1/2.
func hardSwish(x float64) float64 { return x * clamp(x/6+0.5, 0, 1) }

// clamp keeps NaN.
func clamp(x, lo, hi float64) float64 {
	switch {
	case x < lo:
		return lo
	case x > hi:
		return hi
	}
	return x
}

// geluErf is x·Φ(x) (Hendrycks and Gimpel 2016).
func geluErf(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }

// geluTanh is the tanh approximation of geluErf (ibid., section 2).
func geluTanh(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func elu(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 1))
	return func(x float64) float64 {
		if x < 0 {
			return alpha * math.Expm1(x)
		}
		return x
	}
}

func celu(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 1))
	return func(x float64) float64 { return max(0, x) + min(0, alpha*math.Expm1(x/alpha)) }
}

func selu(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 1.67326319217681884765625))
	gamma := float64(n.Float("gamma", 1.05070102214813232421875))
	return func(x float64) float64 {
		if x > 0 {
			return gamma * x
		}
		return gamma * alpha * math.Expm1(x)
	}
}

func leakyRelu(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 0.01))
	return func(x float64) float64 {
		if x < 0 {
			return alpha * x
		}
		return x
	}
}

func thresholdedRelu(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 1))
	return func(x float64) float64 {
		if x > alpha {
			return x
		}
		return 0
	}
}

func hardSigmoid(n *graph.Node) func(float64) float64 {
	alpha, beta := float64(n.Float("alpha", 0.2)), float64(n.Float("beta", 0.5))
	return func(x float64) float64 { return clamp(alpha*x+beta, 0, 1) }
}

func swish(n *graph.Node) func(float64) float64 {
	alpha := float64(n.Float("alpha", 1))
	return func(x float64) float64 { return x * sigmoid(alpha*x) }
}

func evalGelu(c *Call) ([]*tensor.Tensor, error) {
	switch how := c.Str("approximate", "none"); how {
	case "none":
		return one(mapFloats(c.In[0], geluErf))
	case "tanh":
		return one(mapFloats(c.In[0], geluTanh))
	default:
		return nil, invalidf("approximate %q is neither none nor tanh", how)
	}
}

// evalShrink moves values beyond ±lambd toward zero by bias and makes the others 0.
func evalShrink(c *Call) ([]*tensor.Tensor, error) {
	bias, lambd := float64(c.Float("bias", 0)), float64(c.Float("lambd", 0.5))
	shrink := func(x float64) float64 {
		switch {
		case x < -lambd:
			return x + bias
		case x > lambd:
			return x - bias
		}
		return 0
	}
	if c.In[0].DType.IsFloat() {
		return one(mapFloats(c.In[0], shrink))
	}
	x, err := floats(c.In[0])
	if err != nil {
		return nil, err
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = shrink(v)
	}
	return one(fromFloats(c.In[0].DType, y, c.In[0].Shape))
}

// evalSwiGLU is Swish(A)·B; the operands do not broadcast.
func evalSwiGLU(c *Call) ([]*tensor.Tensor, error) {
	f := swish(c.Node)
	o := &arith{f: func(x, y float64) float64 { return f(x) * y }}
	if !slices.Equal(c.In[0].Shape, c.In[1].Shape) {
		return nil, invalidf("shapes %v and %v differ", c.In[0].Shape, c.In[1].Shape)
	}
	return o.eval(c)
}

// prelu scales negative values by slope, which broadcasts to X.
var prelu = &arith{
	f: func(x, y float64) float64 {
		if x < 0 {
			return x * y
		}
		return x
	},
	i: func(x, y int64) int64 {
		if x < 0 {
			return x * y
		}
		return x
	},
	u: func(x, _ uint64) uint64 { return x },
}

func evalPRelu(c *Call) ([]*tensor.Tensor, error) {
	out, err := prelu.apply(c.In[0], c.In[1])
	if err == nil && !slices.Equal(out.Shape, c.In[0].Shape) {
		return nil, invalidf("slope of shape %v does not broadcast to %v", c.In[1].Shape, c.In[0].Shape)
	}
	return one(out, err)
}
