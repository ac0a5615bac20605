package main

func init() { register("exponents", (*file).logCodes) }

// logCodes counts the bounds that each magnitude reaches.
func (f *file) logCodes() {
	const atLeast, bounds = 13, 6
	f.words("bytesOfFour", 0x0000000400000000, 0x0000000500000001, 0x0000000600000002, 0x0000000700000003)
	f.words("sixtyFour", 0x4040404040404040)
	f.text("writes the codes of n numbers rounded to powers of two, n a multiple of 32.", "logCodesAVX2", "dst *uint8, x *float32, n int, at *[Exponents]float32", 0, 32)
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ x+8(FP), SI")
	f.p("MOVQ n+16(FP), CX")
	f.p("MOVQ at+24(FP), BX")
	for i := range bounds {
		f.p("VBROADCASTSS %d(BX), Y%d", i*4, 8+i)
	}
	f.splat(32, 14, 0x7fffffff)
	f.splat(32, 15, 1)
	f.p("loop:")
	for i := range 4 {
		f.p("VMOVUPS %d(SI), Y4", i*32)
		f.p("VANDPS Y14, Y4, Y5")
		f.p("VPXOR X6, X6, X6")
		for b := range bounds {
			f.p("VCMPPS $%d, Y%d, Y5, Y7", atLeast, 8+b)
			f.p("VPSUBD Y7, Y6, Y6")
		}
		f.p("VPSLLVD Y6, Y15, Y6")
		f.p("VPSIGND Y5, Y6, Y6")
		f.p("VPSIGND Y4, Y6, Y%d", i)
	}
	f.p("VPACKSSDW Y1, Y0, Y0")
	f.p("VPACKSSDW Y3, Y2, Y2")
	f.p("VPACKSSWB Y2, Y0, Y0")
	f.p("VMOVDQU bytesOfFour<>(SB), Y1")
	f.p("VPERMD Y0, Y1, Y0")
	f.p("VPBROADCASTQ sixtyFour<>(SB), Y1")
	f.p("VPADDB Y1, Y0, Y0")
	f.p("VMOVDQU Y0, (DI)")
	f.p("SUBQ $-128, SI")
	f.p("ADDQ $32, DI")
	f.p("SUBQ $32, CX")
	f.p("JGT loop")
	f.ret()
}
