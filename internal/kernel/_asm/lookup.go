package main

import "fmt"

// Products by tables on 256 bits: for each step a pair of rows says where a table of 16 bytes begins, and a panel for each
// of its 64 columns which byte of it counts: the count of the first row, and sixteen times that of the second.
const (
	roundSteps  = 3  // whose counts, of 4 at most, half a byte holds
	flushRounds = 21 // whose counts a byte holds
)

func init() {
	register("lookup", func(f *file) {
		f.words("lowHalves", 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f)
		f.words("highHalves", 0xf0f0f0f0f0f0f0f0, 0xf0f0f0f0f0f0f0f0, 0xf0f0f0f0f0f0f0f0, 0xf0f0f0f0f0f0f0f0)
		f.words("evenBytes", 0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff)
		for _, mr := range []int{6, 2, 1} {
			f.lookup(mr)
		}
		f.pairSteps()
		f.countsToRows()
	})
}

// A lookupTile adds up counts of mr rows by 64 columns. The sum of all bytes looked up, 16·b + a for the counts a and b of
// two rows, is kept without its carries; b is added up by itself, and tells a.
type lookupTile struct {
	*file
	mr int
}

// lookup adds counts to those in memory: argC points at rows of 64 in 16 bits, argLdc bytes apart, argA at the steps of
// the first pair of rows, argAStep bytes before those of the next, argTaps is a number of rounds, argB points at the
// panel, argScale at the tables.
func (f *file) lookup(mr int) {
	l := lookupTile{f, mr}
	l.text(fmt.Sprintf("adds up counts of %d rows by 64 columns.", mr), fmt.Sprintf("lookup%dx64", mr), "t *microArgs", 0, 8)
	l.p("MOVQ t+0(FP), DI")
	for _, a := range []struct {
		arg int
		reg string
	}{{argA, "R8"}, {argAStep, "R10"}, {argB, "BX"}, {argScale, "R14"}, {argTaps, "R12"}, {argLdc, "R11"}, {argC, "DI"}} {
		l.p("MOVQ %d(DI), %s", a.arg, a.reg)
	}
	l.p("LEAQ (R8)(R10*1), R9")
	l.p("ADDQ R9, R10")
	l.p("XORL AX, AX")
	l.p("piece:")
	l.p("MOVQ $%d, R13", flushRounds)
	l.p("CMPQ R12, R13")
	l.p("CMOVQLT R12, R13")
	l.p("SUBQ R13, R12")
	for i := range 4 * l.pairs() {
		l.p("VPXOR X%d, X%d, X%d", i, i, i)
	}
	l.p("PCALIGN $32")
	l.p("loop:")
	for p := range l.pairs() {
		l.round(p)
	}
	l.p("ADDQ $%d, BX", roundSteps*64)
	l.p("ADDQ $%d, AX", roundSteps*2)
	l.p("DECQ R13")
	l.p("JNE loop")
	l.flush()
	l.p("TESTQ R12, R12")
	l.p("JNE piece")
	l.ret()
}

func (l *lookupTile) pairs() int { return (l.mr + 1) / 2 }

// all and second are the sums of a pair in vector v, and x what was looked up for it in a round.
func (l *lookupTile) all(pair, v int) string    { return reg(32, pair*4+v*2) }
func (l *lookupTile) second(pair, v int) string { return reg(32, pair*4+v*2+1) }
func (l *lookupTile) x(v int) string            { return reg(32, 12+v) }

func (l *lookupTile) round(pair int) {
	const table, t = "Y14", "Y15"
	for u := range roundSteps {
		at := []string{"CX", "DX", "SI"}[u]
		l.p("MOVWLZX %d(%s)(AX*1), %s", u*2, rowRegs[pair], at)
		l.p("VBROADCASTI128 (R14)(%s*1), %s", at, table)
		for v := range 2 {
			if u == 0 {
				l.p("VPSHUFB %d(BX), %s, %s", v*32, table, l.x(v))
				continue
			}
			l.p("VPSHUFB %d(BX), %s, %s", u*64+v*32, table, t)
			l.p("VPADDB %s, %s, %s", t, l.x(v), l.x(v))
		}
	}
	for v := range 2 {
		x := l.x(v)
		l.p("VPADDB %s, %s, %s", x, l.all(pair, v), l.all(pair, v))
		if l.mr == 1 {
			continue
		}
		l.p("VPSRLW $4, %s, %s", x, x)
		l.p("VPAND lowHalves<>(SB), %s, %s", x, x)
		l.p("VPADDB %s, %s, %s", x, l.second(pair, v), l.second(pair, v))
	}
}

