package op

import (
	"cmp"

	"lowbit/internal/tensor"
)

// compare returns the Eval of a comparison: holds gets the order of two elements, -1, 0 or 1.
// A comparison with NaN is false.
func compare(holds func(order int) bool) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		a, b := c.In[0], c.In[1]
		shape, err := zipShape(tensor.Bool, a, b)
		if err != nil {
			return nil, err
		}
		v, err := compareElements(a, b, shape, holds)
		if err != nil {
			return nil, err
		}
		return one(bools(v, shape), nil)
	}
}

func compareElements(a, b *tensor.Tensor, shape []int, holds func(int) bool) ([]bool, error) {
	switch {
	case a.DType == tensor.String:
		return zip(a.Str, b.Str, a.Shape, b.Shape, shape, ordered[string](holds)), nil
	case a.DType == tensor.Uint64:
		return zip(tensor.Of[uint64](a), tensor.Of[uint64](b), a.Shape, b.Shape, shape, ordered[uint64](holds)), nil
	case a.DType.IsFloat():
		x, err := floats(a)
		if err != nil {
			return nil, err
		}
		y, err := floats(b)
		if err != nil {
			return nil, err
		}
		test := ordered[float64](holds)
		return zip(x, y, a.Shape, b.Shape, shape, func(x, y float64) bool { return x == x && y == y && test(x, y) }), nil
	}
	x, err := ints(a)
	if err != nil {
		return nil, err
	}
	y, err := ints(b)
	if err != nil {
		return nil, err
	}
	return zip(x, y, a.Shape, b.Shape, shape, ordered[int64](holds)), nil
}

func ordered[T cmp.Ordered](holds func(int) bool) func(x, y T) bool {
	return func(x, y T) bool { return holds(cmp.Compare(x, y)) }
}

var (
	evalEqual          = compare(func(o int) bool { return o == 0 })
	evalGreater        = compare(func(o int) bool { return o > 0 })
	evalGreaterOrEqual = compare(func(o int) bool { return o >= 0 })
	evalLess           = compare(func(o int) bool { return o < 0 })
	evalLessOrEqual    = compare(func(o int) bool { return o <= 0 })
)

func inferCompare(c *Inference) ([]Fact, error) {
	return inferBroadcast(tensor.Bool, c.Input(0), c.Input(1))
}

// inferEqual also compares the elements of integer vectors that inference followed.
func inferEqual(c *Inference) ([]Fact, error) {
	out, err := inferCompare(c)
	a, okA := elemsOf(c.Input(0))
	b, okB := elemsOf(c.Input(1))
	if err != nil || !okA || !okB || len(a) != len(b) || !followsElems(c.Input(0).Type) {
		return out, err
	}
	v := make([]bool, len(a))
	for i := range a {
		known := false
		if v[i], known = equalDims(a[i], b[i]); !known {
			return out, nil
		}
	}
	if shape, ok := out[0].Static(); ok && tensor.Elements(shape) == len(v) {
		out[0].Value = bools(v, shape)
	}
	return out, nil
}
