package main

import "fmt"

// bitTiles has six rows at most: each row has a mask register, K1 to K6.
var bitTiles = []tile{{3, 4}, {2, 4}, {1, 4}, {4, 3}, {2, 3}, {1, 3}, {6, 2}, {3, 2}, {1, 2}, {6, 1}, {3, 1}, {1, 1}}

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

// A bitTile is a micro kernel that counts the bits in which rows and columns differ, padding left out: a sum is base +
// bias − 2·count, with a base for each row at argAdd.
//
// To count the bits of a word and to add them takes two operations. Two words are therefore added, without carry, to the
// sum of those before, which leaves one word of carries to count: twice its bits and those of the sum at the end are
// the count (Muła, Kurz and Lemire, Faster Population Counts Using AVX2 Instructions, 2018, section 3.3).
type bitTile struct{ *micro }

func (f *file) microBits(mr, nv int) {
	m := &micro{file: f, name: fmt.Sprintf("bitsAVX512%dx%d", mr, nv*16), width: 64, mr: mr, nv: nv, size: 1}
	b := bitTile{m}
	m.fill = func(m *micro) {
		m.clear()
		for i := range mr * nv {
			m.p("VPXORD %s, %s, %s", b.sum(i), b.sum(i), b.sum(i))
		}
		m.p("taploop:")
		b.tap()
		m.p("DECQ %s", curTaps)
		m.p("JNE taploop")
	}
	m.finish = func(m *micro) {
		b.differences()
		finishIntZ(m)
	}
	m.emit(fmt.Sprintf("makes tiles of %d rows by %d columns.", mr, nv*16))
}

// sum is the register of the words of accumulator i added without carry.
func (b bitTile) sum(i int) string { return reg(64, 31-i) }

// spare are the registers between the accumulators and their sums.
func (b bitTile) spare(i int) string { return reg(64, b.mr*b.nv+i) }

// tap adds the dwords of a tap. Addresses take few steps where all rows lie in the image, as most do; a tap outside of the
// image for all is passed over.
func (b bitTile) tap() {
	b.p("MOVQ t+0(FP), DI")
	b.p("MOVQ %s, AX", curTap)
	b.p("ADDQ $4, %s", curTap)
	b.p("MOVQ %d(DI), CX", argOffRow)
	b.p("MOVQ %s, SI", curA)
	b.p("ADDQ %d(DI), SI", argKB)
	for r := range b.mr {
		b.p("MOVLQSX (AX), %s", rowRegs[r])
		if r < b.mr-1 {
			b.p("ADDQ CX, AX")
		}
	}
	b.p("MOVQ R8, R14")
	for r := 1; r < b.mr; r++ {
		b.p("ORQ %s, R14", rowRegs[r])
	}
	b.p("TESTQ R14, R14")
	b.p("JLT padded")
	for r := range b.mr {
		b.p("ADDQ SI, %s", rowRegs[r])
	}
	b.dwords("whole", false)
	b.p("JMP tapdone")
	b.p("padded:")
	if b.mr > 1 {
		b.masks()
		b.dwords("part", true)
		b.p("JMP tapdone")
	}
	b.p("outside:")
	b.p("MOVQ %d(DI), AX", argKB)
	b.p("IMUL3Q $%d, AX, AX", b.nv*64/4)
	b.p("ADDQ AX, BX")
	b.p("JMP passed")
	b.p("tapdone:")
	if b.fetches() {
		b.p("MOVQ SI, %s", curNext)
	}
	b.p("passed:")
}

// masks turns offsets into addresses, and clears the mask of a row that is padding.
func (b bitTile) masks() {
	b.p("MOVQ %d(DI), DX", argZero)
	b.p("ADDQ %d(DI), DX", argKB)
	b.p("XORL R15, R15")
	for r := range b.mr {
		x := rowRegs[r]
		b.p("MOVQ %s, R14", x)
		b.p("NOTQ R14")
		b.p("SARQ $63, R14")
		b.p("KMOVW R14, K%d", r+1)
		b.p("ORQ R14, R15")
		b.p("ADDQ SI, %s", x)
		b.p("TESTQ R14, R14")
		b.p("CMOVQEQ DX, %s", x)
	}
	b.p("TESTQ R15, R15")
	b.p("JEQ outside")
}

