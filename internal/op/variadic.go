package op

import "lowbit/internal/tensor"

// evalFold folds any number of broadcast operands with o, rounding after every step.
func evalFold(o *arith) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		if err := wantInputs(c); err != nil {
			return nil, err
		}
		acc := c.In[0]
		for _, t := range c.In[1:] {
			var err error
			if acc, err = o.apply(acc, t); err != nil {
				return nil, err
			}
		}
		return one(acc, nil)
	}
}

// evalMean is the mean of any number of broadcast operands.
func evalMean(c *Call) ([]*tensor.Tensor, error) {
	sum, err := evalFold(addArith)(c)
	if err != nil {
		return nil, err
	}
	n := float64(len(c.In))
	return one(mapFloats(sum[0], func(x float64) float64 { return x / n }))
}

func inferFold(c *Inference) ([]Fact, error) {
	if len(c.In) == 0 {
		return nil, invalidf("no inputs")
	}
	return inferBroadcast(c.Input(0).DType, c.In...)
}
