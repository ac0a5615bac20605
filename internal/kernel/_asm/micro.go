package main

import "fmt"

// A micro kernel is an outer product of dwords: mr rows times nv vectors of
// columns held in registers, one dword of k (one float32, two int16 or four
// int8) per step. Row addresses come from a list of offsets, so matrices and
// convolutions share it. The argument is a *microArgs, whose fields are at
// these offsets:
const (
	argA       = 0
	argZero    = 8
	argOff     = 16
	argOffRow  = 24
	argOffStep = 32
	argAStep   = 40
	argTaps    = 48
	argKB      = 56
	argB       = 64
	argBias    = 72
	argC       = 80
	argLdc     = 88
	argRows    = 96
	argMask    = 104
	argAdd     = 112
	argLdAdd   = 120
	argLo      = 128
	argHi      = 132
	argScale   = 136
	argShift   = 144
	argKind    = 152
	argZ       = 160
	argQLo     = 164
	argQHi     = 168
	argFlip    = 172
	argMaskV   = 176
	argLines   = 184
	argASkip   = 192
	argCSkip   = 200
	argAddSkip = 208
	argNext    = 216
	argNextLen = 224
	argPace    = 232
	argTouch   = 240
	argPart    = 248
	argMore    = 256
	argPer     = 264
	argLeft    = 272
	argPartial = 280
)

type micro struct {
	*file
	name   string
	width  int // bytes of a vector: 32 or 64
	mr, nv int
	size   int // bytes of an element of A
	unroll int
	spare  int          // registers that step needs beside acc, B and A
	pro    func(*micro) // loads constants for step
	fill   func(*micro) // makes the accumulators
	step   func(m *micro, b, a, acc string)
	finish func(*micro) // from accumulators to memory; may use all registers
	bytes  bool         // B holds words of 16 bits as bytes
	blocks bool         // sums are taken over blocks of k, which are then added
}

func (m *micro) acc(r, v int) string { return reg(m.width, r*m.nv+v) }
func (m *micro) bv(v int) string     { return reg(m.width, m.mr*m.nv+v) }
func (m *micro) tmp(i int) string    { return reg(m.width, m.mr*m.nv+m.nv+i) }

// av rotates over the registers that are left.
func (m *micro) av(r int) string {
	first := m.mr*m.nv + m.nv + m.spare
	last := 16
	if m.width == 64 {
		last = 32
	}
	n := min(4, last-first)
	if n < 1 {
		panic(m.name + " needs too many registers")
	}
	return reg(m.width, first+r%n)
}

