package engine

import (
	"math"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A casting fills elements [from, to) of dst with those of x as another type has them.
type casting func(l kernel.Level, dst, x *tensor.Tensor, from, to int)

// castings lists conversions by the types that they read and write.
var castings = map[tensor.DType]map[tensor.DType]casting{
	tensor.Bool:     fromTruths(),
	tensor.Uint8:    fromNumber[uint8](true),
	tensor.Int8:     fromNumber[int8](true),
	tensor.Uint16:   fromNumber[uint16](true),
	tensor.Int16:    fromNumber[int16](true),
	tensor.Uint32:   fromNumber[uint32](false),
	tensor.Int32:    fromNumber[int32](false),
	tensor.Uint64:   fromNumber[uint64](false),
	tensor.Int64:    fromNumber[int64](false),
	tensor.Float32:  fromNumber[float32](false),
	tensor.Float64:  fromNumber[float64](false),
	tensor.Float16:  fromHalf(kernel.Level.DecodeF16),
	tensor.BFloat16: fromHalf(kernel.Level.DecodeBF16),
}

// fromNumber lists the conversions of a type. Numbers that are exact in float32 get to 16-bit floats by way of it.
func fromNumber[S kernel.Number](exact bool) map[tensor.DType]casting {
	to := map[tensor.DType]casting{
		tensor.Bool: toTruths[S], tensor.Float32: converted[S, float32], tensor.Float64: converted[S, float64],
		tensor.Uint8: converted[S, uint8], tensor.Int8: converted[S, int8], tensor.Uint16: converted[S, uint16], tensor.Int16: converted[S, int16],
		tensor.Uint32: converted[S, uint32], tensor.Int32: converted[S, int32], tensor.Uint64: converted[S, uint64], tensor.Int64: converted[S, int64],
		tensor.Float16: toHalf(narrowed[S], kernel.Level.EncodeF16), tensor.BFloat16: toHalf(narrowed[S], kernel.Level.EncodeBF16),
	}
	if exact {
		to[tensor.Float16], to[tensor.BFloat16] = toHalf(plain[S], kernel.Level.EncodeF16), toHalf(plain[S], kernel.Level.EncodeBF16)
	}
	return to
}

func fromTruths() map[tensor.DType]casting {
	return map[tensor.DType]casting{
		tensor.Float32: ones[float32], tensor.Float64: ones[float64],
		tensor.Uint8: toTruths[uint8], tensor.Int8: toTruths[uint8], tensor.Uint16: ones[uint16], tensor.Int16: ones[int16],
		tensor.Uint32: ones[uint32], tensor.Int32: ones[int32], tensor.Uint64: ones[uint64], tensor.Int64: ones[int64],
		tensor.Float16: toHalf(kernel.Ones[float32], kernel.Level.EncodeF16), tensor.BFloat16: toHalf(kernel.Ones[float32], kernel.Level.EncodeBF16),
	}
}

// converted keeps the low bits of whole numbers, rounds to real ones, and takes those toward zero.
func converted[S, D kernel.Number](l kernel.Level, dst, x *tensor.Tensor, from, to int) {
	convert(l, tensor.Of[D](dst)[from:to], tensor.Of[S](x)[from:to])
}

func convert[S, D kernel.Number](l kernel.Level, dst []D, x []S) {
	whole := format.ToInt64
	if _, ok := any(dst).([]uint64); ok {
		whole = func(v float64) int64 { return int64(format.ToUint64(v)) }
	}
	kernel.Convert(l, dst, x, whole)
}

func toTruths[S kernel.Number](l kernel.Level, dst, x *tensor.Tensor, from, to int) {
	kernel.Compare(l, kernel.Unequal, dst.Raw[from:to], tensor.Of[S](x)[from:to], []S{0})
}

// ones writes what is true as one.
func ones[D kernel.Number](l kernel.Level, dst, x *tensor.Tensor, from, to int) {
	kernel.Ones(l, tensor.Of[D](dst)[from:to], x.Raw[from:to])
}

// plain converts numbers that are exact in float32.
func plain[S kernel.Number](l kernel.Level, dst []float32, x []S) { convert(l, dst, x) }

// narrowed rounds to float32 such that a second rounding to 16 bits is right: to the odd one of the two neighbours. What is
// no number loses its bits.
func narrowed[S kernel.Number](_ kernel.Level, dst []float32, x []S) {
	const least, beyond = 0x1p-126, 1<<29 - 1 // the bits that float32 lacks
	for i, v := range x {
		d := float64(v)
		if math.Abs(d) >= least {
			b := math.Float64bits(d)
			dst[i] = float32(math.Float64frombits(b&^beyond | (b&beyond+beyond)&(beyond+1)))
			continue
		}
		f := float32(d)
		if d != d {
			f = float32(math.Copysign(math.NaN(), d))
		} else if back := float64(f); back != d {
			bits := math.Float32bits(f)
			if math.Abs(back) > math.Abs(d) {
				bits--
			}
			f = math.Float32frombits(bits | 1)
		}
		dst[i] = f
	}
}

// toHalf converts by way of float32, a piece at a time.
func toHalf[S tensor.Element](widen func(l kernel.Level, dst []float32, x []S), encode func(l kernel.Level, dst []uint16, x []float32)) casting {
	return func(l kernel.Level, dst, x *tensor.Tensor, from, to int) {
		y, v, room := tensor.Of[uint16](dst), tensor.Of[S](x), make([]float32, min(piece, to-from))
		for ; from < to; from += piece {
			end := min(to, from+piece)
			wide := room[:end-from]
			widen(l, wide, v[from:end])
			encode(l, y[from:end], wide)
		}
	}
}

// fromHalf lists the conversions of a 16-bit float but those to floats of 32 bits, for which the engine has nodes of its own,
// and of 16, by way of float32.
func fromHalf(decode func(l kernel.Level, dst []float32, x []uint16)) map[tensor.DType]casting {
	list := map[tensor.DType]casting{}
	for d, c := range fromNumber[float32](true) {
		switch d {
		case tensor.Float32, tensor.Float16, tensor.BFloat16:
			continue
		case tensor.Float64:
			c = plainNaN
		}
		list[d] = func(l kernel.Level, dst, x *tensor.Tensor, from, to int) {
			v, wide := tensor.Of[uint16](x), tensor.New(tensor.Float32, min(piece, to-from))
			for ; from < to; from += piece {
				end := min(to, from+piece)
				decode(l, tensor.Of[float32](wide)[:end-from], v[from:end])
				c(l, slicedFrom(dst, from, end), wide, 0, end-from)
			}
		}
	}
	return list
}

// plainNaN widens floats; what is no number loses its bits.
func plainNaN(l kernel.Level, dst, x *tensor.Tensor, from, to int) {
	converted[float32, float64](l, dst, x, from, to)
	y := tensor.Of[float64](dst)[from:to]
	for i, v := range y {
		if v != v {
			y[i] = math.NaN()
		}
	}
}

// slicedFrom is elements [from, to) of a tensor as a row.
func slicedFrom(t *tensor.Tensor, from, to int) *tensor.Tensor {
	size := t.DType.Bits() / 8
	return &tensor.Tensor{DType: t.DType, Shape: []int{to - from}, Raw: t.Raw[from*size : to*size]}
}

// lowerCast emits a conversion.
func lowerCast(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	convert := castings[x.dtype][y.dtype]
	if convert == nil || x.dtype == y.dtype || y.elems() == 0 {
		return false
	}
	level := lw.level
	lw.elementwise(n, castText(x.dtype, y.dtype), func(f *frame, dst, x *slot, from, to int) {
		convert(level, f.vals[dst.id], f.vals[x.id], from, to)
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
