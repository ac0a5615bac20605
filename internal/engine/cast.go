package engine

import (
	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// A casting fills elements [from, to) of dst with those of x as another type has them.
type casting func(dst, x *tensor.Tensor, from, to int)

type whole interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64
}

type realNumber interface{ float32 | float64 }

// castings lists conversions by the types that they read and write.
var castings = map[tensor.DType]map[tensor.DType]casting{
	tensor.Bool:    fromTruths(),
	tensor.Uint8:   fromWhole[uint8](),
	tensor.Int8:    fromWhole[int8](),
	tensor.Uint16:  fromWhole[uint16](),
	tensor.Int16:   fromWhole[int16](),
	tensor.Uint32:  fromWhole[uint32](),
	tensor.Int32:   fromWhole[int32](),
	tensor.Uint64:  fromWhole[uint64](),
	tensor.Int64:   fromWhole[int64](),
	tensor.Float32: fromReal[float32](),
	tensor.Float64: fromReal[float64](),
}

func fromWhole[S whole]() map[tensor.DType]casting {
	return map[tensor.DType]casting{
		tensor.Bool: toTruths[S], tensor.Float32: converted[S, float32], tensor.Float64: converted[S, float64],
		tensor.Uint8: converted[S, uint8], tensor.Int8: converted[S, int8], tensor.Uint16: converted[S, uint16], tensor.Int16: converted[S, int16],
		tensor.Uint32: converted[S, uint32], tensor.Int32: converted[S, int32], tensor.Uint64: converted[S, uint64], tensor.Int64: converted[S, int64],
	}
}

func fromReal[S realNumber]() map[tensor.DType]casting {
	return map[tensor.DType]casting{
		tensor.Bool: toTruths[S], tensor.Float32: converted[S, float32], tensor.Float64: converted[S, float64],
		tensor.Uint8: truncated[S, uint8], tensor.Int8: truncated[S, int8], tensor.Uint16: truncated[S, uint16], tensor.Int16: truncated[S, int16],
		tensor.Uint32: truncated[S, uint32], tensor.Int32: truncated[S, int32], tensor.Int64: truncated[S, int64],
	}
}

func fromTruths() map[tensor.DType]casting {
	return map[tensor.DType]casting{
		tensor.Float32: ones[float32], tensor.Float64: ones[float64],
		tensor.Uint8: ones[uint8], tensor.Int8: ones[int8], tensor.Uint16: ones[uint16], tensor.Int16: ones[int16],
		tensor.Uint32: ones[uint32], tensor.Int32: ones[int32], tensor.Uint64: ones[uint64], tensor.Int64: ones[int64],
	}
}

// converted keeps the low bits of whole numbers, and rounds to real ones.
func converted[S, D whole | realNumber](dst, x *tensor.Tensor, from, to int) {
	y := tensor.Of[D](dst)[from:to]
	for i, v := range tensor.Of[S](x)[from:to] {
		y[i] = D(v)
	}
}

// truncated takes real numbers toward zero, and keeps the low bits of what that gives.
func truncated[S realNumber, D whole](dst, x *tensor.Tensor, from, to int) {
	y := tensor.Of[D](dst)[from:to]
	for i, v := range tensor.Of[S](x)[from:to] {
		if v > -1<<31 && v < 1<<31 {
			y[i] = D(int32(v))
		} else {
			y[i] = D(format.ToInt64(float64(v)))
		}
	}
}

func toTruths[S whole | realNumber](dst, x *tensor.Tensor, from, to int) {
	y := tensor.Of[bool](dst)[from:to]
	for i, v := range tensor.Of[S](x)[from:to] {
		y[i] = v != 0
	}
}

// ones writes what is true as one.
func ones[D whole | realNumber](dst, x *tensor.Tensor, from, to int) {
	y := tensor.Of[D](dst)[from:to]
	for i, v := range x.Raw[from:to] {
		y[i] = D(min(v, 1))
	}
}

// lowerCast emits a conversion.
func lowerCast(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	convert := castings[x.dtype][y.dtype]
	if convert == nil || x.dtype == y.dtype || y.elems() == 0 {
		return false
	}
	lw.elementwise(n, castText(x.dtype, y.dtype), func(f *frame, dst, x *slot, from, to int) {
		convert(f.vals[dst.id], f.vals[x.id], from, to)
	})
	return true
}

// castText names a conversion for people.
func castText(from, to tensor.DType) string {
	short := func(d tensor.DType) string {
		if d == tensor.Float32 {
			return "f32"
		}
		return d.String()
	}
	return short(from) + " to " + short(to)
}

// lowerNot emits what is false as true.
func lowerNot(lw *lowerer, n *node) bool {
	if !n.in[0].is(tensor.Bool) || n.out[0].elems() == 0 {
		return false
	}
	lw.elementwise(n, "Not", func(f *frame, dst, x *slot, from, to int) {
		y := f.vals[dst.id].Raw[from:to]
		for i, v := range f.vals[x.id].Raw[from:to] {
			y[i] = 1 - min(v, 1)
		}
	})
	return true
}
