package main

import "fmt"

// Weights of few bits as float32: a panel of columns is decoded to memory, for the products of
// gemm_f32, or multiplied by one row as it is decoded. The argument is a *decodeArgs:
const (
	decCodes  = 0
	decScale  = 8 // a vector set for each block
	decZero   = 16
	decMarks  = 24
	decX      = 32 // the row
	decInit   = 40 // what its sums start at
	decDst    = 48 // rows of decoded weights, or the sums that the row's are added to
	decBlocks = 56
	decUnits  = 64 // of each block
)

// decodings lists the kinds of codes: their bits, how many k are taken at a time, and how one
// vector comes from a register (of several k) or from memory.
var decodings = []struct {
	name   string
	bits   int
	unit   int
	zero   bool // also with zero points
	scaled bool
	one    func(d *decoding, v, i int) string
}{
	{"Marks4", 4, 8, true, true, (*decoding).picked},
	{"Marks2", 2, 16, true, true, (*decoding).picked},
	{"S8", 8, 4, true, true, (*decoding).integer},
	{"E4M3", 8, 4, false, true, (*decoding).e4m3},
	{"E5M2", 8, 4, false, true, (*decoding).e5m2},
	{"F16Blocks", 16, 4, false, false, (*decoding).half},
}

func init() {
	register("blocks_f32", func(f *file) {
		f.words("e4m3Mask", repeated(0xbf80bf80bf80bf80, 4)...)
		for _, width := range []int{64, 32} {
			for _, k := range decodings {
				for _, zero := range []bool{false, true} {
					if zero && !k.zero {
						continue
					}
					for _, row := range []bool{false, true} {
						d := &decoding{file: f, name: k.name, width: width, bits: k.bits, unit: k.unit, zero: zero, scaled: k.scaled, row: row, one: k.one}
						d.nv = 4
						if width == 32 {
							d.nv = 2
						}
						d.emit()
					}
				}
			}
		}
	})
}

// A decoding is one kernel.
type decoding struct {
	*file
	name       string
	width, nv  int
	bits, unit int
	zero       bool
	scaled     bool
	row        bool
	one        func(d *decoding, v, i int) string
	next       int
}

// Registers: sums 0 to nv−1, dwords of codes behind them, then tables, the element of the row, and
// three in turn for what is under way.
func (d *decoding) acc(v int) string   { return reg(d.width, v) }
func (d *decoding) dword(v int) string { return reg(d.width, d.nv+v) }
func (d *decoding) table(i int) string { return reg(d.width, 2*d.nv+i) }
func (d *decoding) x() string          { return reg(d.width, 2*d.nv+2) }
func (d *decoding) factor(v int) string {
	return reg(64, 16+v)
}
func (d *decoding) shift(v int) string { return reg(64, 20+v) }

// tmp rotates over the registers that are left.
func (d *decoding) tmp() string {
	first, n := 2*d.nv+3, 5
	if d.width == 32 {
		n = 9
	}
	d.next = (d.next + 1) % n
	return reg(d.width, first+d.next)
}

func (d *decoding) emit() {
	isa, what := map[int]string{64: "AVX512", 32: "AVX2"}[d.width], "decode"
	doc := "decodes blocks of a panel."
	if d.row {
		what, doc = "row", "multiplies a row by blocks of a panel."
	}
	z := ""
	if d.zero {
		z = "Zero"
	}
	d.text(doc, what+d.name+z+isa, "t *decodeArgs", 0, 8)
	d.p("MOVQ t+0(FP), AX")
	for _, c := range []struct {
		arg int
		to  string
	}{{decCodes, "SI"}, {decScale, "BX"}, {decZero, "DX"}, {decMarks, "R9"}, {decX, "R8"}, {decInit, "R10"}, {decDst, "DI"}, {decBlocks, "CX"}} {
		d.p("MOVQ %d(AX), %s", c.arg, c.to)
	}
	if d.bits < 8 {
		d.p("VMOVUPS (R9), %s", d.table(0))
		if d.width == 32 {
			d.p("VMOVUPS 32(R9), %s", d.table(1))
		}
	}
	if d.row {
		for v := range d.nv {
			d.p("VMOVUPS %d(R10), %s", v*d.width, d.acc(v))
		}
	}
	d.p("PCALIGN $32")
	d.p("block:")
	d.p("MOVQ %d(AX), R11", decUnits)
	if d.width == 64 && d.scaled {
		for v := range d.nv {
			d.p("VMOVUPS %d(BX), %s", v*64, d.factor(v))
			if d.zero {
				d.p("VMOVUPS %d(DX), %s", v*64, d.shift(v))
			}
		}
	}
	d.p("unit:")
	d.step()
	d.p("DECQ R11")
	d.p("JNE unit")
	d.p("ADDQ $%d, BX", d.nv*d.width)
	d.p("ADDQ $%d, DX", d.nv*d.width)
	d.p("DECQ CX")
	d.p("JNE block")
	if d.row {
		for v := range d.nv {
			d.p("VADDPS %d(DI), %s, %s", v*d.width, d.acc(v), d.acc(v))
			d.p("VMOVUPS %s, %d(DI)", d.acc(v), v*d.width)
		}
	}
	d.ret()
}

