package main

import "fmt"

// bitTiles has six rows at most: each row has a mask register, K1 to K6.
var bitTiles = []tile{{6, 4}, {4, 4}, {2, 4}, {1, 4}, {6, 3}, {4, 3}, {2, 3}, {1, 3}, {6, 2}, {3, 2}, {1, 2}, {6, 1}, {3, 1}, {1, 1}}

func init() {
	register("bits", func(f *file) {
		f.words("transpose4", transpose4...)
		for _, t := range bitTiles {
			f.microBits(t.mr, t.nv)
		}
		f.signs()
		f.signBits()
		f.signSteps()
	})
}

// microBits counts the bits in which rows and columns differ, padding left out. argAdd points at a
// base for each row: a sum is base + bias − 2·count.
func (f *file) microBits(mr, nv int) {
	m := &micro{file: f, name: fmt.Sprintf("bitsAVX512%dx%d", mr, nv*16), width: 64, mr: mr, nv: nv, size: 1, unroll: 4, spare: 2}
	m.fill = func(m *micro) {
		m.clear()
		m.p("taploop:")
		m.addresses()
		m.steps()
		m.p("DECQ %s", curTaps)
		m.p("JNE taploop")
	}
	m.mark = func(m *micro, r int, offset string) {
		m.p("MOVQ %s, R14", offset)
		m.p("NOTQ R14")
		m.p("SARQ $63, R14")
		m.p("KMOVW R14, K%d", r+1)
	}
	turn := 0
	m.step = func(m *micro, b, a, acc string) {
		t := m.tmp(turn % 2)
		turn++
		m.p("VPXORD.Z %s, %s, K%d, %s", b, a, number(acc)/m.nv+1, t)
		m.p("VPOPCNTD %s, %s", t, t)
		m.p("VPADDD %s, %s, %s", t, acc, acc)
	}
	m.finish = func(m *micro) {
		m.differences()
		finishIntZ(m)
	}
	m.emit(fmt.Sprintf("makes tiles of %d rows by %d columns.", mr, nv*16))
}

// clear empties the accumulators and goes to the start of the panel.
func (m *micro) clear() {
	for i := range m.mr * m.nv {
		x := reg(16, i)
		if i > 15 {
			m.p("VPXORD %s, %s, %s", reg(m.width, i), reg(m.width, i), reg(m.width, i))
			continue
		}
		m.p("VPXOR %s, %s, %s", x, x, x)
	}
	m.p("MOVQ t+0(FP), DI")
	m.p("MOVQ %d(DI), BX", argB)
	m.p("MOVQ %d(DI), AX", argTaps)
	m.p("MOVQ AX, %s", curTaps)
	m.p("MOVQ %s, AX", curOff)
	m.p("MOVQ AX, %s", curTap)
}

// differences turns counts into sums.
func (m *micro) differences() {
	m.p("MOVQ %s, SI", curAdd)
	m.p("MOVQ %d(DI), AX", argBias)
	for v := range m.nv {
		m.p("VMOVUPS %d(AX), %s", v*m.width, m.bv(v))
	}
	base, t := m.tmp(0), m.tmp(1)
	for r := range m.mr {
		m.p("VPBROADCASTD %d(SI), %s", r*4, base)
		for v := range m.nv {
			a := m.acc(r, v)
			m.p("VPADDD %s, %s, %s", m.bv(v), base, t)
			m.p("VPADDD %s, %s, %s", a, a, a)
			m.p("VPSUBD %s, %s, %s", a, t, a)
		}
	}
}

// signs writes 0 for what is below zero, else 2.
func (f *file) signs() {
	const less = 1
	f.words("bytesOfFour", 0x0000000400000000, 0x0000000500000001, 0x0000000600000002, 0x0000000700000003)
	f.text("writes the codes of the signs of n numbers, n a multiple of 32.", "signsAVX2", "dst *uint8, x *float32, n int", 0, 24)
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ x+8(FP), SI")
	f.p("MOVQ n+16(FP), CX")
	f.splat(32, 15, 0x02020202)
	f.p("VMOVDQU bytesOfFour<>(SB), Y14")
	f.p("VPXOR X13, X13, X13")
	f.p("loop:")
	for i := range 4 {
		f.p("VMOVUPS %d(SI), Y%d", i*32, i)
		f.p("VCMPPS $%d, Y13, Y%d, Y%d", less, i, i)
	}
	f.p("VPACKSSDW Y1, Y0, Y0")
	f.p("VPACKSSDW Y3, Y2, Y2")
	f.p("VPACKSSWB Y2, Y0, Y0")
	f.p("VPERMD Y0, Y14, Y0")
	f.p("VPANDN Y15, Y0, Y0")
	f.p("VMOVDQU Y0, (DI)")
	f.p("SUBQ $-128, SI")
	f.p("ADDQ $32, DI")
	f.p("SUBQ $32, CX")
	f.p("JGT loop")
	f.ret()
}

// signBits sets a bit for each code of 0.
func (f *file) signBits() {
	f.text("packs n codes to bits, n a multiple of 32.", "signBitsAVX2", "dst, src *uint8, n int", 0, 24)
	f.bytesHead()
	f.p("VPXOR X1, X1, X1")
	f.p("loop:")
	f.p("VPCMPEQB (SI), Y1, Y0")
	f.p("VPMOVMSKB Y0, AX")
	f.p("MOVL AX, (DI)")
	f.p("ADDQ $32, SI")
	f.p("ADDQ $4, DI")
	f.p("SUBQ $32, CX")
	f.p("JGT loop")
	f.ret()
}

// signSteps spreads four bits to sixteen times their value in 16 bits each.
func (f *file) signSteps() {
	f.text("packs n codes to the offsets of tables, n a multiple of 32.", "signStepsAVX2", "dst, src *uint8, n int", 0, 24)
	f.bytesHead()
	f.p("VPXOR X1, X1, X1")
	f.p("MOVQ $0x00f000f000f000f0, R8")
	f.p("loop:")
	f.p("VPCMPEQB (SI), Y1, Y0")
	f.p("VPMOVMSKB Y0, AX")
	f.p("PDEPQ R8, AX, BX")
	f.p("SHRQ $16, AX")
	f.p("PDEPQ R8, AX, DX")
	f.p("MOVQ BX, (DI)")
	f.p("MOVQ DX, 8(DI)")
	f.p("ADDQ $32, SI")
	f.p("ADDQ $16, DI")
	f.p("SUBQ $32, CX")
	f.p("JGT loop")
	f.ret()
}
