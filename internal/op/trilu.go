package op

import (
	"lowbit/internal/tensor"
)

// evalTrilu keeps the triangle above (or below) the k-th diagonal of each matrix.
func evalTrilu(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if x.Rank() < 2 {
		return nil, invalidf("%s holds no matrices", x)
	}
	k := 0
	if c.Has(1) {
		v, err := indices(c.In[1])
		if err != nil || len(v) != 1 {
			return nil, invalidf("k is %s, not one number", c.In[1])
		}
		k = v[0]
	}
	dst, err := newCells(x.DType, x.Shape)
	if err != nil {
		return nil, err
	}
	src, upper := cellsOf(x), c.Bool("upper", true)
	rows, cols := x.Shape[x.Rank()-2], x.Shape[x.Rank()-1]
	k = max(-rows-1, min(k, cols+1))
	for r := range tensor.Elements(x.Shape[:x.Rank()-1]) {
		lo, hi := 0, cols
		if edge := max(0, min(r%rows+k, cols)); upper {
			lo = edge
		} else {
			hi = max(0, min(r%rows+k+1, cols))
		}
		dst.copy(r*cols+lo, src, r*cols+lo, hi-lo)
	}
	return []*tensor.Tensor{dst.tensor(x.DType, x.Shape)}, nil
}
