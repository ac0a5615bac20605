package main

import "fmt"

func init() { register("convert", emitConvert) }

// Conversions take 32 elements a turn from SI to DI; those that hold for a part of the numbers return whether n of them
// did. Y12 gathers where one did not.

func (f *file) conversion(name, to, from string, partial bool, pro, turn func()) {
	const args = "dst, x unsafe.Pointer, n int"
	doc := fmt.Sprintf("makes %s of n %s, n a multiple of 32; it is false where some do not fit.", to, from)
	f.textResult(doc, name, args, "(ok bool)", 0, 25)
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ x+8(FP), SI")
	f.p("MOVQ n+16(FP), CX")
	if partial {
		f.p("VPXOR Y12, Y12, Y12")
	}
	if pro != nil {
		pro()
	}
	f.p("PCALIGN $32")
	f.p("loop:")
	turn()
	f.p("ADDQ $%d, SI", 32*bytesOf(from))
	f.p("ADDQ $%d, DI", 32*bytesOf(to))
	f.p("SUBQ $32, CX")
	f.p("JGT loop")
	if partial {
		f.p("VPTEST Y12, Y12")
		f.p("SETEQ ok+24(FP)")
	} else {
		f.p("MOVB $1, ok+24(FP)")
	}
	f.ret()
}

func bytesOf(name string) int {
	var bits int
	if name == "bool" {
		return 1
	}
	fmt.Sscanf(name[1:], "%d", &bits)
	return bits / 8
}

// integers are the types that conversions read, apart from 64-bit ones.
var integers = []string{"S8", "U8", "bool", "S16", "U16", "S32", "U32"}

// extend reads the vector of elements of some bytes with number i, made of narrower ones, to register r.
func (f *file) extend(from string, size, i, r int) {
	have := bytesOf(from)
	sign := "Z"
	if from[0] == 'S' {
		sign = "S"
	}
	f.p("VPMOV%sX%s%s %d(SI), Y%d", sign, letter(have), letter(size), i*32/size*have, r)
	if from == "bool" {
		f.p("VPMINU%s Y15, Y%d, Y%d", map[int]string{2: "W", 4: "D", 8: "D"}[size], r, r)
	}
}

// one fills Y15 with ones of some bytes.
func (f *file) one(size int) {
	f.p("VPCMPEQD Y15, Y15, Y15")
	f.p("VPSRL%s $%d, Y15, Y15", letter(size), size*8-1)
}

func emitConvert(f *file) {
	f.words("everyFourthByte", 0x0000000400000000, 0x0000000500000001, 0x0000000600000002, 0x0000000700000003)
	for _, from := range integers {
		for _, size := range []int{2, 4, 8} {
			if bytesOf(from) < size {
				f.widen(from, size)
			}
		}
		f.toF32(from)
		f.toF64(from)
	}
	for _, from := range []string{"U16", "U32", "U64", "F32", "F64"} {
		for _, size := range []int{1, 2, 4, 8} {
			if from[0] == 'F' || size < bytesOf(from) {
				f.keepLow(from, size)
			}
		}
	}
	f.wideToFloats()
	f.conversion("f32ToF64AVX2", "F64", "F32", false, nil, func() {
		for i := range 8 {
			f.p("VCVTPS2PD %d(SI), Y0", i*16)
			f.p("VMOVUPS Y0, %d(DI)", i*32)
		}
	})
	f.conversion("f64ToF32AVX2", "F32", "F64", false, nil, func() {
		for i := range 8 {
			f.p("VCVTPD2PSY %d(SI), X0", i*32)
			f.p("VMOVUPS X0, %d(DI)", i*16)
		}
	})
}

// lower is a type's name at the beginning of a function's.
func lower(name string) string { return string(name[0]|0x20) + name[1:] }

func (f *file) widen(from string, size int) {
	f.conversion(fmt.Sprintf("%sTo%dAVX2", lower(from), size*8), fmt.Sprintf("U%d", size*8), from, false, func() { f.one(size) }, func() {
		for i := range size {
			f.extend(from, size, i, 0)
			f.p("VMOVDQU Y0, %d(DI)", i*32)
		}
	})
}

// toF32 adds 32-bit numbers without a sign up from halves, both of which are exact, so that the sum is rounded once.
func (f *file) toF32(from string) {
	f.conversion(lower(from)+"ToF32AVX2", "F32", from, false, func() {
		if from == "U32" {
			f.splat(32, 14, 0x47800000)
		}
		f.one(4)
	}, func() {
		for i := range 4 {
			if bytesOf(from) == 4 {
				f.p("VMOVDQU %d(SI), Y0", i*32)
			} else {
				f.extend(from, 4, i, 0)
			}
			if from == "U32" {
				f.p("VPSRLD $16, Y0, Y1")
				f.p("VPSLLD $16, Y0, Y0")
				f.p("VPSRLD $16, Y0, Y0")
				f.p("VCVTDQ2PS Y1, Y1")
				f.p("VMULPS Y14, Y1, Y1")
			}
			f.p("VCVTDQ2PS Y0, Y0")
			if from == "U32" {
				f.p("VADDPS Y1, Y0, Y0")
			}
			f.p("VMOVUPS Y0, %d(DI)", i*32)
		}
	})
}

