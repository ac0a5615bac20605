package main

import (
	"fmt"
	"math/bits"
	"slices"
)

func init() {
	register("winograd_u8s8", func(f *file) {
		f.words("ninth", 0x38E38E3938E38E39)
		f.winogradU8S8Weights()
		eachExtent(f.winogradU8S8In)
		eachExtent(f.winogradU8S8Out)
		f.sumsToRows()
		f.words("highBytes", 0x0080008000800080, 0x0080008000800080, 0x0080008000800080, 0x0080008000800080)
		for _, mr := range []int{6, 4, 3, 2, 1} {
			f.winogradPairs(mr)
			f.winogradJoined(mr)
			f.winogradSums(mr)
		}
		for _, mr := range []int{12, 6, 4, 2, 1} {
			for nv := range 2 {
				f.winogradDots(mr, nv+1)
			}
		}
	})
}

// A products is a body that multiplies rows of pixels by a position of a panel, 16 columns. Sums are written as they are.
type products struct {
	*micro
	load func(p *products, at int) // two vectors of weights, those of the step that begins at byte at
	step func(m *micro, b, a, acc string)
	size int // bytes of a step of weights
}

// winogradPairs multiplies by words.
func (f *file) winogradPairs(mr int) {
	p := products{micro: &micro{file: f, mr: mr}, load: loadWords, step: stepPairs, size: 64}
	p.emit("winogradPairs", "weights of 16 bits")
}

func loadWords(p *products, at int) {
	for v := range p.nv {
		p.p("VMOVDQU %d(BX), %s", at+v*32, p.bv(v))
	}
}

// winogradSums multiplies by words too, and adds in the same instruction.
func (f *file) winogradSums(mr int) {
	p := products{micro: &micro{file: f, mr: mr}, load: loadWords, step: stepPairsAVXVNNI, size: 64}
	p.emit("winogradSums", "weights of 16 bits")
}

// winogradJoined multiplies by bytes, two columns of which share a word: 256·hi + lo. Products with the words are 256
// times the sums of the one column plus those of the other, modulo 2³²; those with hi alone, which rounding word/256
// gives, tell both.
func (f *file) winogradJoined(mr int) {
	p := products{micro: &micro{file: f, mr: mr}, step: stepPairs, size: 32}
	p.load = func(p *products, at int) {
		p.p("VMOVDQU %d(BX), %s", at, p.bv(0))
		p.p("VPMULHRSW highBytes<>(SB), %s, %s", p.bv(0), p.bv(1))
	}
	p.finish = func(m *micro) {
		for r := range m.mr {
			m.p("VPSLLD $8, %s, %s", m.acc(r, 1), m.tmp(0))
			m.p("VPSUBD %s, %s, %s", m.tmp(0), m.acc(r, 0), m.acc(r, 0))
		}
	}
	p.emit("winogradJoined", "weights of two columns in 16 bits")
}

const productSteps = 4 // in a round of the loop

// emit writes the body. R8 to R13 point at the ends of the rows, R14 counts the rows that are left. While a position is
// read, the one behind it, DX bytes further, is fetched.
func (p *products) emit(name, weights string) {
	p.width, p.nv, p.spare = 32, 2, 1
	p.text(fmt.Sprintf("multiplies rows by %s, %d at a time: kb bytes of each, a multiple of 16, lda and ldc bytes apart.", weights, p.mr),
		fmt.Sprintf("%s%d", name, p.mr), "a, b *int16, c *int32, lda, kb, ldc, rows int", 0, 56)
	for _, a := range []struct {
		name string
		at   int
		reg  string
	}{{"a", 0, "SI"}, {"c", 16, "DI"}, {"lda", 24, "CX"}, {"kb", 32, "R15"}, {"rows", 48, "R14"}} {
		p.p("MOVQ %s+%d(FP), %s", a.name, a.at, a.reg)
	}
	p.p("MOVQ R15, DX")
	p.p("SHLQ $%d, DX", bits.TrailingZeros(uint(p.size/4)))
	p.p("tile:")
	p.p("LEAQ (SI)(R15*1), R8")
	for r := 1; r < p.mr; r++ {
		p.p("LEAQ (%s)(CX*1), %s", rowRegs[r-1], rowRegs[r])
	}
	p.p("LEAQ (%s)(CX*1), SI", rowRegs[p.mr-1])
	p.p("SUBQ R15, SI")
	for i := range p.mr * p.nv {
		p.p("VPXOR X%d, X%d, X%d", i, i, i)
	}
	p.p("MOVQ b+8(FP), BX")
	p.p("MOVQ R15, AX")
	p.p("NEGQ AX")
	p.p("PCALIGN $32")
	p.p("loop:")
	for u := range productSteps {
		p.steps(u)
	}
	p.p("ADDQ $%d, BX", productSteps*p.size)
	p.p("ADDQ $%d, AX", productSteps*4)
	p.p("JNE loop")
	if p.finish != nil {
		p.finish(p.micro)
	}
	p.p("MOVQ ldc+40(FP), AX")
	for r := range p.mr {
		for v := range p.nv {
			p.p("VMOVDQU %s, %d(DI)", p.acc(r, v), v*32)
		}
		p.p("ADDQ AX, DI")
	}
	p.p("SUBQ $%d, R14", p.mr)
	p.p("JGT tile")
	p.ret()
}

