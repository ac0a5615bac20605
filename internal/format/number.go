package format

import (
	"encoding/binary"
	"fmt"
	"math"

	"lowbit/internal/tensor"
)

// Floats returns the elements of a tensor of real numbers as float64, exactly where they fit
// (int64 and uint64 beyond 2^53 are rounded). It is an error for strings and complex numbers.
func Floats(t *tensor.Tensor) ([]float64, error) {
	switch t.DType {
	case tensor.Float64:
		return tensor.Of[float64](t), nil
	case tensor.Float32:
		src := tensor.Of[float32](t)
		out := make([]float64, len(src))
		for i, v := range src {
			out[i] = float64(v)
		}
		return out, nil
	case tensor.Uint64:
		src := tensor.Of[uint64](t)
		out := make([]float64, len(src))
		for i, v := range src {
			out[i] = float64(v)
		}
		return out, nil
	case tensor.Float8E8M0:
		out := make([]float64, len(t.Raw))
		for i, c := range t.Raw {
			out[i] = decodeE8M0(c)
		}
		return out, nil
	}
	if f := miniFloats[t.DType]; f != nil {
		return decodeMini(f, t), nil
	}
	ints, err := t.Ints()
	if err != nil {
		return nil, fmt.Errorf("%s tensor where numbers are wanted", t.DType)
	}
	out := make([]float64, len(ints))
	for i, v := range ints {
		out[i] = float64(v)
	}
	return out, nil
}

func decodeMini(f *miniFloat, t *tensor.Tensor) []float64 {
	out := make([]float64, t.Len())
	switch f.width() {
	case 16:
		for i := range out {
			out[i] = f.decode(binary.LittleEndian.Uint16(t.Raw[2*i:]))
		}
	case 8:
		for i, c := range t.Raw {
			out[i] = f.decode(uint16(c))
		}
	default:
		for i, c := range tensor.Unpack(t) {
			out[i] = f.decode(uint16(c))
		}
	}
	return out
}

// FromFloats rounds numbers to element type d: to nearest, ties to even, for floats, where
// values out of range saturate if saturate is set and else become infinity (or NaN where the
// type has no infinity); integers truncate toward zero and wrap, as a C cast does.
func FromFloats(d tensor.DType, x []float64, saturate bool, shape ...int) (*tensor.Tensor, error) {
	t := tensor.New(d, shape...)
	if f := miniFloats[d]; f != nil {
		encodeMini(f, t, x, saturate)
		return t, nil
	}
	switch d {
	case tensor.Float64:
		copy(tensor.Of[float64](t), x)
	case tensor.Float32:
		out := tensor.Of[float32](t)
		for i, v := range x {
			out[i] = float32(v)
		}
	case tensor.Float8E8M0:
		for i, v := range x {
			t.Raw[i] = encodeE8M0(v)
		}
	case tensor.Bool:
		for i, v := range x {
			if v != 0 {
				t.Raw[i] = 1
			}
		}
	case tensor.Uint64:
		out := tensor.Of[uint64](t)
		for i, v := range x {
			out[i] = ToUint64(v)
		}
	default:
		if !d.IsInt() {
			return nil, fmt.Errorf("numbers cannot be stored as %s", d)
		}
		ints := make([]int64, len(x))
		for i, v := range x {
			ints[i] = ToInt64(v)
		}
		return FromInts(d, ints, shape...)
	}
	return t, nil
}

// ToInt64 truncates; values outside int64 become its ends and NaN its lowest value, on every machine.
func ToInt64(v float64) int64 {
	switch {
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v != v || v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// ToUint64 truncates; values from 2⁶⁴ on become its end, NaN 0, and those below 0 what ToInt64 makes of them, on every machine.
func ToUint64(v float64) uint64 {
	switch {
	case v >= math.MaxUint64:
		return math.MaxUint64
	case v != v:
		return 0
	case v < 0:
		return uint64(ToInt64(v))
	}
	return uint64(v)
}

func encodeMini(f *miniFloat, t *tensor.Tensor, x []float64, saturate bool) {
	switch f.width() {
	case 16:
		for i, v := range x {
			binary.LittleEndian.PutUint16(t.Raw[2*i:], f.encode(v, saturate))
		}
	case 8:
		for i, v := range x {
			t.Raw[i] = byte(f.encode(v, saturate))
		}
	default:
		codes := make([]byte, len(x))
		for i, v := range x {
			codes[i] = byte(f.encode(v, saturate))
		}
		copy(t.Raw, tensor.Pack(t.DType, codes, len(x)).Raw)
	}
}

// encodeE8M0 rounds up to a power of two (ONNX Cast, default round_mode "up").
func encodeE8M0(v float64) uint8 {
	if v != v {
		return 255
	}
	v = math.Abs(v)
	if v == 0 {
		return 0
	}
	m, e := math.Frexp(v)
	if m == 0.5 {
		e--
	}
	return uint8(max(0, min(254, e+127)))
}

// FromInts stores integers as element type d, dropping the high bits of those that do not fit.
// It is an error for types that are neither integers, bool nor floats.
func FromInts[S int32 | int64](d tensor.DType, x []S, shape ...int) (*tensor.Tensor, error) {
	switch d {
	case tensor.Int64:
		return put[int64](d, x, shape), nil
	case tensor.Int32:
		return put[int32](d, x, shape), nil
	case tensor.Int16:
		return put[int16](d, x, shape), nil
	case tensor.Int8:
		return put[int8](d, x, shape), nil
	case tensor.Uint8:
		return put[uint8](d, x, shape), nil
	case tensor.Uint16:
		return put[uint16](d, x, shape), nil
	case tensor.Uint32:
		return put[uint32](d, x, shape), nil
	case tensor.Uint64:
		return put[uint64](d, x, shape), nil
	case tensor.Bool:
		t := tensor.New(d, shape...)
		for i, v := range x {
			if v != 0 {
				t.Raw[i] = 1
			}
		}
		return t, nil
	case tensor.Int4, tensor.Uint4, tensor.Int2, tensor.Uint2:
		codes := make([]byte, len(x))
		for i, v := range x {
			codes[i] = byte(v)
		}
		return tensor.Pack(d, codes, shape...), nil
	}
	if !d.IsFloat() {
		return nil, fmt.Errorf("integers cannot be stored as %s", d)
	}
	f := make([]float64, len(x))
	for i, v := range x {
		f[i] = float64(v)
	}
	return FromFloats(d, f, false, shape...)
}

func put[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64, S int32 | int64](d tensor.DType, x []S, shape []int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	out := tensor.Of[T](t)
	for i, v := range x {
		out[i] = T(v)
	}
	return t
}
