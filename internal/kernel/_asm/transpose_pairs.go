package main

func init() { register("transpose_pairs", emitPairs) }

// emitPairs writes the transposes between two planes and pixels of two elements.
func emitPairs(f *file) {
	f.joinPairs32()
	f.splitPairs32()
	f.joinPairs8()
	f.splitPairs8()
}

func (f *file) pair(name string) {
	f.text("turns n pixels of two elements around; n is a multiple of the vector.", name,
		"dst, src unsafe.Pointer, pitch, n int", 0, 32)
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ src+8(FP), SI")
	f.p("MOVQ pitch+16(FP), R8")
	f.p("MOVQ n+24(FP), CX")
}

func (f *file) joinPairs32() {
	f.pair("join2x32AVX2")
	f.p("loop:")
	f.p("VMOVUPS (SI), Y0")
	f.p("VMOVUPS (SI)(R8*1), Y1")
	f.p("VUNPCKLPS Y1, Y0, Y2")
	f.p("VUNPCKHPS Y1, Y0, Y3")
	f.p("VPERM2F128 $0x20, Y3, Y2, Y4")
	f.p("VPERM2F128 $0x31, Y3, Y2, Y5")
	f.p("VMOVUPS Y4, (DI)")
	f.p("VMOVUPS Y5, 32(DI)")
	f.pairEnd("DI", "SI", 8, 32)
}

func (f *file) splitPairs32() {
	f.pair("split2x32AVX2")
	f.p("loop:")
	f.p("VMOVUPS (SI), Y0")
	f.p("VMOVUPS 32(SI), Y1")
	f.p("VSHUFPS $0x88, Y1, Y0, Y2")
	f.p("VSHUFPS $0xDD, Y1, Y0, Y3")
	f.p("VPERMQ $0xD8, Y2, Y2")
	f.p("VPERMQ $0xD8, Y3, Y3")
	f.p("VMOVUPS Y2, (DI)")
	f.p("VMOVUPS Y3, (DI)(R8*1)")
	f.pairEnd("SI", "DI", 8, 32)
}

func (f *file) joinPairs8() {
	f.pair("join2x8AVX2")
	f.p("loop:")
	f.p("VMOVDQU (SI), X0")
	f.p("VMOVDQU (SI)(R8*1), X1")
	f.p("VPUNPCKLBW X1, X0, X2")
	f.p("VPUNPCKHBW X1, X0, X3")
	f.p("VMOVDQU X2, (DI)")
	f.p("VMOVDQU X3, 16(DI)")
	f.pairEnd("DI", "SI", 16, 16)
}

func (f *file) splitPairs8() {
	f.pair("split2x8AVX2")
	f.p("VPCMPEQW X7, X7, X7")
	f.p("VPSRLW $8, X7, X7")
	f.p("loop:")
	f.p("VMOVDQU (SI), X0")
	f.p("VMOVDQU 16(SI), X1")
	f.p("VPAND X7, X0, X2")
	f.p("VPAND X7, X1, X3")
	f.p("VPSRLW $8, X0, X0")
	f.p("VPSRLW $8, X1, X1")
	f.p("VPACKUSWB X3, X2, X2")
	f.p("VPACKUSWB X1, X0, X0")
	f.p("VMOVDQU X2, (DI)")
	f.p("VMOVDQU X0, (DI)(R8*1)")
	f.pairEnd("SI", "DI", 16, 16)
}

// pairEnd advances the pixels and the planes by n elements.
func (f *file) pairEnd(pixels, plane string, n, bytes int) {
	f.p("ADDQ $%d, %s", 2*bytes, pixels)
	f.p("ADDQ $%d, %s", bytes, plane)
	f.p("SUBQ $%d, CX", n)
	f.p("JGT loop")
	f.ret()
}
