package op

import (
	"lowbit/internal/tensor"
)

// evalReverseSequence reverses the first sequence_lens[b] steps of each batch entry.
func evalReverseSequence(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	batch, time := c.Int("batch_axis", 1), c.Int("time_axis", 0)
	if x.Rank() < 2 || batch+time != 1 || batch*time != 0 {
		return nil, invalidf("batch axis %d and time axis %d of %s", batch, time, x)
	}
	lens, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	if len(lens) != x.Shape[batch] {
		return nil, invalidf("%d lengths for a batch of %d", len(lens), x.Shape[batch])
	}
	dst, err := newCells(x.DType, x.Shape)
	if err != nil {
		return nil, err
	}
	src, own := cellsOf(x), strides(x.Shape)
	run := tensor.Elements(x.Shape[2:])
	for b, n := range lens {
		if n < 0 || n > x.Shape[time] {
			return nil, invalidf("length %d of %d steps", n, x.Shape[time])
		}
		for t := range x.Shape[time] {
			from := t
			if t < n {
				from = n - 1 - t
			}
			dst.copy(b*own[batch]+t*own[time], src, b*own[batch]+from*own[time], run)
		}
	}
	return []*tensor.Tensor{dst.tensor(x.DType, x.Shape)}, nil
}