// step takes one unit of k.
func (d *decoding) step() {
	bytes := d.nv * d.width / 4 * d.unit * d.bits / 8
	for line := 0; line < bytes; line += 64 {
		d.p("PREFETCHT0 %d(SI)", 4096+line)
	}
	if d.bits < 8 {
		for v := range d.nv {
			d.p("VMOVUPS %d(SI), %s", v*d.width, d.dword(v))
		}
	}
	for i := range d.unit {
		if d.row {
			d.p("VBROADCASTSS %d(R8), %s", i*4, d.x())
		}
		for v := range d.nv {
			w := d.scale(d.one(d, v, i), v)
			if d.row {
				d.p("VFMADD231PS %s, %s, %s", w, d.x(), d.acc(v))
			} else {
				d.p("VMOVUPS %s, %d(DI)", w, (i*d.nv+v)*d.width)
			}
		}
	}
	d.p("ADDQ $%d, SI", bytes)
	if d.row {
		d.p("ADDQ $%d, R8", d.unit*4)
	} else {
		d.p("ADDQ $%d, DI", d.unit*d.nv*d.width)
	}
}

// scale subtracts the zero point and multiplies by the scale.
func (d *decoding) scale(w string, v int) string {
	if !d.scaled {
		return w
	}
	factor, shift := fmt.Sprintf("%d(BX)", v*d.width), fmt.Sprintf("%d(DX)", v*d.width)
	if d.width == 64 {
		factor, shift = d.factor(v), d.shift(v)
	}
	if d.zero {
		d.p("VSUBPS %s, %s, %s", shift, w, w)
	}
	d.p("VMULPS %s, %s, %s", factor, w, w)
	return w
}

// picked looks field i of the dwords up in the marks. VPERMPS reads the lowest bits of its index alone,
// four of them or, in the shorter vectors, three; the fourth then chooses between two tables. Marks of
// codes of two bits are repeated.
func (d *decoding) picked(v, i int) string {
	q, w := d.dword(v), d.tmp()
	index := q
	if i > 0 {
		index = w
		d.p("VPSRLD $%d, %s, %s", i*d.bits, q, index)
	}
	if d.width == 64 || d.bits == 2 {
		d.p("VPERMPS %s, %s, %s", d.table(0), index, w)
		return w
	}
	high, bit := d.tmp(), d.tmp()
	d.p("VPERMPS %s, %s, %s", d.table(1), index, high)
	d.p("VPERMPS %s, %s, %s", d.table(0), index, w)
	d.p("VPSLLD $%d, %s, %s", 28-4*i, q, bit)
	d.p("VBLENDVPS %s, %s, %s, %s", bit, high, w, w)
	return w
}

func (d *decoding) at(v, i int) string {
	return fmt.Sprintf("%d(SI)", (i*d.nv+v)*d.width/4*d.bits/8)
}

func (d *decoding) integer(v, i int) string {
	w := d.tmp()
	d.p("VPMOVSXBD %s, %s", d.at(v, i), w)
	d.p("VCVTDQ2PS %s, %s", w, w)
	return w
}

func (d *decoding) half(v, i int) string {
	w := d.tmp()
	d.p("VCVTPH2PS %s, %s", d.at(v, i), w)
	return w
}

// narrower is the register of half the width.
func (d *decoding) narrower(w string) string {
	if d.width == 64 {
		return "Y" + w[1:]
	}
	return "X" + w[1:]
}

// e4m3 moves the fields of a code to those of a half, which means a 256th.
func (d *decoding) e4m3(v, i int) string {
	w := d.tmp()
	h := d.narrower(w)
	d.p("VPMOVSXBW %s, %s", d.at(v, i), h)
	d.p("VPSLLW $7, %s, %s", h, h)
	d.p("VPAND e4m3Mask<>(SB), %s, %s", h, h)
	d.p("VCVTPH2PS %s, %s", h, w)
	return w
}

// e5m2 is the upper byte of a half.
func (d *decoding) e5m2(v, i int) string {
	w := d.tmp()
	h := d.narrower(w)
	d.p("VPMOVZXBW %s, %s", d.at(v, i), h)
	d.p("VPSLLW $8, %s, %s", h, h)
	d.p("VCVTPH2PS %s, %s", h, w)
	return w
}
