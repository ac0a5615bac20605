package main

import "fmt"

func init() { register("transpose", emitTranspose) }

// square is the part of a matrix that is transposed in registers: rows by cols elements of size
// bytes become cols rows of rows elements.
type square struct {
	*file
	size, rows, cols int
	body             func(t *square)
}

func emitTranspose(f *file) {
	for _, k := range []struct {
		name string
		t    square
	}{
		{"transpose8AVX2", square{size: 1, rows: 16, cols: 8, body: (*square).interleave}},
		{"transpose16AVX2", square{size: 2, rows: 8, cols: 8, body: (*square).interleave}},
		{"transpose32AVX2", square{size: 4, rows: 8, cols: 8, body: (*square).quads}},
		{"transpose32AVX512", square{size: 4, rows: 16, cols: 16, body: (*square).quads}},
	} {
		k.t.file = f
		k.t.emit(k.name)
	}
	emitTransposeLines(f)
}

// Registers: every fourth source row and every fourth target row, and their pitches times 1 and 3.
var (
	srcRows = [4]string{"SI", "R10", "R11", "R12"}
	dstRows = [4]string{"DI", "BX", "R13", "DX"}
)

func (t *square) emit(name string) {
	t.text(fmt.Sprintf("transposes in tiles of %d rows and %d columns, of which there are whole ones.", t.rows, t.cols),
		name, "dst, src unsafe.Pointer, ldd, lds, rows, cols int", 0, 48)
	t.p("MOVQ lds+24(FP), R8")
	t.p("LEAQ (R8)(R8*2), R9")
	t.p("outer:")
	t.p("MOVQ src+8(FP), SI")
	t.p("MOVQ dst+0(FP), DI")
	t.p("MOVQ ldd+16(FP), AX")
	t.p("LEAQ (AX)(AX*2), CX")
	for i := 1; i < t.rows/4; i++ {
		t.p("LEAQ (%s)(R8*4), %s", srcRows[i-1], srcRows[i])
	}
	for i := 1; i < t.cols/4; i++ {
		t.p("LEAQ (%s)(AX*4), %s", dstRows[i-1], dstRows[i])
	}
	t.p("MOVQ cols+40(FP), R15")
	t.p("inner:")
	t.body(t)
	for i := range t.rows / 4 {
		t.p("ADDQ $%d, %s", t.cols*t.size, srcRows[i])
	}
	t.p("SUBQ $%d, R15", t.cols)
	t.p("JEQ next")
	for i := range t.cols / 4 {
		t.p("LEAQ (%s)(AX*8), %s", dstRows[i], dstRows[i])
		if t.cols == 16 {
			t.p("LEAQ (%s)(AX*8), %s", dstRows[i], dstRows[i])
		}
	}
	t.p("JMP inner")
	t.p("next:")
	t.p("MOVQ R8, AX")
	t.p("IMULQ $%d, AX", t.rows)
	t.p("ADDQ AX, src+8(FP)")
	t.p("ADDQ $%d, dst+0(FP)", t.rows*t.size)
	t.p("SUBQ $%d, rows+32(FP)", t.rows)
	t.p("JNE outer")
	t.ret()
}

// src and dst address row i.
func (t *square) src(i int) string { return "(" + srcRows[i/4] + ")" + pitched(i, "R8", "R9") }

func (t *square) dst(i int) string { return "(" + dstRows[i/4] + ")" + pitched(i, "AX", "CX") }

// pitched is the index part of an address: row i mod 4 of pitch one, three times of which is three.
func pitched(i int, one, three string) string {
	return [4]string{"", "(" + one + "*1)", "(" + one + "*2)", "(" + three + "*1)"}[i%4]
}

// quads handles 4-byte elements. A vector is made of columns j to j+3 of every fourth row, so
// that a 4×4 transpose within its 128-bit parts gives whole target rows.
func (t *square) quads() {
	width := t.rows * 4
	v := func(i int) string { return reg(width, i) }
	for j := 0; j < t.cols; j += 4 {
		for i := range 4 {
			t.p("VMOVUPS %d%s, X%d", j*4, t.src(i), i)
			for q := 1; q < t.rows/4; q++ {
				name := "VINSERTF128"
				if width == 64 {
					name = "VINSERTF32X4"
				}
				t.p("%s $%d, %d%s, %s, %s", name, q, j*4, t.src(i+4*q), v(i), v(i))
			}
		}
		for i, name := range []string{"VUNPCKLPS", "VUNPCKHPS"} {
			t.p("%s %s, %s, %s", name, v(1), v(0), v(4+i))
			t.p("%s %s, %s, %s", name, v(3), v(2), v(6+i))
		}
		for i, name := range []string{"VUNPCKLPD", "VUNPCKHPD", "VUNPCKLPD", "VUNPCKHPD"} {
			t.p("%s %s, %s, %s", name, v(6+i/2), v(4+i/2), v(8+i))
			t.p("VMOVUPS %s, %s", v(8+i), t.dst(j+i))
		}
	}
}

