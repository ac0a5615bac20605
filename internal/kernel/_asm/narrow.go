package main

import "fmt"

func init() {
	register("narrow", func(f *file) {
		f.words("ones", 0x0001000100010001)
		for _, span := range []int{8, 2} {
			for _, mr := range []int{4, 2, 1} {
				f.microNarrow(span, mr)
			}
		}
	})
}

// microNarrow adds products of bytes in 16 bits over span dwords, which the driver knows to be exact.
func (f *file) microNarrow(span, mr int) {
	m := &micro{file: f, name: fmt.Sprintf("narrow%dx%dx16", span, mr), width: 32, mr: mr, nv: 2, size: 1, pro: func(m *micro) {
		m.p("VPBROADCASTQ ones<>(SB), Y15")
	}, finish: finishIntY}
	m.fill = func(m *micro) {
		m.start()
		m.p("taploop:")
		m.addresses()
		m.p("PCALIGN $32")
		m.p("loop:")
		for r := range mr {
			m.spanOf(span, r)
		}
		m.p("ADDQ $%d, BX", span*m.nv*m.width)
		m.p("ADDQ $%d, AX", span*4)
		m.p("JNE loop")
		m.p("DECQ %s", curTaps)
		m.p("JNE taploop")
	}
	m.emit(fmt.Sprintf("makes tiles of %d rows by 16 columns, sums of %d dwords in 16 bits.", mr, span))
}

// spanOf adds span dwords of row r: sums in Y11 and Y12, products in Y13 and Y14.
func (m *micro) spanOf(span, r int) {
	for s := range span {
		a := reg(m.width, 9+s%2)
		m.p("VPBROADCASTD %d(%s)(AX*1), %s", s*4, rowRegs[r], a)
		for v := range m.nv {
			sum, t := reg(m.width, 11+v), reg(m.width, 13+v)
			if s == 0 {
				t = sum
			}
			m.p("VPMADDUBSW %d(BX), %s, %s", (s*m.nv+v)*m.width, a, t)
			if s > 0 {
				m.p("VPADDW %s, %s, %s", t, sum, sum)
			}
		}
	}
	for v := range m.nv {
		sum := reg(m.width, 11+v)
		m.p("VPMADDWD Y15, %s, %s", sum, sum)
		m.p("VPADDD %s, %s, %s", sum, m.acc(r, v), m.acc(r, v))
	}
}
