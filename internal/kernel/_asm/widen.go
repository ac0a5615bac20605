package main

func init() {
	register("gemm_widen", func(f *file) {
		f.text("copies the taps of rows side by side, 16 bits for each byte.", "widenAVX2", "t *microArgs", 8, 8)
		f.widenRows()
	})
}

// widenRows takes arguments as for a micro kernel: argC is the block, argLdc
// its pitch, argKB the bytes of a tap, argCSkip those from tap to tap in the
// block.
func (f *file) widenRows() {
	f.p("MOVQ t+0(FP), AX")
	for _, c := range []struct {
		arg int
		to  string
	}{{argA, "SI"}, {argZero, "DX"}, {argOff, "R8"}, {argOffRow, "R9"}, {argC, "R10"}, {argLdc, "R11"}, {argRows, "R12"}, {argKB, "R13"}, {argTaps, "R14"}} {
		f.p("MOVQ %d(AX), %s", c.arg, c.to)
	}
	f.p("row:")
	f.p("MOVQ R8, R15")
	f.p("MOVQ R10, DI")
	f.p("MOVQ R14, tap-8(SP)")
	f.p("tap:")
	f.p("MOVLQSX (R15), BX")
	f.p("TESTQ BX, BX")
	f.p("LEAQ (SI)(BX*1), BX")
	f.p("CMOVQLT DX, BX")
	f.p("XORQ CX, CX")
	f.p("LEAQ 16(CX), AX")
	f.p("CMPQ AX, R13")
	f.p("JGT last")
	f.p("whole:")
	f.p("VPMOVZXBW (BX)(CX*1), Y0")
	f.p("VMOVDQU Y0, (DI)(CX*2)")
	f.p("MOVQ AX, CX")
	f.p("ADDQ $16, AX")
	f.p("CMPQ AX, R13")
	f.p("JLE whole")
	f.p("last:")
	f.p("CMPQ CX, R13")
	f.p("JGE done")
	f.p("bytes:")
	f.p("MOVBLZX (BX)(CX*1), AX")
	f.p("MOVW AX, (DI)(CX*2)")
	f.p("INCQ CX")
	f.p("CMPQ CX, R13")
	f.p("JLT bytes")
	f.p("done:")
	f.p("MOVQ t+0(FP), AX")
	f.p("ADDQ %d(AX), DI", argCSkip)
	f.p("ADDQ $4, R15")
	f.p("DECQ tap-8(SP)")
	f.p("JNE tap")
	f.p("ADDQ R9, R8")
	f.p("ADDQ R11, R10")
	f.p("DECQ R12")
	f.p("JNE row")
	f.ret()
}
