package op

import (
	"lowbit/internal/tensor"
)

// evalEyeLike has ones on the k-th diagonal of a matrix as large as the input.
func evalEyeLike(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if x.Rank() != 2 {
		return nil, invalidf("%s is not a matrix", x)
	}
	d, err := dtypeAttr(c.Node, "dtype", x.DType)
	if err != nil {
		return nil, err
	}
	k := c.Int("k", 0)
	v, err := fromInts(d, []int64{1}, nil)
	if err != nil {
		return nil, err
	}
	dst, err := newCells(d, x.Shape)
	if err != nil {
		return nil, err
	}
	one := cellsOf(v)
	rows, cols := x.Shape[0], x.Shape[1]
	for i := range rows {
		if k < cols && k > -rows && i+k >= 0 && i+k < cols {
			dst.copy(i*cols+i+k, one, 0, 1)
		}
	}
	return []*tensor.Tensor{dst.tensor(d, x.Shape)}, nil
}
