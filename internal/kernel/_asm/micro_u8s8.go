package main

import "fmt"

// The kinds of output, as argKind holds them.
const (
	kindU8 = iota
	kindI32
	kindF32
)

// transpose4 is the index of a VPERMD that turns four rows of dwords into
// columns.
var transpose4 = []uint64{0x0000000400000000, 0x0000000c00000008, 0x0000000500000001, 0x0000000d00000009,
	0x0000000600000002, 0x0000000e0000000a, 0x0000000700000003, 0x0000000f0000000b}

func init() {
	register("gemm_u8s8", func(f *file) {
		f.words("transpose4", transpose4...)
		for _, t := range zmmTiles {
			f.microInt("gemmU8S8VNNI", 64, t.mr, t.nv, 1, 0, nil, stepVNNI)
		}
		for _, t := range ymmTiles {
			f.microInt("gemmU8S8AVXVNNI", 32, t.mr, t.nv, 1, 0, nil, stepAVXVNNI)
			f.microInt("gemmU16S16AVX2", 32, t.mr, t.nv, 2, 1, nil, stepPairs)
		}
		f.words("ones", 0x0001000100010001)
		for _, mr := range []int{5, 2, 1} {
			f.microInt("gemmU8S8AVX2", 32, mr, 2, 1, 2, ones, stepBytes)
		}
	})
}

func (f *file) microInt(name string, width, mr, nv, size, spare int, pro func(*micro), step func(m *micro, b, a, acc string)) {
	m := &micro{file: f, name: fmt.Sprintf("%s%dx%d", name, mr, nv*width/4), width: width, mr: mr, nv: nv, size: size, unroll: 4, fill: product, spare: spare, pro: pro, step: step}
	m.finish = finishIntZ
	if width == 32 {
		m.finish = finishIntY
	}
	m.emit(fmt.Sprintf("makes tiles of %d rows by %d columns.", mr, nv*width/4))
}

func stepVNNI(m *micro, b, a, acc string) { m.p("VPDPBUSD %s, %s, %s", b, a, acc) }

func stepAVXVNNI(m *micro, b, a, acc string) { m.dpbusdVEX(32, number(b), number(a), number(acc)) }

// stepPairs multiplies two int16 of k at once, exactly.
func stepPairs(m *micro, b, a, acc string) {
	m.p("VPMADDWD %s, %s, %s", b, a, m.tmp(0))
	m.p("VPADDD %s, %s, %s", m.tmp(0), acc, acc)
}

// stepPairsAVXVNNI is stepPairs in one instruction.
func stepPairsAVXVNNI(m *micro, b, a, acc string) {
	m.dpwssdVEX(32, number(b), number(a), number(acc))
}

// stepBytes adds pairs of byte products in 16 bits, which the driver knows to
// be exact, and widens the sums.
func stepBytes(m *micro, b, a, acc string) {
	m.p("VPMADDUBSW %s, %s, %s", b, a, m.tmp(0))
	m.p("VPMADDWD %s, %s, %s", m.tmp(1), m.tmp(0), m.tmp(0))
	m.p("VPADDD %s, %s, %s", m.tmp(0), acc, acc)
}

func ones(m *micro) { m.p("VPBROADCASTQ ones<>(SB), %s", m.tmp(1)) }

func number(reg string) (n int) {
	if _, err := fmt.Sscanf(reg[1:], "%d", &n); err != nil {
		panic(err)
	}
	return n
}

// toRows branches on the kind of output: the bodies share the loop above.
func (m *micro) toRows(u8, i32, f32 func()) {
	m.p("MOVQ %s, SI", curC)
	m.p("MOVQ %d(DI), R8", argLdc)
	m.p("MOVQ %d(DI), DX", argKind)
	m.p("CMPQ DX, $%d", kindI32)
	m.p("JEQ raw")
	m.p("JGT real")
	u8()
	m.p("JMP stored")
	m.p("real:")
	f32()
	m.p("raw:")
	i32()
	m.p("stored:")
}

// scaled turns all accumulators into float32 times the scale of the column.
func (m *micro) scaled(then func(r, v int, a string)) {
	m.p("MOVQ %d(DI), AX", argScale)
	for v := range m.nv {
		m.p("VMOVUPS %d(AX), %s", v*m.width, m.bv(v))
	}
	for r := range m.mr {
		for v := range m.nv {
			a := m.acc(r, v)
			m.p("VCVTDQ2PS %s, %s", a, a)
			m.p("VMULPS %s, %s, %s", m.bv(v), a, a)
			then(r, v, a)
		}
	}
}