// dwords is the loop over pairs of dwords of a row, and the one that may be left.
func (b bitTile) dwords(label string, masked bool) {
	if b.fetches() {
		b.p("MOVQ %d(DI), CX", argPace)
		b.p("MOVQ %s, SI", curNext)
	}
	b.p("MOVQ %d(DI), AX", argKB)
	b.p("NEGQ AX")
	b.p("ADDQ $8, AX")
	b.p("JG %slast", label)
	b.p("PCALIGN $32")
	b.p("%s:", label)
	b.prefetch(0)
	b.prefetch(1)
	b.pair(masked)
	b.p("ADDQ $%d, BX", 2*b.nv*64)
	b.fetched(2)
	b.p("ADDQ $8, AX")
	b.p("JLE %s", label)
	b.p("%slast:", label)
	b.p("SUBQ $8, AX")
	b.p("JEQ tapdone")
	b.last(masked)
	b.p("ADDQ $%d, BX", b.nv*64)
}

// Truth tables of VPTERNLOGD: of the operands the first, which is overwritten, counts 4, the others 2 and 1.
const (
	oddOfThree = 0x96
	carryOf    = 0x74 // of the sums before, between and after two words: whether two of the first and the words are set
)

// pair adds two words to each accumulator. A word of padding changes no sum, so that it is not counted. Words that
// are loaded where their sum will be take no move before, but no mask either.
func (b bitTile) pair(masked bool) {
	between, after := b.spare(0), b.spare(1)
	word := func(u int) string { return b.spare(2 + u) }
	for r := range b.mr {
		for u := range 2 {
			b.p("VPBROADCASTD %d(%s)(AX*1), %s", u*4-8, rowRegs[r], word(u))
		}
		add := func(u, v int, before, after string) {
			at := fmt.Sprintf("%d(BX)", (u*b.nv+v)*64)
			if masked {
				b.p("VMOVDQA32 %s, %s", before, after)
				b.p("VPTERNLOGD $%d, %s, %s, K%d, %s", oddOfThree, at, word(u), r+1, after)
				return
			}
			b.p("VMOVDQU32 %s, %s", at, after)
			b.p("VPTERNLOGD $%d, %s, %s, %s", oddOfThree, before, word(u), after)
		}
		for v := range b.nv {
			before := b.sum(r*b.nv + v)
			add(0, v, before, between)
			add(1, v, between, after)
			b.p("VPTERNLOGD $%d, %s, %s, %s", carryOf, after, between, before)
			b.p("VPOPCNTD %s, %s", before, between)
			b.p("VMOVDQA32 %s, %s", after, before)
			b.p("VPADDD %s, %s, %s", between, b.acc(r, v), b.acc(r, v))
		}
	}
}

// last adds one word.
func (b bitTile) last(masked bool) {
	x, carry := b.spare(0), b.spare(1)
	for r := range b.mr {
		differ := "VPXORD %d(BX), %s, %s"
		if masked {
			differ = fmt.Sprintf("VPXORD.Z %%d(BX), %%s, K%d, %%s", r+1)
		}
		for v := range b.nv {
			sum := b.sum(r*b.nv + v)
			b.p("VPBROADCASTD (%s)(AX*1), %s", rowRegs[r], x)
			b.p(differ, v*64, x, x)
			b.p("VPANDD %s, %s, %s", sum, x, carry)
			b.p("VPXORD %s, %s, %s", x, sum, sum)
			b.p("VPOPCNTD %s, %s", carry, carry)
			b.p("VPADDD %s, %s, %s", carry, b.acc(r, v), b.acc(r, v))
		}
	}
}

// clear empties the accumulators and goes to the start of the panel.
func (m *micro) clear() {
	m.empty(m.mr * m.nv)
	m.p("MOVQ t+0(FP), DI")
	m.p("MOVQ %d(DI), BX", argB)
	m.p("MOVQ %d(DI), AX", argTaps)
	m.p("MOVQ AX, %s", curTaps)
	m.p("MOVQ %s, AX", curOff)
	m.p("MOVQ AX, %s", curTap)
}

// differences turns counts into sums.
func (b bitTile) differences() {
	base, t := b.spare(0), b.spare(1)
	b.p("MOVQ %s, SI", curAdd)
	b.p("MOVQ %d(DI), DX", argLdAdd)
	b.p("MOVQ %d(DI), AX", argBias)
	for r := range b.mr {
		b.p("VPBROADCASTD (SI), %s", base)
		if r < b.mr-1 {
			b.p("ADDQ DX, SI")
		}
		for v := range b.nv {
			a, odd := b.acc(r, v), b.sum(r*b.nv+v)
			b.p("VPOPCNTD %s, %s", odd, odd)
			b.p("VPADDD %d(AX), %s, %s", v*64, base, t)
			b.p("VPADDD %s, %s, %s", a, a, a)
			b.p("VPADDD %s, %s, %s", odd, a, a)
			b.p("VPADDD %s, %s, %s", a, a, a)
			b.p("VPSUBD %s, %s, %s", a, t, a)
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
