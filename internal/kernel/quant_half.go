package kernel

import "math"

// decodeHalfFn and encodeHalfFn are assembly bodies for n elements.
type (
	decodeHalfFn func(dst *float32, src *uint16, n int)
	encodeHalfFn func(dst *uint16, src *float32, n int)
)

// DecodeF16 sets dst[i] to the value of the IEEE half src[i]. All values are exact; a signalling
// NaN becomes quiet.
func (l Level) DecodeF16(dst []float32, src []uint16) {
	decodeHalf(l, decodeF16Asm, decodeF16, dst, src)
}

// EncodeF16 sets dst[i] to the IEEE half nearest to src[i], ties to even; beyond ±65520 it is ±∞.
func (l Level) EncodeF16(dst []uint16, src []float32) {
	encodeHalf(l, encodeF16Asm, encodeF16, dst, src)
}

// DecodeBF16 sets dst[i] to the value of the bfloat16 src[i]: its bits, unchanged.
func (l Level) DecodeBF16(dst []float32, src []uint16) {
	decodeHalf(l, decodeBF16Asm, decodeBF16, dst, src)
}

// EncodeBF16 sets dst[i] to the bfloat16 nearest to src[i], ties to even. NaN stays NaN.
func (l Level) EncodeBF16(dst []uint16, src []float32) {
	encodeHalf(l, encodeBF16Asm, encodeBF16, dst, src)
}

func decodeHalf(l Level, asm variants[decodeHalfFn], ref func(uint16) float32, dst []float32, src []uint16) {
	src = src[:len(dst)]
	f, m := asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &src[0], m)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = ref(src[i])
	}
}

func encodeHalf(l Level, asm variants[encodeHalfFn], ref func(float32) uint16, dst []uint16, src []float32) {
	src = src[:len(dst)]
	f, m := asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &src[0], m)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = ref(src[i])
	}
}

func decodeF16(h uint16) float32 {
	sign, e, m := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch {
	case e == 31 && m != 0:
		return math.Float32frombits(sign | 0x7fc00000 | m<<13)
	case e == 31:
		return math.Float32frombits(sign | 0x7f800000)
	case e == 0:
		v := float32(m) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (e+112)<<23 | m<<13)
}

func encodeF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign, a := uint16(b>>16&0x8000), b&^signBit
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00 | uint16(a>>13&0x3ff)
	case a >= 0x47800000: // 65536 and more; 65520 to 65536 carries into the exponent below
		return sign | 0x7c00
	case a < 0x38800000: // below 2⁻¹⁴ the sum with ½ rounds to the subnormal step 2⁻²⁴
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5))
	}
	return sign | uint16((a-(112<<23)+0xfff+a>>13&1)>>13)
}

func decodeBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

func encodeBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
