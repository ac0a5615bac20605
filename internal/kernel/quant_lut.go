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
