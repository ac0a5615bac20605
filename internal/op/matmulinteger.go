package op

import (
	"lowbit/internal/tensor"
)

// productOf multiplies a and b less their zero points: one number, or one for each row of a
// and each column of b.
func productOf(a, aZero, b, bZero *tensor.Tensor) ([]float64, *matmulShape, error) {
	s, err := newMatmul(a.Shape, b.Shape)
	if err != nil {
		return nil, nil, err
	}
	x, err := less(a, aZero, -2)
	if err != nil {
		return nil, nil, err
	}
	y, err := less(b, bZero, -1)
	if err != nil {
		return nil, nil, err
	}
	return multiply(s, x, y), s, nil
}

func evalMatMulInteger(c *Call) ([]*tensor.Tensor, error) {
	acc, s, err := productOf(c.In[0], c.Input(2), c.In[1], c.Input(3))
	if err != nil {
		return nil, err
	}
	return one(fromFloats(tensor.Int32, acc, s.out))
}

func inferMatMulInteger(c *Inference) ([]Fact, error) {
	return inferProduct(tensor.Int32, c.Input(0), c.Input(1))
}

// evalQLinearMatMul multiplies quantized matrices. Inputs: a, its scale and zero point, b
// likewise, scale and zero point of the result.
func evalQLinearMatMul(c *Call) ([]*tensor.Tensor, error) {
	acc, s, err := productOf(c.In[0], c.In[2], c.In[3], c.In[5])
	if err != nil {
		return nil, err
	}
	r, err := newRequant(c.In[1], c.In[4], c.In[6], c.In[7])
	if err != nil {
		return nil, err
	}
	return quantizedProduct(acc, s, r, c.In[1], c.In[4])
}

// matmulChannel finds the scale of each sum where rows of a or columns of b have their own.
func matmulChannel(s *matmulShape, rows, cols int) (func(int) int, error) {
	switch {
	case rows == 1 && cols == s.n:
		return func(i int) int { return i % s.n }, nil
	case cols == 1 && rows == s.m:
		return func(i int) int { return i / s.n % s.m }, nil
	}
	return nil, unsupportedf("%d scales for rows and %d for columns of a product %v", rows, cols, s.out)
}

func inferQLinearMatMul(c *Inference) ([]Fact, error) {
	return inferProduct(c.Input(7).DType, c.Input(0), c.Input(3))
}
