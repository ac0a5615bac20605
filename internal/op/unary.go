package op

import (
	"math"

	"lowbit/internal/tensor"
)

// elementwise returns the Eval of a function of real numbers.
func elementwise(f func(float64) float64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) { return one(mapFloats(c.In[0], f)) }
}

// elementwiseInt is elementwise for operators that integers have too.
func elementwiseInt(f func(float64) float64, i func(int64) int64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		if c.In[0].DType.IsFloat() {
			return one(mapFloats(c.In[0], f))
		}
		return one(mapInts(c.In[0], i))
	}
}

func evalAbs(c *Call) ([]*tensor.Tensor, error) {
	if c.In[0].DType.Class() == tensor.ClassUint {
		return one(c.In[0], nil)
	}
	return elementwiseInt(math.Abs, func(x int64) int64 { return max(x, -x) })(c)
}

func evalSign(c *Call) ([]*tensor.Tensor, error) {
	if c.In[0].DType.Class() == tensor.ClassUint {
		return one(mapInts(c.In[0], func(x int64) int64 {
			if x != 0 {
				return 1
			}
			return 0
		}))
	}
	return elementwiseInt(signFloat, signInt)(c)
}

func signFloat(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

func signInt(x int64) int64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// test returns the Eval of a predicate of real numbers.
func test(holds func(c *Call) func(float64) bool) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x, err := floats(c.In[0])
		if err != nil {
			return nil, err
		}
		f := holds(c)
		out := make([]bool, len(x))
		for i, v := range x {
			out[i] = f(v)
		}
		return one(bools(out, c.In[0].Shape), nil)
	}
}

var evalIsNaN = test(func(*Call) func(float64) bool { return math.IsNaN })

var evalIsInf = test(func(c *Call) func(float64) bool {
	neg, pos := c.Bool("detect_negative", true), c.Bool("detect_positive", true)
	return func(x float64) bool { return neg && math.IsInf(x, -1) || pos && math.IsInf(x, 1) }
})

// inferTest keeps the shape and makes the element type bool.
func inferTest(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	t.DType = tensor.Bool
	return Typed(t), nil
}

// erfInt truncates the error function of an integer.
func erfInt(x int64) int64 { return int64(math.Erf(float64(x))) }
