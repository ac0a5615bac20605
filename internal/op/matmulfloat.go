package op

import "lowbit/internal/tensor"

// evalMatMulIntegerToFloat multiplies codes and returns real numbers. Inputs: A, B, their
// scales, their zero points, a bias for each column.
func evalMatMulIntegerToFloat(c *Call) ([]*tensor.Tensor, error) {
	acc, s, err := productOf(c.In[0], c.Input(4), c.In[1], c.Input(5))
	if err != nil {
		return nil, err
	}
	return one(scaled(acc, s, c.In[2], c.In[3], c.Input(6), c.In[2].DType))
}

func inferMatMulIntegerToFloat(c *Inference) ([]Fact, error) {
	return inferProduct(c.Input(2).DType, c.Input(0), c.Input(1))
}

// evalDynamicQuantizeMatMul quantizes A to uint8 over its own range and multiplies it with
// codes B. Inputs: A, B, scale and zero point of B, a bias for each column.
func evalDynamicQuantizeMatMul(c *Call) ([]*tensor.Tensor, error) {
	codes, scale, zero := dynamicU8(tensor.Of[float32](c.In[0]))
	a := tensor.Wrap(tensor.Uint8, codes, c.In[0].Shape...)
	acc, s, err := productOf(a, tensor.Wrap(tensor.Uint8, []uint8{zero}), c.In[1], c.Input(3))
	if err != nil {
		return nil, err
	}
	return one(scaled(acc, s, tensor.Scalar(scale), c.In[2], c.Input(4), tensor.Float32))
}

func inferDynamicQuantizeMatMul(c *Inference) ([]Fact, error) {
	return inferProduct(tensor.Float32, c.Input(0), c.Input(1))
}