// interleave handles small elements: rows i and i+n/2 are interleaved, then i and i+n/4, and so
// on, until a register holds a target row of 16 bytes.
func (t *square) interleave() {
	low, high := "VPUNPCKLBW", "VPUNPCKHBW"
	if t.size == 2 {
		low, high = "VPUNPCKLWD", "VPUNPCKHWD"
	}
	var x []int      // registers of the rows at hand
	if t.size == 1 { // rows of 8 bytes: the first step joins two in one register
		for i := range 8 {
			t.p("VMOVQ %s, X%d", t.src(i), i)
			t.p("VMOVQ %s, X8", t.src(i+8))
			t.p("%s X8, X%d, X%d", low, i, i)
			x = append(x, i)
		}
	} else {
		for i := range 8 {
			t.p("VMOVDQU %s, X%d", t.src(i), i)
			x = append(x, i)
		}
	}
	x = t.interleaved("X", low, high, x, 8)
	for j, r := range x {
		t.p("VMOVDQU X%d, %s", r, t.dst(j))
	}
}

// interleaved interleaves the elements of the registers i and i+n/2 of the n that x lists, then i and i+n/4
// of each half, and so on until each has those of one column, and lists them. The register free is used too.
func (f *file) interleaved(width, low, high string, x []int, free int) []int {
	for n := len(x); n > 1; n /= 2 {
		var y []int
		for g := 0; g < len(x); g += n {
			var lows, highs []int
			for i := range n / 2 {
				a, b := x[g+i], x[g+i+n/2]
				f.p("%s %s%d, %s%d, %s%d", low, width, b, width, a, width, free)
				f.p("%s %s%d, %s%d, %s%d", high, width, b, width, a, width, a)
				lows, highs = append(lows, free), append(highs, a)
				free = b
			}
			y = append(append(y, lows...), highs...)
		}
		x = y
	}
	return x
}

// prefetchTarget is PREFETCHW of the line behind the one at DI, DI+AX, DI+2·AX and DI+CX, which Go's assembler lacks.
var prefetchTarget = [4][]byte{{0x0f, 0x0d, 0x4f, 64}, {0x0f, 0x0d, 0x4c, 0x07, 64}, {0x0f, 0x0d, 0x4c, 0x47, 64}, {0x0f, 0x0d, 0x4c, 0x0f, 64}}

// emitTransposeLines writes the transposition of bytes by whole cache lines of the target: a vector
// has 16 columns of rows i, i+16, i+32 and i+48, so that a 16×16 transpose within its 128-bit parts
// gives 64 rows of one column. The lines that the next rows and columns need are fetched ahead.
func emitTransposeLines(f *file) {
	const rows, cols = 64, 16
	f.text(fmt.Sprintf("transposes in tiles of %d rows and %d columns, of which there are whole ones.", rows, cols),
		"transpose8AVX512", "dst, src unsafe.Pointer, ldd, lds, rows, cols int", 0, 48)
	parts := [4]string{"SI", "R10", "R11", "R12"} // the rows of each 128-bit part, of which 4 are in reach
	f.p("MOVQ lds+24(FP), R8")
	f.p("LEAQ (R8)(R8*2), R9")
	f.p("MOVQ ldd+16(FP), AX")
	f.p("LEAQ (AX)(AX*2), CX")
	f.p("MOVQ R8, BX")
	f.p("SHLQ $4, BX")
	f.p("LEAQ -%d(BX), R13", cols)
	f.p("outer:")
	f.p("MOVQ src+8(FP), SI")
	f.p("MOVQ dst+0(FP), DI")
	f.p("LEAQ (SI)(BX*1), R10")
	f.p("LEAQ (SI)(BX*2), R11")
	f.p("LEAQ (R10)(BX*2), R12")
	f.p("LEAQ 64(SI), DX")
	f.p("MOVQ cols+40(FP), R15")
	f.p("inner:")
	for i := range 16 {
		at := pitched(i, "R8", "R9")
		f.p("VMOVDQU (SI)%s, X%d", at, i)
		for q := 1; q < 4; q++ {
			f.p("VINSERTI32X4 $%d, (%s)%s, Z%d, Z%d", q, parts[q], at, i, i)
		}
		f.p("PREFETCHT0 (DX)%s", at)
		if i%4 == 3 {
			for _, r := range append(parts[:], "DX") {
				f.p("LEAQ (%s)(R8*4), %s", r, r)
			}
		}
	}
	for _, r := range parts {
		f.p("SUBQ R13, %s", r)
	}
	x := make([]int, 16)
	for i := range x {
		x[i] = i
	}
	for j, r := range f.interleaved("Z", "VPUNPCKLBW", "VPUNPCKHBW", x, 16) {
		f.p("VMOVDQU64 Z%d, (DI)%s", r, pitched(j, "AX", "CX"))
		f.raw(prefetchTarget[j%4]...)
		if j%4 == 3 {
			f.p("LEAQ (DI)(AX*4), DI")
		}
	}
	f.p("SUBQ $%d, R15", cols)
	f.p("JNE inner")
	f.p("LEAQ (BX*4), DX")
	f.p("ADDQ DX, src+8(FP)")
	f.p("ADDQ $%d, dst+0(FP)", rows)
	f.p("SUBQ $%d, rows+32(FP)", rows)
	f.p("JNE outer")
	f.ret()
}
