package main

import "fmt"

func init() {
	register("vec_dots", func(f *file) {
		f.masks()
		f.dots(dotBlock{name: "dotRowsAVX512x16", width: 64, rows: 16, vectors: 1})
		f.dots(dotBlock{name: "dotRowsAVX512x4", width: 64, rows: 4, vectors: 4})
		f.dots(dotBlock{name: "dotRowsAVX2x4", width: 32, rows: 4, vectors: 1})
	})
}

// A dotBlock multiplies so many rows by so many vectors. Each sum has 16 lanes, in one register or two.
type dotBlock struct {
	name                 string
	width, rows, vectors int
}

func (d dotBlock) halves() int { return 64 / d.width }

// acc is the register of half h of the sum of row r and vector v.
func (d dotBlock) acc(v, r, h int) int { return (v*d.rows+r)*d.halves() + h }

// row is where row r lies, vector where vector v does.
func (d dotBlock) row(r, h int) string {
	base := []string{"SI", "R10", "R11", "R12"}[r/4]
	return fmt.Sprintf("%d(%s)%s", h*d.width, base, []string{"", "(R8*1)", "(R8*2)", "(R9*1)"}[r%4])
}

func (d dotBlock) vector(v, h int) string {
	return fmt.Sprintf("%d(BX)%s", h*d.width, []string{"", "(R10*1)", "(R10*2)", "(R11*1)"}[v])
}

// dots writes a kernel for blocks of rows. R13 points to the rows of a block, DI to its results.
func (f *file) dots(d dotBlock) {
	doc := fmt.Sprintf("multiplies blocks of %d rows, step bytes apart, by %d vectors of n ≥ 1 elements; results of vectors are pitch bytes apart.", d.rows, d.vectors)
	f.text(doc, d.name, "dst, x, q *float32, n, step, pitch, blocks int", 0, 56)
	f.p("MOVQ n+24(FP), CX")
	f.p("ANDQ $15, CX")
	f.tailMask(d.width, d.halves())
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ x+8(FP), R13")
	f.p("MOVQ step+32(FP), R8")
	f.p("LEAQ (R8)(R8*2), R9")
	f.p("block:")
	f.p("MOVQ R13, SI")
	f.p("MOVQ q+16(FP), BX")
	f.p("MOVQ n+24(FP), CX")
	if d.vectors > 1 {
		f.p("LEAQ (CX*4), R10")
		f.p("LEAQ (R10)(R10*2), R11")
	}
	for i, base := range []string{"SI", "R10", "R11"}[:d.rows/4-1] {
		f.p("LEAQ (%s)(R8*4), %s", base, []string{"R10", "R11", "R12"}[i])
	}
	for i := range d.rows * d.vectors * d.halves() {
		f.p("VXORPS %s, %s, %s", reg(d.width, i), reg(d.width, i), reg(d.width, i))
	}
	f.p("SUBQ $16, CX")
	f.p("JLT rest")
	f.p("PCALIGN $32")
	f.p("many:")
	f.dotTurn(d, false)
	for _, base := range append([]string{"BX"}, []string{"SI", "R10", "R11", "R12"}[:d.rows/4]...) {
		f.p("ADDQ $64, %s", base)
	}
	f.p("SUBQ $16, CX")
	f.p("JGE many")
	f.p("rest:")
	f.p("ADDQ $16, CX")
	f.p("JEQ fold")
	f.dotTurn(d, true)
	f.p("fold:")
	if d.width == 64 {
		f.foldSixteen(d)
	} else {
		f.foldFour()
	}
	f.p("MOVQ R8, AX")
	f.p("SHLQ $%d, AX", map[int]int{4: 2, 16: 4}[d.rows])
	f.p("ADDQ AX, R13")
	f.p("ADDQ $%d, DI", 4*d.rows)
	f.p("DECQ blocks+48(FP)")
	f.p("JNE block")
	f.ret()
}

