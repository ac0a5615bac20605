package main

func init() { register("quant_bytes", emitBytes) }

func emitBytes(f *file) {
	f.lut8VBMI()
	f.lut8AVX2()
	for _, v := range isa {
		f.flipSign(v.width, "flipSign"+v.suffix)
	}
}

func (f *file) bytesHead() {
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ src+8(FP), SI")
	f.p("MOVQ n+16(FP), CX")
}

// splat fills register r with a 32-bit constant, by way of AX.
func (f *file) splat(width, r int, c uint32) {
	f.p("MOVL $0x%08x, AX", c)
	f.p("VMOVD AX, X%d", r)
	f.p("VPBROADCASTD X%d, %s", r, reg(width, r))
}

// byteMask masks the first CX < 64 bytes.
func (f *file) byteMask() {
	f.p("MOVQ $-1, AX")
	f.p("BZHIQ CX, AX, AX")
	f.p("KMOVQ AX, %s", tailK)
}

// lut8VBMI looks 64 codes up at a time: each half of the table is two registers.
func (f *file) lut8VBMI() {
	f.text("looks n codes up with AVX-512 VBMI.", "lut8VBMI", "dst, src *uint8, n int, table *[256]uint8", 0, 32)
	f.bytesHead()
	f.p("MOVQ table+24(FP), BX")
	for i := range 4 {
		f.p("VMOVDQU64 %d(BX), Z%d", i*64, i)
	}
	look := func() {
		f.p("VMOVDQA64 Z4, Z5")
		f.p("VPMOVB2M Z4, K2")
		f.p("VPERMI2B Z1, Z0, Z4")
		f.p("VPERMI2B Z3, Z2, Z5")
		f.p("VMOVDQU8 Z5, K2, Z4")
	}
	f.p("SUBQ $64, CX")
	f.p("JLT rest")
	f.p("PCALIGN $32")
	f.p("loop:")
	f.p("VMOVDQU64 (SI), Z4")
	look()
	f.p("VMOVDQU64 Z4, (DI)")
	f.p("ADDQ $64, SI")
	f.p("ADDQ $64, DI")
	f.p("SUBQ $64, CX")
	f.p("JGE loop")
	f.p("rest:")
	f.p("ADDQ $64, CX")
	f.p("JEQ done")
	f.byteMask()
	f.p("VMOVDQU8.Z (SI), K1, Z4")
	look()
	f.p("VMOVDQU8 Z4, K1, (DI)")
	f.p("done:")
	f.ret()
}

// lut8AVX2 looks 32 codes up at a time with sixteen tables T of 16 bytes. Step k shuffles by
// x−16k, which gives 0 where that byte is negative. For k < 8 the difference wraps: step k
// counts where 16k ≤ x < 16k+128. For k ≥ 8 it saturates: step k counts where 16k ≤ x. The tables
// are xored beforehand so that the steps that count leave T[x/16] alone.
func (f *file) lut8AVX2() {
	f.text("looks n codes up, n a multiple of 32.", "lut8AVX2", "dst, src *uint8, n int, table *[256]uint8", 256, 32)
	f.bytesHead()
	f.p("MOVQ table+24(FP), BX")
	for k := range 16 {
		f.p("VMOVDQU %d(BX), X0", k*16)
		for _, j := range map[bool][]int{true: {k - 1}, false: {k - 1, k - 8, k - 9}}[k < 8] {
			if j >= 0 {
				f.p("VPXOR %d(BX), X0, X0", j*16)
			}
		}
		f.p("VMOVDQU X0, d%d-%d(SP)", k, 256-k*16)
	}
	f.splat(32, 15, 0x10101010)
	f.splat(32, 14, 0x80808080)
	f.p("PCALIGN $32")
	f.p("loop:")
	f.p("VMOVDQU (SI), Y0")
	f.p("VPXOR Y14, Y0, Y1")
	f.p("VPXOR Y2, Y2, Y2")
	f.p("VPXOR Y5, Y5, Y5")
	for k := range 8 {
		f.p("VBROADCASTI128 d%d-%d(SP), Y3", k, 256-k*16)
		f.p("VBROADCASTI128 d%d-%d(SP), Y4", k+8, 128-k*16)
		f.p("VPSHUFB Y0, Y3, Y3")
		f.p("VPSHUFB Y1, Y4, Y4")
		f.p("VPXOR Y3, Y2, Y2")
		f.p("VPXOR Y4, Y5, Y5")
		if k < 7 {
			f.p("VPSUBB Y15, Y0, Y0")
			f.p("VPSUBSB Y15, Y1, Y1")
		}
	}
	f.p("VPXOR Y5, Y2, Y2")
	f.p("VMOVDQU Y2, (DI)")
	f.p("ADDQ $32, SI")
	f.p("ADDQ $32, DI")
	f.p("SUBQ $32, CX")
	f.p("JGT loop")
	f.ret()
}

// flipSign takes whole vectors.
func (f *file) flipSign(width int, name string) {
	f.text("flips the upper bit of n bytes, n a multiple of the vector.", name, "dst, src *uint8, n int", 0, 24)
	f.bytesHead()
	f.splat(width, 1, 0x80808080)
	f.p("loop:")
	f.p("VXORPS (SI), %s, %s", reg(width, 1), reg(width, 0))
	f.p("VMOVUPS %s, (DI)", reg(width, 0))
	f.p("ADDQ $%d, SI", width)
	f.p("ADDQ $%d, DI", width)
	f.p("SUBQ $%d, CX", width)
	f.p("JGT loop")
	f.ret()
}
