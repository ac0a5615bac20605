package op

import "lowbit/internal/tensor"

// logic returns the Eval of a binary operator on truth values.
func logic(f func(x, y bool) bool) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		a, b := c.In[0], c.In[1]
		shape, err := zipShape(tensor.Bool, a, b)
		if err != nil {
			return nil, err
		}
		return one(bools(zip(truths(a), truths(b), a.Shape, b.Shape, shape, f), shape), nil)
	}
}

// truths returns a bool tensor's elements; any byte but 0 is true.
func truths(t *tensor.Tensor) []bool {
	out := make([]bool, len(t.Raw))
	for i, v := range t.Raw {
		out[i] = v != 0
	}
	return out
}

var (
	evalAnd = logic(func(x, y bool) bool { return x && y })
	evalOr  = logic(func(x, y bool) bool { return x || y })
	evalXor = logic(func(x, y bool) bool { return x != y })
)

func evalNot(c *Call) ([]*tensor.Tensor, error) {
	v := truths(c.In[0])
	for i := range v {
		v[i] = !v[i]
	}
	return one(bools(v, c.In[0].Shape), nil)
}

var (
	andBits = &arith{i: func(x, y int64) int64 { return x & y }}
	orBits  = &arith{i: func(x, y int64) int64 { return x | y }}
	xorBits = &arith{i: func(x, y int64) int64 { return x ^ y }}
)

func evalBitwiseNot(c *Call) ([]*tensor.Tensor, error) {
	return one(mapInts(c.In[0], func(x int64) int64 { return ^x }))
}

// evalBitShift shifts by Y bits. Amounts below 0 or not below the width of the type leave
// what sign extension alone produces.
func evalBitShift(c *Call) ([]*tensor.Tensor, error) {
	width := int64(c.In[0].DType.Bits())
	amount := func(y int64) uint64 {
		if y < 0 || y >= width {
			return 64
		}
		return uint64(y)
	}
	switch dir := c.Str("direction", ""); dir {
	case "LEFT":
		o := &arith{i: func(x, y int64) int64 { return x << amount(y) }}
		return o.eval(c)
	case "RIGHT":
		o := &arith{
			i: func(x, y int64) int64 { return x >> amount(y) },
			u: func(x, y uint64) uint64 { return x >> amount(int64(y)) },
		}
		return o.eval(c)
	default:
		return nil, invalidf("direction %q is neither LEFT nor RIGHT", dir)
	}
}