// rounded leaves int32 codes without their zero point. The bound keeps the
// conversion off overflow; below, the overflow value is the wanted one.
func (m *micro) rounded() {
	hi := m.av(0)
	m.p("VBROADCASTSS %d(DI), %s", argHi, hi)
	m.scaled(func(r, v int, a string) {
		m.p("VMINPS %s, %s, %s", hi, a, a)
		m.p("VCVTPS2DQ %s, %s", a, a)
	})
}

// dequantized leaves float32, the shift added.
func (m *micro) dequantized() {
	m.scaled(func(int, int, string) {})
	m.p("MOVQ %d(DI), AX", argShift)
	for v := range m.nv {
		m.p("VMOVUPS %d(AX), %s", v*m.width, m.bv(v))
	}
	for r := range m.mr {
		for v := range m.nv {
			m.p("VADDPS %s, %s, %s", m.bv(v), m.acc(r, v), m.acc(r, v))
		}
	}
}

// finishIntZ packs four vectors to one by lanes, which a transposition of the
// dwords puts in order.
func finishIntZ(m *micro) {
	u8 := func() {
		m.rounded()
		// The registers behind the accumulators are free now.
		first := m.mr * m.nv
		z, lo, hi, flip, perm, t := reg(64, first), reg(64, first+1), reg(64, first+2), reg(64, first+3), reg(64, first+4), reg(64, first+5)
		m.p("VPBROADCASTD %d(DI), %s", argZ, z)
		m.p("VPBROADCASTD %d(DI), %s", argQLo, lo)
		m.p("VPBROADCASTD %d(DI), %s", argQHi, hi)
		m.p("VPBROADCASTD %d(DI), %s", argFlip, flip)
		m.p("VMOVDQU64 transpose4<>(SB), %s", perm)
		m.p("KMOVQ %d(DI), K1", argMask)
		m.eachRow("SI", "R8", "storedu8", func(r int) {
			a := func(v int) string { return m.acc(r, min(v, m.nv-1)) }
			m.p("VPACKSSDW %s, %s, %s", a(1), a(0), t)
			m.p("VPADDSW %s, %s, %s", z, t, t)
			second := t
			if m.nv > 2 {
				second = m.acc(r, 2)
				m.p("VPACKSSDW %s, %s, %s", a(3), a(2), second)
				m.p("VPADDSW %s, %s, %s", z, second, second)
			}
			m.p("VPACKUSWB %s, %s, %s", second, t, t)
			m.p("VPERMD %s, %s, %s", t, perm, t)
			m.p("VPMAXUB %s, %s, %s", lo, t, t)
			m.p("VPMINUB %s, %s, %s", hi, t, t)
			m.p("VPXORD %s, %s, %s", flip, t, t)
			m.p("VMOVDQU8 %s, K1, (SI)", t)
		})
	}
	i32 := func() {
		m.masks()
		m.eachRow("SI", "R8", "storedraw", func(r int) {
			for v := range m.nv {
				m.p("VMOVDQU32 %s, K%d, %d(SI)", m.acc(r, v), v+1, v*64)
			}
		})
	}
	m.toRows(u8, i32, m.dequantized)
}

// finishIntY stores whole tiles: the driver gives the last columns a scratch.
func finishIntY(m *micro) {
	if m.nv != 2 {
		panic("rows of two vectors only")
	}
	u8 := func() {
		m.rounded()
		first := m.mr * m.nv
		z, lo, hi, flip := reg(32, first), reg(16, first+1), reg(16, first+2), reg(16, first+3)
		m.p("VPBROADCASTD %d(DI), %s", argZ, z)
		m.p("VPBROADCASTD %d(DI), %s", argQLo, lo)
		m.p("VPBROADCASTD %d(DI), %s", argQHi, hi)
		m.p("VPBROADCASTD %d(DI), %s", argFlip, flip)
		m.eachRow("SI", "R8", "storedu8", func(r int) {
			t, x := m.acc(r, 0), reg(16, r*m.nv)
			m.p("VPACKSSDW %s, %s, %s", m.acc(r, 1), t, t)
			m.p("VPERMQ $0xD8, %s, %s", t, t)
			m.p("VPADDSW %s, %s, %s", z, t, t)
			m.p("VPACKUSWB %s, %s, %s", t, t, t)
			m.p("VPERMQ $0x08, %s, %s", t, t)
			m.p("VPMAXUB %s, %s, %s", lo, x, x)
			m.p("VPMINUB %s, %s, %s", hi, x, x)
			m.p("VPXOR %s, %s, %s", flip, x, x)
			m.p("VMOVDQU %s, (SI)", x)
		})
	}
	i32 := func() {
		m.eachRow("SI", "R8", "storedraw", func(r int) {
			for v := range m.nv {
				m.p("VMOVDQU %s, %d(SI)", m.acc(r, v), v*32)
			}
		})
	}
	m.toRows(u8, i32, m.dequantized)
}
