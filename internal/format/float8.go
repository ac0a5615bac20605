package format

import (
	"math"

	"lowbit/internal/tensor"
)

// A Float8 converts between float32 and a float of eight bits, saturating, as fast as plain code can.
type Float8 struct {
	Values [256]float32 // of each code

	man   int     // bits of the mantissa
	limit uint32  // float32 bits from which on the largest value is taken
	least uint32  // float32 bits of the smallest normal number
	shift uint32  // of the exponent, in codes
	step  float32 // adding it leaves the multiples of the smallest number in the low bits
	top   uint8
	nan   uint8
}

// Float8Of returns the conversion of one of the types that have a sign and a minus zero, nil for others.
func Float8Of(d tensor.DType) *Float8 {
	m := miniFloats[d]
	if m == nil || m.width() != 8 || m.negNaN {
		return nil
	}
	f := &Float8{man: m.man, top: uint8(m.top), nan: uint8(m.nan), shift: uint32(127-m.bias) << m.man}
	f.limit = math.Float32bits(float32(m.decode(uint16(m.top))))
	f.least = math.Float32bits(float32(math.Ldexp(1, 1-m.bias)))
	f.step = float32(math.Ldexp(1, 1-m.bias-m.man+23))
	for c := range f.Values {
		f.Values[c] = float32(m.decode(uint16(c)))
	}
	return f
}

// Encode writes the code nearest to x/scale, ties to even.
func (f *Float8) Encode(dst []byte, x []float32, scale float32) {
	dst = dst[:len(x)]
	drop := uint32(23 - f.man)
	for i, v := range x {
		u := math.Float32bits(v / scale)
		sign := byte(u >> 24 & 0x80)
		u &= 1<<31 - 1
		switch {
		case u > 0x7f800000:
			dst[i] = sign | f.nan
		case u >= f.limit:
			dst[i] = sign | f.top
		case u < f.least:
			t := math.Float32frombits(u) + f.step
			dst[i] = sign | byte(math.Float32bits(t)-math.Float32bits(f.step))
		default:
			u += 1<<(drop-1) - 1 + u>>drop&1
			dst[i] = sign | byte(u>>drop-f.shift)
		}
	}
}