// dotTurn adds the products of 16 elements; in a tail of those that are there.
func (f *file) dotTurn(d dotBlock, tail bool) {
	sums := d.rows * d.vectors * d.halves()
	load := func(from string, h, to int) {
		switch {
		case !tail:
			f.p("VMOVUPS %s, %s", from, reg(d.width, to))
		case d.width == 64:
			f.p("VMOVUPS.Z %s, %s, %s", from, tailK, reg(d.width, to))
		default:
			f.p("VMASKMOVPS %s, %s, %s", from, reg(d.width, maskReg[h]), reg(d.width, to))
		}
	}
	for h := range d.halves() {
		for v := range d.vectors {
			load(d.vector(v, h), h, sums+v)
		}
		for r := range d.rows {
			x := d.row(r, h)
			if tail || d.vectors > 1 {
				load(x, h, sums+d.vectors)
				x = reg(d.width, sums+d.vectors)
			}
			for v := range d.vectors {
				f.p("VFMADD231PS %s, %s, %s", x, reg(d.width, sums+v), reg(d.width, d.acc(v, r, h)))
			}
		}
	}
}

// foldSixteen folds the lanes of 16 sums, 16→8→4→2→1, and stores them.
func (f *file) foldSixteen(d dotBlock) {
	for j := range 4 { // sums j, j+4, j+8 and j+12 become four lanes each of register j
		for i := range 2 {
			f.foldPair("VSHUFF64X2 $0x44,", "VSHUFF64X2 $0xEE,", j+8*i, j+8*i+4)
		}
		f.foldPair("VSHUFF64X2 $0x88,", "VSHUFF64X2 $0xDD,", j, j+8)
	}
	f.foldPair("VUNPCKLPD", "VUNPCKHPD", 0, 1)
	f.foldPair("VUNPCKLPD", "VUNPCKHPD", 2, 3)
	f.foldPair("VSHUFPS $0x88,", "VSHUFPS $0xDD,", 0, 2)
	if d.vectors == 1 {
		f.p("VMOVUPS Z0, (DI)")
		return
	}
	f.p("MOVQ pitch+40(FP), AX")
	f.p("MOVQ DI, DX")
	f.p("VMOVUPS X0, (DX)")
	for v := 1; v < d.vectors; v++ {
		f.p("ADDQ AX, DX")
		f.p("VEXTRACTF32X4 $%d, Z0, (DX)", v)
	}
}

// foldPair adds what two instructions choose of registers x and y, and puts it in x.
func (f *file) foldPair(low, high string, x, y int) {
	f.p("%s Z%d, Z%d, Z30", low, y, x)
	f.p("%s Z%d, Z%d, Z31", high, y, x)
	f.p("VADDPS Z31, Z30, Z%d", x)
}

// foldFour does so with four sums of two registers each.
func (f *file) foldFour() {
	for r := range 4 {
		f.p("VADDPS Y%d, Y%d, Y%d", 2*r+1, 2*r, 2*r)
	}
	for _, x := range []int{0, 4} {
		f.p("VPERM2F128 $0x20, Y%d, Y%d, Y8", x+2, x)
		f.p("VPERM2F128 $0x31, Y%d, Y%d, Y9", x+2, x)
		f.p("VADDPS Y9, Y8, Y%d", x)
	}
	f.p("VUNPCKLPD Y4, Y0, Y8") // sums 0 and 2, and above 1 and 3
	f.p("VUNPCKHPD Y4, Y0, Y9")
	f.p("VADDPS Y9, Y8, Y0")
	f.p("VMOVSHDUP Y0, Y1")
	f.p("VADDPS Y1, Y0, Y0")
	f.p("VEXTRACTF128 $1, Y0, X1")
	f.p("VMOVSLDUP X1, X1")
	f.p("VBLENDPS $0xA, X1, X0, X0")
	f.p("VMOVUPS X0, (DI)")
}
