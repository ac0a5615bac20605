package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// scaleOf returns a scale and a zero point that hold for a whole tensor; an absent zero point is 0.
func scaleOf(scale, zero *tensor.Tensor) (s float64, z int64, err error) {
	if scale.Len() != 1 || zero != nil && zero.Len() != 1 {
		return 0, 0, invalidf("scale of shape %v, a scalar is needed with a zero point like it", scale.Shape)
	}
	v, err := floats(scale)
	if err != nil {
		return 0, 0, err
	}
	q, err := zeros(zero, 1)
	if err != nil {
		return 0, 0, err
	}
	return v[0], q[0], nil
}

// dequantized returns the real values of a tensor of codes, each step rounded to float32.
func dequantized(x, scale, zero *tensor.Tensor) ([]float64, error) {
	s, z, err := scaleOf(scale, zero)
	if err != nil {
		return nil, err
	}
	v, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := make([]float64, len(v))
	for i, q := range v {
		y[i] = float64(float32(float64(float32(q-float64(z))) * s))
	}
	return y, nil
}

// quantized writes real values, rounded to float32, in the codes of element type d.
func quantized(y []float64, d tensor.DType, scale, zero *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	s, z, err := scaleOf(scale, zero)
	if err != nil {
		return nil, err
	}
	lo, hi := intRange(d)
	codes := make([]int64, len(y))
	for i, v := range y {
		codes[i] = saturated(float64(float32(float64(float32(v))/s)), z, lo, hi)
	}
	return fromInts(d, codes, shape)
}

// qlinearUnary returns the Eval of a function on codes. Inputs: X, its scale and zero point,
// scale and zero point of the result.
func qlinearUnary(of func(n *graph.Node) func(float64) float64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x := c.In[0]
		y, err := dequantized(x, c.In[1], c.Input(2))
		if err != nil {
			return nil, err
		}
		f := of(c.Node)
		for i, v := range y {
			y[i] = f(v)
		}
		return one(quantized(y, x.DType, c.In[3], c.Input(4), x.Shape))
	}
}

// qlinearBinary returns the Eval of an operator on two tensors of codes. Inputs: A, its scale
// and zero point, B likewise, scale and zero point of the result.
func qlinearBinary(f func(x, y float64) float64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		a, b := c.In[0], c.In[3]
		shape, err := zipShape(tensor.Float64, a, b)
		if err != nil {
			return nil, err
		}
		x, err := dequantized(a, c.In[1], c.Input(2))
		if err != nil {
			return nil, err
		}
		y, err := dequantized(b, c.In[4], c.Input(5))
		if err != nil {
			return nil, err
		}
		return one(quantized(zip(x, y, a.Shape, b.Shape, shape, f), a.DType, c.In[6], c.Input(7), shape))
	}
}

func inferQLinearBinary(c *Inference) ([]Fact, error) {
	return inferBroadcast(c.Input(0).DType, c.Input(0), c.Input(3))
}

// evalQLinearSoftmax is Softmax on codes as the opset of attribute opset defines it.
func evalQLinearSoftmax(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	outer, n, inner, err := softmaxAxes(c.Node, c.Int("opset", 13), x.Shape)
	if err != nil {
		return nil, err
	}
	v, err := dequantized(x, c.In[1], c.Input(2))
	if err != nil {
		return nil, err
	}
	y := make([]float64, len(v))
	eachRow(v, y, outer, n, inner, softmaxRow)
	return one(quantized(y, x.DType, c.In[3], c.Input(4), x.Shape))
}

// evalQLinearConcat joins tensors of codes, each with its scale and zero point behind it,
// after scale and zero point of the result.
func evalQLinearConcat(c *Call) ([]*tensor.Tensor, error) {
	parts, err := triples(len(c.In))
	if err != nil {
		return nil, err
	}
	real := make([]*tensor.Tensor, parts)
	for i := range real {
		x, scale, zero := c.In[2+3*i], c.In[3+3*i], c.In[4+3*i]
		if err := checkCodes(x, scale, zero); err != nil {
			return nil, err
		}
		v, err := dequantized(x, scale, zero)
		if err != nil {
			return nil, err
		}
		real[i] = tensor.Wrap(tensor.Float64, v, x.Shape...)
	}
	axis, err := axisOf(c.Int("axis", 0), real[0].Rank())
	if err != nil {
		return nil, err
	}
	y, err := concat(real, axis)
	if err != nil {
		return nil, err
	}
	return one(quantized(tensor.Of[float64](y), c.In[1].DType, c.In[0], c.In[1], y.Shape))
}

// checkCodes refuses operands whose types the signature leaves open.
func checkCodes(x, scale, zero *tensor.Tensor) error {
	if x == nil || scale == nil || zero == nil {
		return invalidf("an input, scale or zero point is left out")
	}
	if !x.DType.IsInt() || zero.DType != x.DType || scale.DType != tensor.Float32 {
		return invalidf("codes of type %s with a scale of type %s and a zero point of type %s", x.DType, scale.DType, zero.DType)
	}
	return nil
}

// triples returns how many operands with scale and zero point n inputs hold.
func triples(n int) (int, error) {
	if n < 5 || (n-2)%3 != 0 {
		return 0, invalidf("%d inputs are not scale, zero point and triples behind them", n)
	}
	return (n - 2) / 3, nil
}

func inferQLinearConcat(c *Inference) ([]Fact, error) {
	parts, err := triples(len(c.In))
	if err != nil {
		return nil, err
	}
	in := make([]Fact, parts)
	for i := range in {
		in[i] = Fact{Type: c.In[2+3*i].Type}
	}
	out, err := inferConcat(&Inference{Node: c.Node, Opset: c.Opset, In: in})
	if err != nil {
		return nil, err
	}
	out[0] = Fact{Type: out[0].Type}
	out[0].DType = c.Input(1).DType
	return out, nil
}

// evalQLinearWhere is Where on codes. Inputs: the condition, X, its scale and zero point, Y likewise, scale and zero
// point of the result.
func evalQLinearWhere(c *Call) ([]*tensor.Tensor, error) {
	in := []*tensor.Tensor{c.In[0]}
	for _, i := range []int{1, 4} {
		v, err := dequantized(c.In[i], c.In[i+1], c.In[i+2])
		if err != nil {
			return nil, err
		}
		q, err := quantized(v, c.In[i].DType, c.In[7], c.In[8], c.In[i].Shape)
		if err != nil {
			return nil, err
		}
		in = append(in, q)
	}
	return evalWhere(&Call{Node: c.Node, Opset: c.Opset, In: in})
}

func inferQLinearWhere(c *Inference) ([]Fact, error) {
	return inferBroadcast(c.Input(1).DType, c.Input(0), c.Input(1), c.Input(4))
}