// steps multiplies step u of a round.
func (p *products) steps(u int) {
	if at := u * p.size; at%64 == 0 {
		p.p("PREFETCHT1 %d(BX)(DX*1)", at)
	}
	p.load(p, u*p.size)
	for r := range p.mr {
		p.p("VPBROADCASTD %d(%s)(AX*1), %s", u*4, rowRegs[r], p.av(r))
		for v := range p.nv {
			p.step(p.micro, p.bv(v), p.av(r), p.acc(r, v))
		}
	}
}

// winogradDots is winogradSums with longer vectors. One is a panel of 16 columns; a second one
// lies panel bytes further, and its sums other bytes further. R8 to R11 point at every third row, CX bytes apart.
func (f *file) winogradDots(mr, nv int) {
	m := &micro{file: f, width: 64, mr: mr, nv: nv}
	f.text(fmt.Sprintf("multiplies rows by weights of 16 bits, %d at a time: kb bytes of each, a multiple of 16, lda and ldc bytes apart, for %d panels.", mr, nv),
		fmt.Sprintf("winogradDots%dx%d", mr, nv*16), "a, b *int16, c *int32, lda, kb, ldc, rows, panel, other int", 0, 72)
	for _, a := range []struct {
		name string
		at   int
		reg  string
	}{{"a", 0, "SI"}, {"c", 16, "DI"}, {"lda", 24, "CX"}, {"kb", 32, "R15"}, {"ldc", 40, "R13"}, {"rows", 48, "R14"}, {"panel", 56, "DX"}} {
		f.p("MOVQ %s+%d(FP), %s", a.name, a.at, a.reg)
	}
	f.p("tile:")
	f.p("LEAQ (CX)(CX*2), R12")
	f.p("MOVQ SI, R8")
	for r := 3; r < mr; r += 3 {
		f.p("LEAQ (%s)(R12*1), %s", rowRegs[r/3-1], rowRegs[r/3])
	}
	f.p("IMUL3Q $%d, CX, AX", mr)
	f.p("ADDQ AX, SI")
	for i := range mr * nv {
		f.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	f.p("MOVQ b+8(FP), BX")
	f.p("LEAQ (BX)(DX*1), R12")
	f.p("MOVQ R15, AX")
	f.p("SHLQ $4, R15") // bytes of a position
	f.p("PCALIGN $32")
	f.p("loop:")
	for u := range productSteps {
		for v := range nv {
			panel := []string{"BX", "R12"}[v]
			f.p("VMOVDQU32 %d(%s), %s", u*64, panel, m.bv(v))
			f.p("PREFETCHT1 %d(%s)(R15*1)", u*64, panel)
		}
		for r := range mr {
			at := fmt.Sprintf("%d(%s)", u*4, rowRegs[r/3])
			if r%3 > 0 {
				at += fmt.Sprintf("(CX*%d)", r%3)
			}
			f.p("VPBROADCASTD %s, %s", at, m.av(r))
			for v := range nv {
				f.p("VPDPWSSD %s, %s, %s", m.bv(v), m.av(r), m.acc(r, v))
			}
		}
	}
	f.p("ADDQ $%d, BX", productSteps*64)
	f.p("ADDQ $%d, R12", productSteps*64)
	for r := 0; r < mr; r += 3 {
		f.p("ADDQ $%d, %s", productSteps*4, rowRegs[r/3])
	}
	f.p("SUBQ $%d, AX", productSteps*4)
	f.p("JNE loop")
	f.p("SHRQ $4, R15")
	if nv > 1 {
		f.p("MOVQ other+64(FP), AX")
	}
	for r := range mr {
		f.p("VMOVDQU32 %s, (DI)", m.acc(r, 0))
		if nv > 1 {
			f.p("VMOVDQU32 %s, (DI)(AX*1)", m.acc(r, 1))
		}
		f.p("ADDQ R13, DI")
	}
	f.p("SUBQ $%d, R14", mr)
	f.p("JGT tile")
	f.ret()
}

const reach, side = 6, 4 // of a tile: pixels and outputs

// An extent is what a tile has along one axis: whole, or where the image ends after two outputs, half.
type extent struct {
	pixels, outputs int
	positions       []int // in the order in which the transforms give them
}

var (
	whole = extent{reach, side, []int{0, 1, 2, 3, 4, 5}}
	half  = extent{side, side / 2, []int{0, 1, 2, 5}}
)

// eachExtent calls f for each kind of tile: what its functions' names end in, and its rows and columns.
func eachExtent(f func(name string, rows, cols extent)) {
	f("", whole, whole)
	f("Narrow", whole, half)
	f("Low", half, whole)
	f("Small", half, half)
}

// winogradU8S8Weights transforms the taps of 16 channels at a time: rows to the scratch, then its columns.
func (f *file) winogradU8S8Weights() {
	f.text("transforms nine taps of n channels, a multiple of 16, tap bytes apart, to [position][channel].",
		"winogradU8S8Weights", "taps *int8, dst *int16, tap, n int, half *int16", 0, 40)
	f.p("MOVQ taps+0(FP), SI")
	f.p("MOVQ dst+8(FP), DI")
	f.p("MOVQ tap+16(FP), DX")
	f.p("MOVQ n+24(FP), CX")
	f.p("MOVQ half+32(FP), BX")
	f.p("LEAQ (CX)(CX*1), R10") // bytes of a position
	f.p("loop:")
	f.p("MOVQ SI, R8")
	for y := range 3 {
		for x := range 3 {
			f.p("VPMOVSXBW (R8), Y%d", x)
			f.p("ADDQ DX, R8")
		}
		f.tapsAcross(func(i int, v string) { f.p("VMOVDQU %s, %d(BX)", v, (y*reach+i)*32) })
	}
	for x := range reach {
		for y := range 3 {
			f.p("VMOVDQU %d(BX), Y%d", (y*reach+x)*32, y)
		}
		f.p("MOVQ DI, R9")
		for range x {
			f.p("ADDQ R10, R9")
		}
		f.tapsAcross(func(i int, v string) {
			f.p("VMOVDQU %s, (R9)", v)
			for range reach {
				f.p("ADDQ R10, R9")
			}
		})
	}
	f.p("ADDQ $16, SI")
	f.p("ADDQ $32, DI")
	f.p("SUBQ $16, CX")
	f.p("JNE loop")
	f.ret()
}

// tapsAcross transforms the taps in Y0 to Y2, and gives the results to put in their order.
func (f *file) tapsAcross(put func(i int, y string)) {
	put(0, "Y0")
	f.p("VPADDW Y2, Y0, Y3")
	f.p("VPADDW Y1, Y3, Y4")
	put(1, "Y4")
	f.p("VPSUBW Y1, Y3, Y4")
	put(2, "Y4")
	f.p("VPSLLW $2, Y2, Y3")
	f.p("VPADDW Y0, Y3, Y3")
	f.p("VPADDW Y1, Y1, Y1")
	f.p("VPADDW Y1, Y3, Y4")
	put(3, "Y4")
	f.p("VPSUBW Y1, Y3, Y4")
	put(4, "Y4")
	put(5, "Y2")
}

// winogradU8S8In transforms the pixels of 16 channels at a time: columns to the scratch, then its rows.
func (f *file) winogradU8S8In(name string, rows, cols extent) {
	f.text("transforms a tile of n channels, a multiple of 16: position q goes to dst, q·step bytes further.",
		"winogradU8S8In"+name, "pixels **uint8, dst *int16, step, n int, half *int16", 0, 40)
	f.p("MOVQ pixels+0(FP), AX")
	f.p("MOVQ dst+8(FP), DI")
	f.p("MOVQ step+16(FP), DX")
	f.p("MOVQ n+24(FP), CX")
	f.p("MOVQ half+32(FP), BX")
	f.p("LEAQ (DX)(DX*2), R10")
	f.p("XORQ SI, SI")
	f.p("loop:")
	for x := range cols.pixels {
		for i := range rows.pixels {
			f.p("MOVQ %d(AX), R8", (i*reach+x)*8)
			f.p("VPMOVZXBW (R8)(SI*1), Y%d", i)
		}
		f.pixelsAcross(rows, func(i int, y string) { f.p("VMOVDQU %s, %d(BX)", y, (i*reach+x)*32) })
	}
	f.p("MOVQ DI, R9")
	for y := range reach {
		if !slices.Contains(rows.positions, y) {
			f.p("LEAQ (R9)(R10*2), R9")
			continue
		}
		for i := range cols.pixels {
			f.p("VMOVDQU %d(BX), Y%d", (y*reach+i)*32, i)
		}
		f.pixelsAcross(cols, func(i int, v string) {
			if i == 5 && len(cols.positions) < reach {
				f.p("LEAQ (R9)(DX*2), R9")
			}
			f.p("VMOVDQU %s, (R9)", v)
			f.p("ADDQ DX, R9")
		})
	}
	f.p("ADDQ $16, SI")
	f.p("ADDQ $32, DI")
	f.p("CMPQ SI, CX")
	f.p("JLT loop")
	f.ret()
}

// pixelsAcross transforms the pixels from Y0 on, and gives the results to put in their order.
func (f *file) pixelsAcross(e extent, put func(i int, y string)) {
	if e.pixels < reach {
		f.p("VPSUBW Y2, Y0, Y6")
		put(0, "Y6")
		f.p("VPADDW Y2, Y1, Y7")
		put(1, "Y7")
		f.p("VPSUBW Y1, Y2, Y8")
		put(2, "Y8")
		f.p("VPSUBW Y3, Y1, Y9")
		put(5, "Y9")
		return
	}
	f.p("VPSUBW Y2, Y4, Y10") // d4 − d2
	f.p("VPSUBW Y2, Y0, Y6")
	f.p("VPSLLW $2, Y6, Y6")
	f.p("VPADDW Y10, Y6, Y6")
	put(0, "Y6")
	f.p("VPADDW Y2, Y1, Y6")
	f.p("VPADDW Y4, Y3, Y7")
	f.p("VPSLLW $2, Y6, Y6")
	f.p("VPSUBW Y6, Y7, Y7")
	put(1, "Y7")
	f.p("VPSUBW Y2, Y1, Y8")
	f.p("VPSUBW Y3, Y4, Y9")
	f.p("VPSLLW $2, Y8, Y8")
	f.p("VPADDW Y8, Y9, Y9")
	put(2, "Y9")
	f.p("VPSUBW Y1, Y3, Y11")
	f.p("VPADDW Y11, Y11, Y11") // 2(d3 − d1)
	f.p("VPADDW Y11, Y10, Y12")
	put(3, "Y12")
	f.p("VPSUBW Y11, Y10, Y13")
	put(4, "Y13")
	f.p("VPSUBW Y3, Y5, Y14")
	f.p("VPADDW Y11, Y11, Y11")
	f.p("VPSUBW Y11, Y14, Y14")
	put(5, "Y14")
}

// winogradU8S8Out transforms the sums of all positions to those of outputs, eight columns at a time.
func (f *file) winogradU8S8Out(name string, rows, cols extent) {
	f.text("transforms the products of tiles that lie side by side to sums: lines of 16 columns for each pixel, line bytes apart.",
		"winogradU8S8Out"+name, "products, dst *int32, line, tiles int, half *int32", 0, 40)
	f.p("MOVQ products+0(FP), SI")
	f.p("MOVQ dst+8(FP), DI")
	f.p("MOVQ line+16(FP), DX")
	f.p("MOVQ tiles+24(FP), CX")
	f.p("MOVQ half+32(FP), BX")
	f.p("VPBROADCASTQ ninth<>(SB), Y15")
	f.p("loop:")
	for h := range 2 {
		for _, x := range cols.positions {
			for _, i := range rows.positions {
				f.p("VMOVDQU %d(SI), Y%d", (i*reach+x)*64+h*32, i)
			}
			f.sumsAcross(rows, func(i int, y string) { f.p("VMOVDQU %s, %d(BX)", y, (i*reach+x)*32) })
		}
		f.p("MOVQ DI, R9")
		for y := range rows.outputs {
			for _, i := range cols.positions {
				f.p("VMOVDQU %d(BX), Y%d", (y*reach+i)*32, i)
			}
			f.sumsAcross(cols, func(i int, v string) {
				f.p("VPMULLD Y15, %s, %s", v, v)
				f.p("VPSRAD $6, %s, %s", v, v)
				f.p("VMOVDQU %s, %d(R9)", v, i*64+h*32)
			})
			f.p("ADDQ DX, R9")
		}
	}
	f.p("ADDQ $%d, SI", reach*reach*64)
	f.p("ADDQ $%d, DI", side*64)
	f.p("DECQ CX")
	f.p("JNE loop")
	f.ret()
}

// sumsAcross transforms the sums in the registers of their positions, and gives the results to put in their order.
func (f *file) sumsAcross(e extent, put func(i int, y string)) {
	if e.outputs < side {
		f.times8and(16, 0, 6) // 24·m0
		f.p("VPADDD Y2, Y1, Y7")
		f.times8and(4, 7, 8)
		f.p("VPADDD Y8, Y6, Y6")
		put(0, "Y6")
		f.p("VPSUBD Y2, Y1, Y7")
		f.times8and(4, 7, 8)
		f.times8and(16, 5, 6)
		f.p("VPSUBD Y6, Y8, Y8")
		put(1, "Y8")
		return
	}
	f.p("VPADDD Y2, Y1, Y6")
	f.p("VPSUBD Y2, Y1, Y7")
	f.p("VPADDD Y4, Y3, Y8")
	f.p("VPSUBD Y4, Y3, Y9")
	f.p("VPSLLD $2, Y6, Y6") // 4(m1 + m2)
	f.p("VPSLLD $2, Y7, Y7") // 4(m1 − m2)
	f.p("VPADDD Y0, Y0, Y10")
	f.p("VPSLLD $2, Y0, Y0")
	f.p("VPADDD Y10, Y0, Y0")
	f.p("VPSUBD Y6, Y0, Y0")
	f.p("VPADDD Y8, Y0, Y0")
	put(0, "Y0")
	f.p("VPADDD Y9, Y9, Y9") // 2(m3 − m4)
	f.p("VPSUBD Y7, Y9, Y10")
	put(1, "Y10")
	f.p("VPSLLD $2, Y8, Y8")
	f.p("VPSUBD Y6, Y8, Y8")
	put(2, "Y8")
	f.p("VPSLLD $2, Y9, Y9")
	f.p("VPSUBD Y7, Y9, Y9")
	f.p("VPSLLD $3, Y5, Y11")
	f.p("VPSLLD $4, Y5, Y12")
	f.p("VPADDD Y11, Y9, Y9")
	f.p("VPADDD Y12, Y9, Y9")
	put(3, "Y9")
}

// sumsToRows reads rows of 16 sums, argAStep bytes from one tile of four rows to the next.
func (f *file) sumsToRows() {
	m := &micro{file: f, name: "sumsToRows", width: 32, mr: 4, nv: 2, finish: finishIntY}
	m.fill = func(m *micro) {
		m.p("MOVQ t+0(FP), DI")
		m.p("MOVQ %d(DI), AX", argBias)
		m.p("MOVQ %s, SI", curA)
		for r := range m.mr {
			for v := range m.nv {
				m.p("VMOVUPS %d(AX), %s", v*m.width, m.acc(r, v))
				m.p("VPADDD %d(SI), %s, %s", (r*m.nv+v)*m.width, m.acc(r, v), m.acc(r, v))
			}
		}
	}
	m.emit("writes rows of 16 sums, plus bias, as the kind of output says.")
}

// times8and multiplies register from by 8 plus a power of two, 4 or 16, by way of Y14.
func (f *file) times8and(power, from, to int) {
	f.p("VPSLLD $3, Y%d, Y14", from)
	f.p("VPSLLD $%d, Y%d, Y%d", bits.TrailingZeros(uint(power)), from, to)
	f.p("VPADDD Y14, Y%d, Y%d", to, to)
}
