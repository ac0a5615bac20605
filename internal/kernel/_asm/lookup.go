package main

import "fmt"

// Products by tables on 256 bits: a row gives for each step where a table of 16 bytes begins, a
// panel for each step and each of its 64 columns which byte of it counts.
const (
	flushSteps  = 62            // counts of 4 that a byte holds, an even number
	flushLeft   = "left-72(SP)" // bytes of a row to go before counts are widened
	lookupLoop  = 2             // steps in a round
	stepBytes16 = 2             // of a row
)

func init() {
	register("lookup", func(f *file) {
		for _, mr := range []int{6, 2, 1} {
			f.lookup(mr)
		}
		f.countsToRows()
	})
}

// lookup adds up counts in 16 bits: argC rows of 64 columns; argScale points at the tables.
func (f *file) lookup(mr int) {
	m := &micro{file: f, name: fmt.Sprintf("lookup%dx64", mr), width: 32, mr: mr, nv: 2, size: 1, finish: func(*micro) {}}
	m.fill = func(m *micro) {
		m.clear()
		m.eachCount(func(at string, r, i int) { m.p("VMOVDQU %s, %s", m.acc(0, 0), at) })
		m.p("MOVQ $%d, %s", flushSteps*stepBytes16, flushLeft)
		m.p("taploop:")
		m.addresses()
		m.p("MOVQ t+0(FP), DX")
		m.p("MOVQ %d(DX), R14", argScale)
		m.lookups()
		m.p("DECQ %s", curTaps)
		m.p("JNE taploop")
		m.flush()
	}
	m.emit(fmt.Sprintf("counts tiles of %d rows by 64 columns.", mr))
}

// lookups goes over the steps of a tap, in pieces where the counts have to be widened.
func (m *micro) lookups() {
	m.p("piece:")
	m.p("MOVQ %s, CX", flushLeft)
	m.p("MOVQ AX, R15")
	m.p("NEGQ R15")
	m.p("CMPQ CX, R15")
	m.p("CMOVQGT R15, CX")
	m.p("SUBQ CX, %s", flushLeft)
	m.p("LEAQ (AX)(CX*1), R15")
	m.p("PCALIGN $32")
	m.p("loop:")
	for u := range lookupLoop {
		for v := range m.nv {
			m.p("VMOVDQU %d(BX), %s", (u*m.nv+v)*32, m.bv(v))
		}
		for r := range m.mr {
			at, table, t := []string{"CX", "DX", "SI", "DI"}[r%4], m.tmp(0), m.tmp(1)
			m.p("MOVWLZX %d(%s)(AX*1), %s", u*stepBytes16, rowRegs[r], at)
			m.p("VBROADCASTI128 (R14)(%s*1), %s", at, table)
			for v := range m.nv {
				m.p("VPSHUFB %s, %s, %s", m.bv(v), table, t)
				m.p("VPADDB %s, %s, %s", t, m.acc(r, v), m.acc(r, v))
			}
		}
	}
	m.p("ADDQ $%d, BX", lookupLoop*m.nv*32)
	m.p("ADDQ $%d, AX", lookupLoop*stepBytes16)
	m.p("CMPQ AX, R15")
	m.p("JNE loop")
	m.p("CMPQ %s, $0", flushLeft)
	m.p("JNE kept")
	m.flush()
	m.p("MOVQ $%d, %s", flushSteps*stepBytes16, flushLeft)
	m.p("kept:")
	m.p("TESTQ AX, AX")
	m.p("JNE piece")
}

// eachCount calls f with the address of each 16 counts of the tile: i counts within a row.
func (m *micro) eachCount(f func(at string, r, i int)) {
	m.p("MOVQ t+0(FP), DX")
	m.p("MOVQ %d(DX), CX", argLdc)
	m.p("MOVQ %s, DI", curC)
	for r := range m.mr {
		for i := range 2 * m.nv {
			f(fmt.Sprintf("%d(DI)", i*32), r, i)
		}
		if r < m.mr-1 {
			m.p("ADDQ CX, DI")
		}
	}
}

// flush adds the bytes to the counts in memory and empties them.
func (m *micro) flush() {
	m.eachCount(func(at string, r, i int) {
		a, x, t := m.acc(r, i/2), reg(16, r*m.nv+i/2), m.tmp(1)
		if i%2 == 1 {
			x = reg(16, m.mr*m.nv)
			m.p("VEXTRACTI128 $1, %s, %s", a, x)
		}
		m.p("VPMOVZXBW %s, %s", x, t)
		m.p("VPADDW %s, %s, %s", at, t, t)
		m.p("VMOVDQU %s, %s", t, at)
		if i%2 == 1 {
			m.p("VPXOR %s, %s, %s", a, a, a)
		}
	})
}

// countsToRows makes sums of the counts of 16 columns: argA rows of them, argAStep bytes from tile
// to tile of four rows; a sum is argTaps·count + base + bias, argAdd pointing at the bases.
func (f *file) countsToRows() {
	m := &micro{file: f, name: "countsToRows", width: 32, mr: 4, nv: 2, finish: finishIntY}
	m.fill = func(m *micro) {
		m.p("MOVQ t+0(FP), DI")
		m.p("MOVQ %d(DI), AX", argBias)
		m.p("MOVQ %s, SI", curA)
		m.p("MOVQ %s, CX", curAdd)
		m.p("MOVQ %d(DI), R8", argAStep)
		m.p("SHRQ $2, R8")
		base, factor := m.tmp(0), m.tmp(1)
		m.p("VPBROADCASTD %d(DI), %s", argTaps, factor)
		for v := range m.nv {
			m.p("VMOVUPS %d(AX), %s", v*m.width, m.bv(v))
		}
		for r := range m.mr {
			m.p("VPBROADCASTD %d(CX), %s", r*4, base)
			for v := range m.nv {
				a := m.acc(r, v)
				m.p("VPMOVZXWD %d(SI), %s", v*16, a)
				m.p("VPMULLD %s, %s, %s", factor, a, a)
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