// flush widens the sums: even bytes are columns 0 to 15 of a vector, odd ones columns 16 to 31.
func (l *lookupTile) flush() {
	const t = "Y12"
	l.p("MOVQ DI, CX")
	for r := range l.mr {
		for v := range 2 {
			sum := l.second(r/2, v)
			if r%2 == 0 {
				sum = l.all(r/2, v)
			}
			if r%2 == 0 && l.mr > 1 {
				l.p("VPSLLW $4, %s, %s", l.second(r/2, v), t)
				l.p("VPAND highHalves<>(SB), %s, %s", t, t)
				l.p("VPSUBB %s, %s, %s", t, sum, sum)
			}
			l.p("VPAND evenBytes<>(SB), %s, %s", sum, t)
			l.p("VPSRLW $8, %s, %s", sum, sum)
			for i, half := range []string{t, sum} {
				l.p("VPADDW %d(CX), %s, %s", v*64+i*32, half, half)
				l.p("VMOVDQU %s, %d(CX)", half, v*64+i*32)
			}
		}
		if r < l.mr-1 {
			l.p("ADDQ R11, CX")
		}
	}
}

// pairSteps joins the steps of two rows: four or eight at a time.
func (f *file) pairSteps() {
	f.text("writes x + 17·y for the steps x and y of two rows, size bytes at each of some taps, a multiple of 8; offsets below 0 mean zero.",
		"pairSteps", "dst, a, zero *uint8, x, y *int32, taps, size int", 0, 56)
	for i, r := range []string{"DI", "R8", "R9", "R10", "R11", "R12", "R13"} {
		f.p("MOVQ %s+%d(FP), %s", []string{"dst", "a", "zero", "x", "y", "taps", "size"}[i], i*8, r)
	}
	join := func(move string) {
		f.p("%s (DX)(AX*1), X0", move)
		f.p("%s (SI)(AX*1), X1", move)
		f.p("VPSLLW $4, X0, X2")
		f.p("VPADDW X0, X1, X1")
		f.p("VPADDW X2, X1, X1")
		f.p("%s X1, (DI)(AX*1)", move)
	}
	f.p("taploop:")
	for _, r := range [][2]string{{"R10", "SI"}, {"R11", "DX"}} {
		f.p("MOVLQSX (%s), %s", r[0], r[1])
		f.p("TESTQ %s, %s", r[1], r[1])
		f.p("LEAQ (R8)(%s*1), %s", r[1], r[1])
		f.p("CMOVQLT R9, %s", r[1])
		f.p("ADDQ $4, %s", r[0])
	}
	f.p("XORL AX, AX")
	f.p("LEAQ -16(R13), CX")
	f.p("loop:")
	f.p("CMPQ AX, CX")
	f.p("JGT rest")
	join("VMOVDQU")
	f.p("ADDQ $16, AX")
	f.p("JMP loop")
	f.p("rest:")
	f.p("CMPQ AX, R13")
	f.p("JEQ tapdone")
	join("VMOVQ")
	f.p("tapdone:")
	f.p("ADDQ R13, DI")
	f.p("DECQ R12")
	f.p("JNE taploop")
	f.ret()
}

// countsToRows makes sums of the counts of 16 columns: argA rows of them, argAStep bytes from tile
// to tile of four rows; a sum is 2·count + base + bias, argAdd pointing at the bases.
func (f *file) countsToRows() {
	m := &micro{file: f, name: "countsToRows", width: 32, mr: 4, nv: 2, finish: finishIntY}
	m.fill = func(m *micro) {
		m.p("MOVQ t+0(FP), DI")
		m.p("MOVQ %d(DI), AX", argBias)
		m.p("MOVQ %s, SI", curA)
		m.p("MOVQ %s, CX", curAdd)
		m.p("MOVQ %d(DI), R8", argAStep)
		m.p("SHRQ $2, R8")
		base := m.tmp(0)
		for v := range m.nv {
			m.p("VMOVUPS %d(AX), %s", v*m.width, m.bv(v))
		}
		for r := range m.mr {
			m.p("VPBROADCASTD %d(CX), %s", r*4, base)
			for v := range m.nv {
				a := m.acc(r, v)
				m.p("VPMOVZXWD %d(SI), %s", v*16, a)
				m.p("VPADDD %s, %s, %s", a, a, a)
				m.p("VPADDD %s, %s, %s", base, a, a)
				m.p("VPADDD %s, %s, %s", m.bv(v), a, a)
			}
			if r < m.mr-1 {
				m.p("ADDQ R8, SI")
			}
		}
	}
	m.emit("writes rows of 16 sums, plus bias, as the kind of output says.")
}
