package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// convolved convolves x (N,C,D...) and w (M,C/group,k...) less their zero points: one number
// for x, one or one for each output channel for w. Padding counts as x's zero point.
func convolved(n *graph.Node, x, xZero, w, wZero, bias *tensor.Tensor) ([]float64, *convolution, error) {
	v, err := newConvolution(n, x.Shape, w.Shape)
	if err != nil {
		return nil, nil, err
	}
	if xZero != nil && xZero.Len() != 1 {
		return nil, nil, invalidf("zero point of the input has shape %v, a scalar is needed", xZero.Shape)
	}
	if err := wantShape("bias", bias, v.outC); err != nil {
		return nil, nil, err
	}
	in, err := less(x, xZero, -1)
	if err != nil {
		return nil, nil, err
	}
	filter, err := less(w, wZero, -w.Rank())
	if err != nil {
		return nil, nil, err
	}
	b, err := floatsOf(bias)
	if err != nil {
		return nil, nil, err
	}
	return v.apply(in, filter, b[0]), v, nil
}

func evalConvInteger(c *Call) ([]*tensor.Tensor, error) {
	acc, v, err := convolved(c.Node, c.In[0], c.Input(2), c.In[1], c.Input(3), nil)
	if err != nil {
		return nil, err
	}
	return one(fromFloats(tensor.Int32, acc, v.shape()))
}

func inferConvInteger(c *Inference) ([]Fact, error) {
	return inferConvAs(c, tensor.Int32, c.Input(0), c.Input(1))
}

// evalQLinearConv convolves quantized tensors. Inputs: x, its scale and zero point, w
// likewise, scale and zero point of the result, bias (M) at the product of the first two scales.
func evalQLinearConv(c *Call) ([]*tensor.Tensor, error) {
	acc, v, err := convolved(c.Node, c.In[0], c.In[2], c.In[3], c.In[5], c.Input(8))
	if err != nil {
		return nil, err
	}
	if c.In[1].Len() != 1 {
		return nil, invalidf("scale of the input has shape %v, a scalar is needed", c.In[1].Shape)
	}
	r, err := newRequant(c.In[1], c.In[4], c.In[6], c.In[7])
	if err != nil {
		return nil, err
	}
	channel := perTensor
	if n := len(r.scales); n > 1 {
		if n != v.outC {
			return nil, invalidf("%d weight scales for %d output channels", n, v.outC)
		}
		plane := tensor.Elements(v.out)
		channel = func(i int) int { return i / plane % v.outC }
	}
	return one(r.apply(acc, v.shape(), channel))
}

func inferQLinearConv(c *Inference) ([]Fact, error) {
	return inferConvAs(c, c.Input(7).DType, c.Input(0), c.Input(3))
}
