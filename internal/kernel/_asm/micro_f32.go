package main

import "fmt"

func init() {
	register("gemm_f32", func(f *file) {
		for _, t := range zmmTiles {
			f.microF32(64, t.mr, t.nv)
		}
		for _, t := range ymmTiles {
			f.microF32(32, t.mr, t.nv)
		}
	})
}

type tile struct{ mr, nv int }

// zmmTiles are the sizes for 32 registers, ymmTiles for 16: for each number of
// vectors the tallest that fits, and lower ones for the last rows.
var (
	zmmTiles = []tile{{6, 4}, {4, 4}, {2, 4}, {1, 4}, {8, 3}, {4, 3}, {2, 3}, {1, 3}, {12, 2}, {6, 2}, {3, 2}, {1, 2}, {12, 1}, {6, 1}, {3, 1}, {1, 1}}
	ymmTiles = []tile{{6, 2}, {4, 2}, {2, 2}, {1, 2}}
)

func (f *file) microF32(width, mr, nv int) {
	isa, finish := "AVX512", finishF32Z
	if width == 32 {
		isa, finish = "AVX2", finishF32Y
	}
	m := &micro{file: f, name: fmt.Sprintf("gemmF32%s%dx%d", isa, mr, nv*width/4), width: width, mr: mr, nv: nv, size: 4, unroll: 4, fill: product, finish: finish, blocks: true}
	m.step = func(m *micro, b, a, acc string) { m.p("VFMADD231PS %s, %s, %s", b, a, acc) }
	m.emit(fmt.Sprintf("makes tiles of %d rows by %d columns.", mr, nv*width/4))
}

// finishF32Z adds the residual, clamps where there are bounds, and stores under masks. The smaller
// operand comes first in VMAXPS, so that a NaN in the sum survives.
func finishF32Z(m *micro) {
	m.masks()
	m.p("MOVQ %s, SI", curAdd)
	m.p("TESTQ SI, SI")
	m.p("JEQ added")
	m.p("MOVQ %d(DI), R8", argLdAdd)
	m.eachRow("SI", "R8", "added", func(r int) {
		for v := range m.nv {
			m.p("VADDPS %d(SI), %s, K%d, %s", v*64, m.acc(r, v), v+1, m.acc(r, v))
		}
	})
	lo, hi := m.bv(0), m.av(0)
	m.p("MOVQ $0x7f800000ff800000, AX") // no bounds
	m.p("CMPQ AX, %d(DI)", argLo)
	m.p("JEQ free")
	m.p("VBROADCASTSS %d(DI), %s", argLo, lo)
	m.p("VBROADCASTSS %d(DI), %s", argHi, hi)
	for r := range m.mr {
		for v := range m.nv {
			a := m.acc(r, v)
			m.p("VMAXPS %s, %s, %s", a, lo, a)
			m.p("VMINPS %s, %s, %s", a, hi, a)
		}
	}
	m.p("free:")
	m.p("MOVQ %s, SI", curC)
	m.p("MOVQ %d(DI), R8", argLdc)
	m.eachRow("SI", "R8", "stored", func(r int) {
		for v := range m.nv {
			m.p("VMOVUPS %s, K%d, %d(SI)", m.acc(r, v), v+1, v*64)
		}
	})
}

// finishF32Y does the same with the mask vectors of the AVX2 moves.
func finishF32Y(m *micro) {
	t0, t1, t2 := m.bv(0), m.bv(1), m.av(0)
	m.p("MOVQ %d(DI), R9", argMaskV)
	m.p("MOVQ %s, SI", curAdd)
	m.p("TESTQ SI, SI")
	m.p("JEQ added")
	m.p("MOVQ %d(DI), R8", argLdAdd)
	m.eachRow("SI", "R8", "added", func(r int) {
		for v := range m.nv {
			m.p("VMOVUPS %d(R9), %s", v*32, t0)
			m.p("VMASKMOVPS %d(SI), %s, %s", v*32, t0, t1)
			m.p("VADDPS %s, %s, %s", t1, m.acc(r, v), m.acc(r, v))
		}
	})
	m.p("VBROADCASTSS %d(DI), %s", argLo, t0)
	m.p("VBROADCASTSS %d(DI), %s", argHi, t1)
	m.p("MOVQ %s, SI", curC)
	m.p("MOVQ %d(DI), R8", argLdc)
	clamp := func(r, v int) string {
		a := m.acc(r, v)
		m.p("VMAXPS %s, %s, %s", a, t0, a)
		m.p("VMINPS %s, %s, %s", a, t1, a)
		return a
	}
	full := uint64(1)<<(8*m.nv) - 1
	m.p("CMPQ %d(DI), $%d", argMask, full)
	m.p("JNE partial")
	m.eachRow("SI", "R8", "storedfull", func(r int) {
		for v := range m.nv {
			m.p("VMOVUPS %s, %d(SI)", clamp(r, v), v*32)
		}
	})
	m.p("JMP stored")
	m.p("partial:")
	m.eachRow("SI", "R8", "stored", func(r int) {
		for v := range m.nv {
			a := clamp(r, v)
			m.p("VMOVUPS %d(R9), %s", v*32, t2)
			m.p("VMASKMOVPS %s, %s, %d(SI)", a, t2, v*32)
		}
	})
}
