package main

// The argument of gemmAMX is an *amxArgs with these offsets.
const (
	amxCfg  = 0
	amxA    = 8
	amxLda  = 16
	amxB    = 24
	amxC    = 32
	amxLdc  = 40
	amxBlks = 48
	amxKB   = 56
)

func init() {
	register("gemm_amx", func(f *file) {
		f.amxBlocks("gemmAMX32", 2)
		f.amxBlocks("gemmAMX16", 1)
		f.sumsToRows()
		f.gather()
	})
}

// amxBlocks multiplies mt*16 rows of A by blocks of 32 columns: tiles 0-3 hold
// C, 4-5 A, 6-7 B. Tile state is made and dropped within the call, during
// which a goroutine cannot change threads.
func (f *file) amxBlocks(name string, mt int) {
	f.text("multiplies rows of 64-byte steps by blocks of 32 columns.", name, "t *amxArgs", 0, 8)
	f.p("MOVQ t+0(FP), AX")
	f.p("MOVQ %d(AX), BX", amxCfg)
	f.tileConfig("BX")
	for _, c := range []struct {
		arg int
		to  string
	}{{amxA, "SI"}, {amxLda, "R8"}, {amxB, "BX"}, {amxC, "DI"}, {amxLdc, "R9"}, {amxBlks, "R13"}, {amxKB, "R14"}} {
		f.p("MOVQ %d(AX), %s", c.arg, c.to)
	}
	f.p("MOVQ $64, R10")
	f.p("MOVQ R8, R15")
	f.p("SHLQ $4, R15")
	f.p("block:")
	for t := range 2 * mt {
		f.tileZero(byte(t))
	}
	f.p("MOVQ SI, R11")
	f.p("LEAQ (SI)(R15*1), R12")
	f.p("MOVQ R14, CX")
	f.p("PCALIGN $32")
	f.p("loop:")
	f.tileLoad(6, "BX", "R10", 0)
	f.tileLoad(4, "R11", "R8", 0)
	f.tileLoad(7, "BX", "R10", 1024)
	f.tileDot(0, 4, 6)
	f.tileDot(1, 4, 7)
	if mt == 2 {
		f.tileLoad(5, "R12", "R8", 0)
		f.tileDot(2, 5, 6)
		f.tileDot(3, 5, 7)
	}
	f.p("ADDQ $64, R11")
	f.p("ADDQ $64, R12")
	f.p("ADDQ $2048, BX")
	f.p("DECQ CX")
	f.p("JNE loop")
	f.tileStore(0, "DI", "R9", 0)
	f.tileStore(1, "DI", "R9", 64)
	if mt == 2 {
		f.p("MOVQ R9, AX")
		f.p("SHLQ $4, AX")
		f.p("LEAQ (DI)(AX*1), AX")
		f.tileStore(2, "AX", "R9", 0)
		f.tileStore(3, "AX", "R9", 64)
	}
	f.p("ADDQ $128, DI")
	f.p("DECQ R13")
	f.p("JNE block")
	f.tileRelease()
	f.p("RET")
	f.asm.WriteByte('\n')
}

// sumsToRows finishes int32 sums that lie in memory: argA rows of 64 columns,
// argAStep bytes from tile to tile of four rows.
func (f *file) sumsToRows() {
	f.words("transpose4", transpose4...)
	m := &micro{file: f, name: "sumsToRows", width: 64, mr: 4, nv: 4, size: 4, finish: finishIntZ}
	m.fill = func(m *micro) {
		m.p("MOVQ t+0(FP), DI")
		m.p("MOVQ %d(DI), AX", argBias)
		m.p("MOVQ %s, SI", curA)
		m.p("MOVQ %d(DI), R8", argAStep)
		m.p("SHRQ $2, R8")
		for v := range m.nv {
			m.p("VMOVUPS %d(AX), %s", v*m.width, m.bv(v))
		}
		for r := range m.mr {
			for v := range m.nv {
				m.p("VPADDD %d(SI), %s, %s", v*m.width, m.bv(v), m.acc(r, v))
			}
			m.p("ADDQ R8, SI")
		}
	}
	m.emit("writes rows of 64 sums, plus bias, as the kind of output says.")
}

// gather copies rows through a list of offsets. Arguments are as for a micro
// kernel: argC is the block, argLdc its pitch, argKB the bytes from tap to tap
// in it, argMask the bytes to read for the last vector of a tap. Whole vectors
// are written, so up to 63 bytes follow the last row.
func (f *file) gather() {
	f.text("copies the taps of rows side by side; whole vectors are written.", "gatherAVX512", "t *microArgs", 8, 8)
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
	f.p("LEAQ (SI)(BX*1), BX")
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