// toF64 puts 32-bit numbers without a sign behind the exponent of 2⁵², which it then takes off.
func (f *file) toF64(from string) {
	f.conversion(lower(from)+"ToF64AVX2", "F64", from, false, func() {
		f.one(4)
		f.p("MOVQ $0x4330000000000000, AX")
		f.p("VMOVQ AX, X14")
		f.p("VPBROADCASTQ X14, Y14")
	}, func() {
		for i := range 8 {
			switch from {
			case "S32":
				f.p("VCVTDQ2PD %d(SI), Y0", i*16)
			case "U32":
				f.p("VPMOVZXDQ %d(SI), Y0", i*16)
				f.p("VPOR Y14, Y0, Y0")
				f.p("VSUBPD Y14, Y0, Y0")
			default:
				if i%2 == 0 {
					f.extend(from, 4, i/2, 1)
					f.p("VCVTDQ2PD X1, Y0")
				} else {
					f.p("VEXTRACTI128 $1, Y1, X1")
					f.p("VCVTDQ2PD X1, Y0")
				}
			}
			f.p("VMOVUPS Y0, %d(DI)", i*32)
		}
	})
}

// words32 reads the eight elements with number i as 32-bit numbers to register i; Y13 is the lowest one, which floats beyond
// their range become.
func (f *file) words32(from string, i int) {
	switch from {
	case "U32":
		f.p("VMOVDQU %d(SI), Y%d", i*32, i)
	case "U64":
		f.p("VMOVUPS %d(SI), Y%d", i*64, i)
		f.p("VSHUFPS $0x88, %d(SI), Y%d, Y%d", i*64+32, i, i)
		f.p("VPERMQ $0xd8, Y%d, Y%d", i, i)
	case "F32":
		f.p("VCVTTPS2DQ %d(SI), Y%d", i*32, i)
	case "F64":
		f.p("VCVTTPD2DQY %d(SI), X%d", i*64, i)
		f.p("VCVTTPD2DQY %d(SI), X8", i*64+32)
		f.p("VINSERTI128 $1, X8, Y%d, Y%d", i, i)
	}
	if from[0] == 'F' {
		f.p("VPCMPEQD Y13, Y%d, Y8", i)
		f.p("VPOR Y8, Y12, Y12")
	}
}

// keepLow keeps the low bits of integers, and of floats taken toward zero.
func (f *file) keepLow(from string, size int) {
	pro := func() {
		f.splat(32, 15, map[int]uint32{1: 0x00ff00ff, 2: 0x0000ffff}[size])
		if size == 1 && from != "U16" {
			f.splat(32, 15, 0xff)
		}
		f.upper(4, 13)
		f.p("VMOVDQU everyFourthByte<>(SB), Y14")
	}
	f.conversion(fmt.Sprintf("%sTo%dAVX2", lower(from), size*8), fmt.Sprintf("U%d", size*8), from, from[0] == 'F', pro, func() {
		if from == "U16" {
			f.p("VPAND (SI), Y15, Y0")
			f.p("VPAND 32(SI), Y15, Y1")
			f.p("VPACKUSWB Y1, Y0, Y0")
			f.p("VPERMQ $0xd8, Y0, Y0")
			f.p("VMOVDQU Y0, (DI)")
			return
		}
		for i := range 4 {
			f.words32(from, i)
			switch size {
			case 8:
				f.p("VPMOVSXDQ X%d, Y8", i)
				f.p("VMOVDQU Y8, %d(DI)", i*64)
				f.p("VEXTRACTI128 $1, Y%d, X8", i)
				f.p("VPMOVSXDQ X8, Y8")
				f.p("VMOVDQU Y8, %d(DI)", i*64+32)
			case 4:
				f.p("VMOVDQU Y%d, %d(DI)", i, i*32)
			default:
				f.p("VPAND Y15, Y%d, Y%d", i, i)
			}
		}
		if size > 2 {
			return
		}
		f.p("VPACKUSDW Y1, Y0, Y0")
		f.p("VPACKUSDW Y3, Y2, Y2")
		if size == 1 {
			f.p("VPACKUSWB Y2, Y0, Y0")
			f.p("VPERMD Y0, Y14, Y0")
			f.p("VMOVDQU Y0, (DI)")
			return
		}
		f.p("VPERMQ $0xd8, Y0, Y0")
		f.p("VPERMQ $0xd8, Y2, Y2")
		f.p("VMOVDQU Y0, (DI)")
		f.p("VMOVDQU Y2, 32(DI)")
	})
}

// wideToFloats converts 64-bit numbers that fit in 32 bits: whose upper half repeats the sign of the lower one.
func (f *file) wideToFloats() {
	for _, to := range []string{"F32", "F64"} {
		f.conversion("s64To"+to+"AVX2", to, "S64", true, nil, func() {
			for i := range 4 {
				f.p("VMOVUPS %d(SI), Y0", i*64)
				f.p("VMOVUPS %d(SI), Y1", i*64+32)
				f.p("VSHUFPS $0x88, Y1, Y0, Y2")
				f.p("VSHUFPS $0xdd, Y1, Y0, Y3")
				f.p("VPSRAD $31, Y2, Y4")
				f.p("VPXOR Y3, Y4, Y4")
				f.p("VPOR Y4, Y12, Y12")
				f.p("VPERMQ $0xd8, Y2, Y2")
				if to == "F32" {
					f.p("VCVTDQ2PS Y2, Y2")
					f.p("VMOVUPS Y2, %d(DI)", i*32)
					continue
				}
				f.p("VEXTRACTI128 $1, Y2, X3")
				f.p("VCVTDQ2PD X2, Y2")
				f.p("VCVTDQ2PD X3, Y3")
				f.p("VMOVUPS Y2, %d(DI)", i*64)
				f.p("VMOVUPS Y3, %d(DI)", i*64+32)
			}
		})
	}
}
