package tensor

import "fmt"

// Ints returns the elements of an integer or bool tensor as int64, whatever its width.
// It is an error for other types, and for a uint64 that does not fit.
func (t *Tensor) Ints() ([]int64, error) {
	switch t.DType {
	case Int64:
		return Of[int64](t), nil
	case Int32:
		return widen[int32](t), nil
	case Int16:
		return widen[int16](t), nil
	case Int8:
		return widen[int8](t), nil
	case Uint8, Bool:
		return widenBytes(t.Raw), nil
	case Uint16:
		return widen[uint16](t), nil
	case Uint32:
		return widen[uint32](t), nil
	case Uint64:
		for _, v := range Of[uint64](t) {
			if v>>63 != 0 {
				return nil, fmt.Errorf("uint64 value %d does not fit in int64", v)
			}
		}
		return widen[uint64](t), nil
	case Int4, Int2:
		out := make([]int64, t.Len())
		for i, c := range Unpack(t) {
			out[i] = int64(int8(c))
		}
		return out, nil
	case Uint4, Uint2:
		return widenBytes(Unpack(t)), nil
	}
	return nil, fmt.Errorf("%s tensor where integers are wanted", t.DType)
}

func widen[T int8 | int16 | int32 | uint16 | uint32 | uint64](t *Tensor) []int64 {
	src := Of[T](t)
	out := make([]int64, len(src))
	for i, v := range src {
		out[i] = int64(v)
	}
	return out
}

func widenBytes(b []byte) []int64 {
	out := make([]int64, len(b))
	for i, v := range b {
		out[i] = int64(v)
	}
	return out
}