// rowRegs hold the ends of the rows; the last four are in use while the
// addresses are found, so they pass through the frame.
var rowRegs = []string{"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "CX", "DX", "SI", "DI"}

// Frame: cursors that advance from tile to tile, and spilled row addresses.
const (
	curOff      = "off-8(SP)"
	curA        = "a-16(SP)"
	curC        = "c-24(SP)"
	curAdd      = "add-32(SP)"
	curRows     = "rows-40(SP)"
	curTaps     = "taps-48(SP)"
	curTap      = "tap-56(SP)"
	curNext     = "next-64(SP)"
	curMore     = "more-96(SP)"  // bytes of the rows that are left at this tap
	curLeft     = "left-104(SP)" // taps behind this block, or parts of rows
	curPartial  = "partial-112(SP)"
	frame       = 96
	blocksFrame = 112
)

func spill(r int) string { return fmt.Sprintf("row%d-%d(SP)", r, 72+8*(r-8)) }

func (m *micro) emit(doc string) {
	local := frame
	if m.blocks {
		local = blocksFrame
	}
	m.text(doc, m.name, "t *microArgs", local, 8)
	m.p("MOVQ t+0(FP), DI")
	for _, c := range []struct {
		arg int
		cur string
	}{{argOff, curOff}, {argA, curA}, {argC, curC}, {argAdd, curAdd}, {argRows, curRows}, {argNext, curNext}, {argMore, curMore}, {argLeft, curLeft}, {argPartial, curPartial}} {
		if c.arg >= argPart && !m.blocks {
			continue
		}
		m.p("MOVQ %d(DI), AX", c.arg)
		m.p("MOVQ AX, %s", c.cur)
	}
	m.p("tile:")
	if m.pro != nil {
		m.pro(m)
	}
	m.fill(m)
	m.p("MOVQ t+0(FP), DI")
	m.finish(m)
	m.advance()
	m.ret()
}

// product is the usual fill: bias plus A times B.
func product(m *micro) {
	m.start()
	m.touch()
	m.p("taploop:")
	m.addresses()
	m.steps()
	m.p("DECQ %s", curTaps)
	m.p("JNE taploop")
	if m.blocks {
		m.p("CMPQ %s, $0", curPartial)
		m.p("JNE block")
		m.p("summed:")
	}
}

// between is what stands between blocks, out of the way of sums that have but one. Behind each block but the
// last the accumulators are added to the sums in memory and begin anew; behind the last it is the other way round.
func (m *micro) between() {
	all := m.mr * m.nv
	m.p("block:")
	m.p("CMPQ %s, $0", curLeft)
	m.p("JEQ join")
	m.arg(argLeft)
	m.p("CMPQ AX, %s", curLeft)
	m.p("MOVQ %s, AX", curPartial)
	m.p("JEQ first")
	m.partial("AX", m.width, all, true, true)
	m.p("JMP begin")
	m.p("first:")
	m.partial("AX", m.width, all, false, true)
	m.p("begin:")
	m.empty(all)
	m.take(argPer, curLeft)
	m.p("MOVQ AX, %s", curTaps)
	m.take(argPart, curMore)
	m.p("JEQ nexttap")
	for r := range m.mr {
		m.p("ADDQ AX, %s", rowRegs[r])
	}
	m.p("NEGQ AX")
	m.p("JMP steps")
	m.p("nexttap:")
	m.restore(argMore, curMore)
	m.p("JMP taploop")
	m.p("join:")
	m.p("MOVQ %s, AX", curPartial)
	m.partial("AX", m.width, all, true, false)
	m.restore(argLeft, curLeft)
	m.restore(argMore, curMore)
	m.p("JMP summed")
}

// partial adds the sums of the blocks before, at addr, to the first n registers, and stores these there.
func (f *file) partial(addr string, width, n int, add, store bool) {
	for i := range n {
		if add {
			f.p("VADDPS %d(%s), %s, %s", i*width, addr, reg(width, i), reg(width, i))
		}
		if store {
			f.p("VMOVUPS %s, %d(%s)", reg(width, i), i*width, addr)
		}
	}
}

// arg loads an argument where no register but AX is free.
func (m *micro) arg(at int) {
	m.p("MOVQ t+0(FP), AX")
	m.p("MOVQ %d(AX), AX", at)
}

// take makes AX as much as the argument, or all that is left, and leaves less; the flags say whether it is nothing.
func (m *micro) take(arg int, left string) {
	m.arg(arg)
	m.p("CMPQ AX, %s", left)
	m.p("CMOVQGT %s, AX", left)
	m.p("SUBQ AX, %s", left)
	m.p("TESTQ AX, AX")
}

// restore sets a cursor to its argument.
func (m *micro) restore(arg int, cur string) {
	m.arg(arg)
	m.p("MOVQ AX, %s", cur)
}

// start loads the bias into each row of accumulators.
func (m *micro) start() {
	m.p("MOVQ t+0(FP), DI")
	m.p("MOVQ %d(DI), AX", argBias)
	for v := range m.nv {
		m.p("VMOVUPS %d(AX), %s", v*m.width, m.acc(0, v))
	}
	for r := 1; r < m.mr; r++ {
		for v := range m.nv {
			m.p("VMOVAPS %s, %s", m.acc(0, v), m.acc(r, v))
		}
	}
	m.p("MOVQ %d(DI), BX", argB)
	taps := argTaps
	if m.blocks {
		taps = argPer
	}
	m.p("MOVQ %d(DI), AX", taps)
	m.p("MOVQ AX, %s", curTaps)
	m.p("MOVQ %s, AX", curOff)
	m.p("MOVQ AX, %s", curTap)
}

// touch asks for the lines of a tile of results of four bytes, where they are
// too many to be near: they arrive while the tile is made.
func (m *micro) touch() {
	m.p("CMPQ %d(DI), $0", argTouch)
	m.p("JEQ touched")
	m.p("MOVQ %s, SI", curC)
	m.p("MOVQ %d(DI), DX", argLdc)
	for r := range m.mr {
		if r > 0 {
			m.p("ADDQ DX, SI")
		}
		for line := 0; line < m.nv*m.width; line += 64 {
			m.p("PREFETCHT1 %d(SI)", line)
		}
	}
	m.p("touched:")
}

// addresses finds the end of each row at this tap, or of the part of it that is in one block; AX becomes
// minus the bytes of that. What is fetched lies at SI, and CX from dword to dword; DX is 3·CX.
func (m *micro) addresses() {
	length := argKB
	if m.blocks {
		length = argPart
	}
	m.p("MOVQ t+0(FP), AX")
	m.p("MOVQ %d(AX), DI", length)
	m.p("MOVQ %d(AX), DX", argZero)
	m.p("MOVQ %d(AX), CX", argOffRow)
	m.p("MOVQ %s, SI", curA)
	m.p("MOVQ %s, AX", curTap)
	m.p("ADDQ DI, SI")
	m.p("ADDQ DI, DX")
	for r := range m.mr {
		x := rowRegs[r]
		if r >= 8 {
			x = "DI"
		}
		m.p("MOVLQSX (AX), %s", x)
		m.p("TESTQ %s, %s", x, x)
		m.p("LEAQ (SI)(%s*%d), %s", x, m.size, x)
		m.p("CMOVQLT DX, %s", x)
		if r >= 8 && r < 11 {
			m.p("MOVQ DI, %s", spill(r))
		}
		if r < m.mr-1 {
			m.p("ADDQ CX, AX")
		}
	}
	m.p("ADDQ $4, %s", curTap)
	for r := 8; r < min(m.mr, 11); r++ {
		m.p("MOVQ %s, %s", spill(r), rowRegs[r])
	}
	m.p("MOVQ t+0(FP), AX")
	if m.fetches() {
		m.p("MOVQ %d(AX), CX", argPace)
		m.p("LEAQ (CX)(CX*2), DX")
		m.p("MOVQ %s, SI", curNext)
	}
	m.p("MOVQ %d(AX), AX", length)
	m.p("NEGQ AX")
}

// fetches says whether the next panel of B is brought nearer: it is where
// several tiles share the work and a register is left.
func (m *micro) fetches() bool { return m.mr > 1 && m.mr <= 8 }

// prefetch belongs to dword u of a loop, the first of four: the next panel, whose
// lines are spread over the tiles so that they do not jam the way to this one, or
// this panel ahead where a single row reads it once.
func (m *micro) prefetch(u int) {
	const ahead = 4096
	if m.fetches() {
		m.p("PREFETCHT1 %s", []string{"(SI)", "(SI)(CX*1)", "(SI)(CX*2)", "(SI)(DX*1)"}[u])
	}
	if m.mr == 1 {
		for v := 0; v < m.nv; v += 64 / m.width {
			m.p("PREFETCHT0 %d(BX)", (u*m.nv+v)*m.stored()+ahead)
		}
	}
}

// stored is the number of bytes of a vector in B.
func (m *micro) stored() int {
	if m.bytes {
		return m.width / 2
	}
	return m.width
}

// fetched steps over what n dwords have fetched.
func (m *micro) fetched(n int) {
	if m.fetches() {
		m.p("LEAQ (SI)(CX*%d), SI", n)
	}
}

// steps is the loop over the dwords of a row.
func (m *micro) steps() {
	span := 4 * m.unroll
	if m.blocks {
		m.p("steps:")
	}
	m.p("ADDQ $%d, AX", span)
	m.p("JG tail")
	m.p("PCALIGN $32")
	m.p("loop:")
	for u := range m.unroll {
		m.prefetch(u)
		m.dword(u, u*4-span)
	}
	m.p("ADDQ $%d, BX", m.unroll*m.nv*m.stored())
	m.fetched(m.unroll)
	m.p("ADDQ $%d, AX", span)
	m.p("JLE loop")
	m.p("tail:")
	m.p("SUBQ $%d, AX", span)
	m.p("JEQ tapdone")
	m.p("rest:")
	m.dword(0, 0)
	m.p("ADDQ $%d, BX", m.nv*m.stored())
	m.p("ADDQ $4, AX")
	m.p("JNE rest")
	m.p("tapdone:")
	if m.fetches() {
		m.p("MOVQ SI, %s", curNext)
	}
}

func (m *micro) dword(u, disp int) {
	load := "VMOVUPS"
	if m.bytes {
		load = "VPMOVSXBW"
	}
	for v := range m.nv {
		m.p("%s %d(BX), %s", load, (u*m.nv+v)*m.stored(), m.bv(v))
	}
	for r := range m.mr {
		m.p("VBROADCASTSS %d(%s)(AX*1), %s", disp, rowRegs[r], m.av(r))
		for v := range m.nv {
			m.step(m, m.bv(v), m.av(r), m.acc(r, v))
		}
	}
}

// advance goes on to the next rows, if there are any.
func (m *micro) advance() {
	m.p("MOVQ t+0(FP), DI")
	m.p("SUBQ $%d, %s", m.mr, curRows)
	m.p("JLE end")
	if m.fetches() {
		// Begin again behind the end of the panel: its start is near by then.
		m.p("MOVQ %d(DI), AX", argNext)
		m.p("MOVQ %s, BX", curNext)
		m.p("SUBQ AX, BX")
		m.p("CMPQ BX, %d(DI)", argNextLen)
		m.p("JLT fetching")
		m.p("MOVQ AX, %s", curNext)
		m.p("fetching:")
	}
	for _, c := range []struct {
		arg   int
		cur   string
		times int
	}{{argOffStep, curOff, 1}, {argAStep, curA, 1}, {argLdc, curC, m.mr}, {argLdAdd, curAdd, m.mr}} {
		m.p("MOVQ %d(DI), AX", c.arg)
		if c.times > 1 {
			m.p("IMULQ $%d, AX", c.times)
		}
		m.p("ADDQ AX, %s", c.cur)
	}
	m.p("JMP tile")
	if m.blocks {
		m.between()
	}
	m.p("end:")
}

// eachRow calls f for each row that exists, with the row's address in addr,
// which steps by the register pitch. done is the label behind the last row.
func (m *micro) eachRow(addr, pitch, done string, f func(r int)) {
	for r := range m.mr {
		if r > 0 {
			m.p("CMPQ %s, $%d", curRows, r)
			m.p("JLE %s", done)
			m.p("ADDQ %s, %s", pitch, addr)
		}
		f(r)
	}
	m.p("%s:", done)
}

// masks loads K1..K4 with the 16 columns of each vector.
func (m *micro) masks() {
	m.p("MOVQ %d(DI), AX", argMask)
	for v := range m.nv {
		m.p("KMOVW AX, K%d", v+1)
		if v < m.nv-1 {
			m.p("SHRQ $16, AX")
		}
	}
}
