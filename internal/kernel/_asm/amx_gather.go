package main

// gather copies rows through a list of offsets. Arguments are as for a micro
// kernel, elements of size bytes: argC is the block, argLdc its pitch, argKB the bytes from tap to tap
// in it, argMask the bytes to read for the last vector of a tap. Whole vectors
// are written, so up to 63 bytes follow the last row.
func (f *file) gather(name string, size int) {
	f.text("copies the taps of rows side by side; whole vectors are written.", name, "t *microArgs", 8, 8)
	f.p("MOVQ t+0(FP), AX")
	for _, c := range []struct {
		arg int
		to  string
	}{{argA, "SI"}, {argZero, "DX"}, {argOff, "R8"}, {argOffRow, "R9"}, {argC, "R10"}, {argLdc, "R11"}, {argRows, "R12"}, {argKB, "R13"}} {
		f.p("MOVQ %d(AX), %s", c.arg, c.to)
	}
	f.p("KMOVQ %d(AX), K1", argMask)
	f.p("MOVQ %d(AX), R14", argTaps)
	f.p("row:")
	f.p("MOVQ R8, R15")
	f.p("MOVQ R10, DI")
	f.p("MOVQ R14, AX")
	f.p("MOVQ AX, tap-8(SP)")
	f.p("tap:")
	f.p("MOVLQSX (R15), BX")
	f.p("TESTQ BX, BX")
	f.p("LEAQ (SI)(BX*%d), BX", size)
	f.p("CMOVQLT DX, BX")
	f.p("XORQ CX, CX")
	f.p("MOVQ R13, AX")
	f.p("SUBQ $64, AX")
	f.p("JLE last")
	f.p("whole:")
	f.p("VMOVDQU64 (BX)(CX*1), Z0")
	f.p("VMOVDQU64 Z0, (DI)(CX*1)")
	f.p("ADDQ $64, CX")
	f.p("CMPQ CX, AX")
	f.p("JLT whole")
	f.p("last:")
	f.p("VMOVDQU8.Z (BX)(CX*1), K1, Z0")
	f.p("VMOVDQU64 Z0, (DI)(CX*1)")
	f.p("ADDQ R13, DI")
	f.p("ADDQ $4, R15")
	f.p("DECQ tap-8(SP)")
	f.p("JNE tap")
	f.p("ADDQ R9, R8")
	f.p("ADDQ R11, R10")
	f.p("DECQ R12")
	f.p("JNE row")
	f.ret()
}
