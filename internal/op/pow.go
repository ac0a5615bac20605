package op

import (
	"math"

	"lowbit/internal/tensor"
)

// evalPow raises X to Y, whose type may differ; the result has the type of X.
func evalPow(c *Call) ([]*tensor.Tensor, error) {
	x, y := c.In[0], c.In[1]
	shape, err := zipShape(x.DType, x, y)
	if err != nil {
		return nil, err
	}
	if x.DType.IsInt() && y.DType.IsInt() {
		a, err := ints(x)
		if err != nil {
			return nil, err
		}
		b, err := ints(y)
		if err != nil {
			return nil, err
		}
		return one(fromInts(x.DType, zip(a, b, x.Shape, y.Shape, shape, powInt), shape))
	}
	v, err := floatsOf(x, y)
	if err != nil {
		return nil, err
	}
	return one(fromFloats(x.DType, zip(v[0], v[1], x.Shape, y.Shape, shape, powFloat), shape))
}

// powFloat is math.Pow with the exponents that networks use computed exactly.
func powFloat(x, y float64) float64 {
	switch y {
	case 2:
		return x * x
	case 3:
		return x * x * x
	}
	return math.Pow(x, y)
}

// powInt is x to the y by squaring, modulo 2^64; a negative exponent truncates.
func powInt(x, y int64) int64 {
	if y < 0 {
		switch {
		case x == 1 || x == -1 && y%2 == 0:
			return 1
		case x == -1:
			return -1
		}
		return 0
	}
	p := int64(1)
	for ; y > 0; y >>= 1 {
		if y&1 != 0 {
			p *= x
		}
		x *= x
	}
	return p
}
