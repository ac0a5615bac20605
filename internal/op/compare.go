package op

import (
	"cmp"

	"lowbit/internal/tensor"
)

// A relation is what a comparison asks of two elements. With NaN none holds.
type relation int

const (
	isEqual relation = iota
	isGreater
	isGreaterOrEqual
	isLess
	isLessOrEqual
)

// eval returns the Eval of a comparison.
func (r relation) eval(c *Call) ([]*tensor.Tensor, error) {
	a, b := c.In[0], c.In[1]
	shape, err := zipShape(tensor.Bool, a, b)
	if err != nil {
		return nil, err
	}
	v, err := compareElements(r, a, b, shape)
	if err != nil {
		return nil, err
	}
	return one(bools(v, shape), nil)
}

func compareElements(r relation, a, b *tensor.Tensor, shape []int) ([]bool, error) {
	switch {
	case a.DType == tensor.String:
		return related(r, a.Str, b.Str, a.Shape, b.Shape, shape), nil
	case a.DType == tensor.Uint64:
		return related(r, tensor.Of[uint64](a), tensor.Of[uint64](b), a.Shape, b.Shape, shape), nil
	case a.DType == tensor.Float32:
		return related(r, tensor.Of[float32](a), tensor.Of[float32](b), a.Shape, b.Shape, shape), nil
	case a.DType.IsFloat():
		x, err := floatsOf(a, b)
		if err != nil {
			return nil, err
		}
		return related(r, x[0], x[1], a.Shape, b.Shape, shape), nil
	}
	x, err := ints(a)
	if err != nil {
		return nil, err
	}
	y, err := ints(b)
	if err != nil {
		return nil, err
	}
	return related(r, x, y, a.Shape, b.Shape, shape), nil
}

// related says of each pair of elements whether the relation holds.
func related[T cmp.Ordered](r relation, a, b []T, sa, sb, shape []int) []bool {
	switch r {
	case isLess:
		return related(isGreater, b, a, sb, sa, shape)
	case isLessOrEqual:
		return related(isGreaterOrEqual, b, a, sb, sa, shape)
	}
	out := make([]bool, tensor.Elements(shape))
	eachPairRow(sa, sb, shape, func(at, n int, x, y walk) {
		row := out[at : at+n]
		p, q := x.from, y.from
		switch r {
		case isEqual:
			for k := range row {
				row[k] = a[p] == b[q]
				p, q = p+x.step, q+y.step
			}
		case isGreater:
			for k := range row {
				row[k] = a[p] > b[q]
				p, q = p+x.step, q+y.step
			}
		case isGreaterOrEqual:
			for k := range row {
				row[k] = a[p] >= b[q]
				p, q = p+x.step, q+y.step
			}
		}
	})
	return out
}

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
