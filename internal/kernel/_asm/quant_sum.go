package main

// The argument q of the sums is a *QSum, with these fields:
const (
	qsWeights = 0
	qsOffset  = 2
	qsFactor  = 4
	qsRound   = 6
	qsZero    = 8
	qsLo      = 10
	qsHi      = 11
)

func init() {
	register("quant_sum", func(f *file) {
		f.qsum(64)
		f.qsum(32)
	})
}

// qsum interleaves the codes, so that one instruction multiplies and adds a pair of them.
func (f *file) qsum(width int) {
	f.codeSums("qsumU8", "QSum", width)
	r := func(i int) string { return reg(width, i) }
	for i, field := range []int{qsWeights, qsOffset, qsFactor, qsRound, qsZero} {
		f.p("VPBROADCASTW %d(DX), %s", field, r(i))
	}
	f.p("VPBROADCASTB %d(DX), %s", qsLo, r(5))
	f.p("VPBROADCASTB %d(DX), %s", qsHi, r(6))
	f.eachVector()
	f.p("VMOVDQU%s (SI)(AX*1), %s", suffixOf(width), r(7))
	f.p("VMOVDQU%s (BX)(AX*1), %s", suffixOf(width), r(8))
	f.p("VPUNPCKLBW %s, %s, %s", r(8), r(7), r(9))
	f.p("VPUNPCKHBW %s, %s, %s", r(8), r(7), r(10))
	for _, v := range []int{9, 10} {
		f.p("VPMADDUBSW %s, %s, %s", r(0), r(v), r(v))
		f.p("VPSUBW %s, %s, %s", r(1), r(v), r(v))
		f.p("VPMULHW %s, %s, %s", r(2), r(v), r(v))
		f.p("VPMULHRSW %s, %s, %s", r(3), r(v), r(v))
		f.p("VPADDSW %s, %s, %s", r(4), r(v), r(v))
	}
	f.p("VPACKUSWB %s, %s, %s", r(10), r(9), r(9))
	f.storeClamped(width, r(9), r(5), r(6))
}

// codeSums begins a function that adds codes at SI and BX to DI, as what lies at DX says.
func (f *file) codeSums(name, typ string, width int) {
	f.text("adds n codes, a multiple of a vector.", name+isaOf(width), "dst, x, y *uint8, n int, q *"+typ, 0, 40)
	for _, arg := range []string{"dst+0(FP), DI", "x+8(FP), SI", "y+16(FP), BX", "n+24(FP), CX", "q+32(FP), DX"} {
		f.p("MOVQ %s", arg)
	}
}

// eachVector begins its loop, in which AX counts the bytes.
func (f *file) eachVector() {
	f.p("XORQ AX, AX")
	f.p("PCALIGN $32")
	f.p("vector:")
}

// storeClamped ends the loop and the function with a vector of codes.
func (f *file) storeClamped(width int, codes, lo, hi string) {
	f.p("VPMAXUB %s, %s, %s", lo, codes, codes)
	f.p("VPMINUB %s, %s, %s", hi, codes, codes)
	f.p("VMOVDQU%s %s, (DI)(AX*1)", suffixOf(width), codes)
	f.p("ADDQ $%d, AX", width)
	f.p("CMPQ AX, CX")
	f.p("JLT vector")
	f.ret()
}

// suffixOf completes the name of a move of whole vectors.
func suffixOf(width int) string {
	if width == 64 {
		return "8"
	}
	return ""
}
