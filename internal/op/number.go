package op

import (
	"math"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// floats returns a tensor's elements as float64. It shares memory with a double tensor.
func floats(t *tensor.Tensor) ([]float64, error) {
	x, err := format.Floats(t)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	return x, nil
}

// fromFloats rounds numbers to element type d.
func fromFloats(d tensor.DType, x []float64, shape []int) (*tensor.Tensor, error) {
	t, err := format.FromFloats(d, x, false, shape...)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	return t, nil
}

// ints returns an integer tensor's elements as int64; those of uint64 keep their bits.
func ints(t *tensor.Tensor) ([]int64, error) {
	if t.DType == tensor.Uint64 {
		return tensor.Of[int64](t), nil
	}
	x, err := t.Ints()
	if err != nil {
		return nil, invalidf("%v", err)
	}
	return x, nil
}

// fromInts stores integers as element type d; high bits are dropped.
func fromInts(d tensor.DType, x []int64, shape []int) (*tensor.Tensor, error) {
	t, err := format.FromInts(d, x, shape...)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	return t, nil
}

// indices returns the elements of an integer tensor as int.
func indices(t *tensor.Tensor) ([]int, error) {
	x, err := ints(t)
	if err != nil {
		return nil, err
	}
	out := make([]int, len(x))
	for i, v := range x {
		out[i] = int(v)
	}
	return out, nil
}

// one wraps a single result.
func one(t *tensor.Tensor, err error) ([]*tensor.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{t}, nil
}

// floatsOf is floats for several tensors; nil stays nil.
func floatsOf(list ...*tensor.Tensor) ([][]float64, error) {
	out := make([][]float64, len(list))
	for i, t := range list {
		if t == nil {
			continue
		}
		var err error
		if out[i], err = floats(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// intRange returns the smallest and the largest value of an integer type or bool. Of uint64
// it is the part that int64 holds.
func intRange(d tensor.DType) (lo, hi int64) {
	bits := d.Bits()
	switch {
	case d == tensor.Bool:
		return 0, 1
	case d.Class() == tensor.ClassUint && bits < 64:
		return 0, 1<<bits - 1
	case d.Class() == tensor.ClassUint:
		return 0, math.MaxInt64
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}

// number is a type in which elements are combined.
type number interface{ int64 | uint64 | float64 }
