package main

func init() {
	register("gemm_widen", func(f *file) {
		f.text("copies n bytes, a multiple of 16, to 16 bits each.", "widenAVX2", "dst *int16, src *uint8, n int", 0, 24)
		f.p("MOVQ dst+0(FP), DI")
		f.p("MOVQ src+8(FP), SI")
		f.p("MOVQ n+16(FP), CX")
		f.p("loop:")
		f.p("VPMOVZXBW (SI), Y0")
		f.p("VMOVDQU Y0, (DI)")
		f.p("ADDQ $16, SI")
		f.p("ADDQ $32, DI")
		f.p("SUBQ $16, CX")
		f.p("JG loop")
		f.ret()
	})
}
