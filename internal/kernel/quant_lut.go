package kernel

// LUT8 sets dst[i] = table[src[i]]: any function of one 8-bit code, or a requantization from one
// scale to another. Signed codes index the table by their bits. dst may be src itself.
func (l Level) LUT8(dst, src []uint8, table *[256]uint8) {
	src = src[:len(dst)]
	f, m := lut8Asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &src[0], m, table)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = table[src[i]]
	}
}

// lut8Fn is an assembly body of [Level.LUT8].
type lut8Fn func(dst, src *uint8, n int, table *[256]uint8)

// LUT8F32 sets dst[i] = table[src[i]]: it decodes any 8-bit format.
func (l Level) LUT8F32(dst []float32, src []uint8, table *[256]float32) {
	for i, v := range src[:len(dst)] {
		dst[i] = table[v]
	}
}

// FlipSign sets dst[i] = src[i] xor 0x80: it turns int8 codes with zero point z into uint8 codes
// with zero point z+128, and back. dst may be src itself.
func (l Level) FlipSign(dst, src []uint8) {
	src = src[:len(dst)]
	f, m := flipSignAsm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &src[0], m)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = src[i] ^ 0x80
	}
}

// bytesFn is an assembly body that writes n bytes.
type bytesFn func(dst, src *uint8, n int)

// UnpackU4 sets dst to len(dst) codes of 4 bits, the low half of each byte first.
func (l Level) UnpackU4(dst, src []uint8) { l.unpack4(unpackU4Asm, dst, src, 0) }

// UnpackS4 is [Level.UnpackU4] for int4 codes, widened to int8 with their sign.
func (l Level) UnpackS4(dst []int8, src []uint8) { l.unpack4(unpackS4Asm, asUint8(dst), src, 8) }

// unpack4 computes (code xor bias) − bias: with bias 8 that extends the sign.
func (l Level) unpack4(asm variants[bytesFn], dst, src []uint8, bias uint8) {
	src = src[:(len(dst)+1)/2]
	f, m := asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &src[0], m)
	}
	for i := m; i < len(dst); i++ {
		c := src[i/2] >> (i % 2 * 4) & 15
		dst[i] = c ^ bias - bias
	}
}
