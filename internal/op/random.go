package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A draw returns the next number of a distribution that a node's attributes describe.
type draw func(n *graph.Node, m *mersenne) func() float64

func drawNormal(n *graph.Node, m *mersenne) func() float64 {
	mean, scale := float64(n.Float("mean", 0)), float64(n.Float("scale", 1))
	return func() float64 { return mean + float64(scale*m.normal()) }
}

func drawUniform(n *graph.Node, m *mersenne) func() float64 {
	low, high := float64(n.Float("low", 0)), float64(n.Float("high", 1))
	return func() float64 { return low + float64((high-low)*m.float64()) }
}

// randomShape returns the Eval of a random tensor whose shape is an attribute.
func randomShape(of draw) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		d, err := dtypeAttr(c.Node, "dtype", tensor.Float32)
		if err != nil {
			return nil, err
		}
		return one(drawn(c, of, d, c.Ints("shape")))
	}
}

// randomLike returns the Eval of a random tensor of the input's shape.
func randomLike(of draw) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		d, err := dtypeAttr(c.Node, "dtype", c.In[0].DType)
		if err != nil {
			return nil, err
		}
		return one(drawn(c, of, d, c.In[0].Shape))
	}
}

func drawn(c *Call, of draw, d tensor.DType, shape []int) (*tensor.Tensor, error) {
	if !d.IsFloat() {
		return nil, invalidf("dtype %s is not a floating-point type", d)
	}
	n, err := checkSize(tensor.Float64, shape)
	if err != nil {
		return nil, err
	}
	next := of(c.Node, c.random())
	x := make([]float64, n)
	for i := range x {
		x[i] = next()
	}
	return fromFloats(d, x, shape)
}

func inferRandom(c *Inference) ([]Fact, error) {
	d, err := dtypeAttr(c.Node, "dtype", tensor.Float32)
	if err != nil {
		return nil, err
	}
	shape := c.Node.Ints("shape")
	if _, err := checkSize(tensor.Float64, shape); err != nil {
		return nil, err
	}
	return Typed(graph.Of(d, shape...)), nil
}

// evalBernoulli draws 1 with the probability that the input gives, else 0.
func evalBernoulli(c *Call) ([]*tensor.Tensor, error) {
	d, err := dtypeAttr(c.Node, "dtype", c.In[0].DType)
	if err != nil {
		return nil, err
	}
	p, err := floats(c.In[0])
	if err != nil {
		return nil, err
	}
	m := c.random()
	out := make([]int64, len(p))
	for i, v := range p {
		if m.float64() < v {
			out[i] = 1
		}
	}
	return one(fromInts(d, out, c.In[0].Shape))
}

// evalMultinomial draws classes from each row of unnormalized log-probabilities (N,classes).
func evalMultinomial(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	d, err := dtypeAttr(c.Node, "dtype", tensor.Int32)
	if err != nil {
		return nil, err
	}
	if x.Rank() != 2 || x.Shape[1] == 0 {
		return nil, invalidf("input of shape %v, (batch,classes) is needed", x.Shape)
	}
	samples := c.Int("sample_size", 1)
	shape := []int{x.Shape[0], samples}
	if _, err := checkSize(tensor.Int64, shape); err != nil {
		return nil, err
	}
	logits, err := floats(x)
	if err != nil {
		return nil, err
	}
	m := c.random()
	out := make([]int64, 0, tensor.Elements(shape))
	for r := range x.Shape[0] {
		row := logits[r*x.Shape[1]:][:x.Shape[1]]
		for range samples {
			out = append(out, pickClass(row, m.float64()))
		}
	}
	return one(fromInts(d, out, shape))
}

// pickClass returns the class in whose part of the distribution u in [0,1) falls.
func pickClass(logits []float64, u float64) int64 {
	lse := logSumExp(logits)
	sum := 0.0
	for i, v := range logits {
		if sum += math.Exp(v - lse); u < sum {
			return int64(i)
		}
	}
	return int64(len(logits) - 1)
}

func inferMultinomial(c *Inference) ([]Fact, error) {
	d, err := dtypeAttr(c.Node, "dtype", tensor.Int32)
	if err != nil {
		return nil, err
	}
	n := c.Int("sample_size", 1)
	if n < 0 {
		return nil, invalidf("sample_size %d", n)
	}
	batch := graph.Unknown
	if s := c.Input(0).Shape; len(s) == 2 {
		batch = s[0]
	}
	return Typed(graph.OfDims(d, []graph.Dim{batch, graph.Known(n)})), nil
}
