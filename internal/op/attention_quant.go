package op

import "lowbit/internal/tensor"

// evalQAttention is Attention of codes. Inputs: input (N,rows,width), weights (width,3*hidden), bias, their scales,
// mask_index, their zero points, past. The scale and zero point of the weights may be one for each column.
func evalQAttention(c *Call) ([]*tensor.Tensor, error) {
	x, w := c.In[0], c.In[1]
	switch {
	case c.Bool("do_rotary", false):
		return nil, unsupportedf("do_rotary")
	case c.Bool("past_present_share_buffer", false):
		return nil, unsupportedf("past_present_share_buffer")
	case x.Rank() != 3 || w.Rank() != 2:
		return nil, invalidf("input %v and weights %v, 3 and 2 dimensions are needed", x.Shape, w.Shape)
	}
	acc, s, err := productOf(x, c.Input(6), w, c.Input(7))
	if err != nil {
		return nil, err
	}
	y, err := scaled(acc, s, c.In[3], c.In[4], c.In[2], c.In[2].DType)
	if err != nil {
		return nil, err
	}
	v, err := floats(y)
	if err != nil {
		return nil, err
	}
	h, err := projectedHeads(c.Node, v, y.Shape)
	if err != nil {
		return nil, err
	}
	return attendProjected(c, y, h, c.Input(5), c.Input(8), nil)
}

func inferQAttention(c *Inference) ([]Fact, error) {
	return inferProjected(c, c.Input(2).DType, 8)
}
