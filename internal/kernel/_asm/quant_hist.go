package main

func init() { register("quant_hist", emitHist) }

func emitHist(f *file) {
	consts := constSet{}
	f.masks()
	f.words("lane8", 0, 8, 16, 24, 32, 40, 48, 56)
	for _, v := range isa {
		emitScan(f, consts, v.width, v.suffix)
	}
	f.histAVX512()
	f.histAVX2()
	consts.write(f)
}

// scanRegs hold the lanes of Scan: least, greatest, zeros, NaNs, infinities.
var scanRegs = []int{0, 1, 2, 3, 4}

func emitScan(f *file, consts constSet, width int, suffix string) {
	b := newBody(width)
	var acc [5]val
	for i, r := range scanRegs {
		acc[i] = b.pin(r)
	}
	x := b.load(f32, "SI", 0)
	a, inf := b.abs(x), b.bits(0x7f800000)
	count := func(i, pred int, x, y val) {
		b.keep(0, acc[i], b.addInt(acc[i], b.choose(pred, x, y, b.bits(1), b.bits(0))))
	}
	b.keep(0, acc[0], b.less(b.choose(lt, a, inf, x, inf), acc[0]))
	b.keep(0, acc[1], b.more(b.choose(lt, a, inf, x, b.bits(0xff800000)), acc[1]))
	count(2, eq, x, b.bits(0))
	count(3, unord, x, x)
	count(4, eq, a, inf)
	l := loop{name: "scan" + suffix, width: width, body: b, pinned: scanRegs, unroll: 1,
		doc: "leaves what [Level.Scan] counts in lanes: the least, the greatest, zeros, NaNs, infinities.", bytes: 24,
		args: []arg{
			{name: "x", typ: "*float32", off: 0, reg: "SI", size: 4},
			{name: "n", typ: "int", off: 8, reg: "CX"},
			{name: "out", typ: "*[5][16]uint32", off: 16, reg: "DI"},
		}}
	l.pro = func(f *file) {
		for i, r := range scanRegs {
			f.p("VMOVUPS %d(DI), %s", i*64, reg(width, r))
		}
	}
	l.epi = func(f *file) {
		for i, r := range scanRegs {
			f.p("VMOVUPS %s, %d(DI)", reg(width, r), i*64)
		}
	}
	l.emit(f, consts)
}

// histHead loads the arguments: in registers 10 and 11 the addresses of the tables, in 14 the factor,
// in 15 the limit. The frame is for addresses of elements of the tables.
func (f *file) histHead(name string, width, frame int) {
	f.textResult("counts n elements and says how many lay outside; n is a multiple of the vector.", name,
		"neg, pos *uint64, x *float32, n int, inv, limit float32", "int", frame, 48)
	f.p("MOVQ x+16(FP), SI")
	f.p("MOVQ n+24(FP), CX")
	f.p("VPBROADCASTQ neg+0(FP), %s", reg(width, 10))
	f.p("VPBROADCASTQ pos+8(FP), %s", reg(width, 11))
	f.p("VBROADCASTSS inv+32(FP), %s", reg(width, 14))
	f.p("VBROADCASTSS limit+36(FP), %s", reg(width, 15))
	f.splat(width, 9, ^uint32(signBit))
	f.p("XORL BX, BX")
}

// histIndex finds the indices of the next elements: in register 1 with a fraction, in 2 without.
func (f *file) histIndex(width int) {
	f.p("loop:")
	f.p("VMOVUPS (SI), %s", reg(width, 0))
	f.p("VANDPS %s, %s, %s", reg(width, 9), reg(width, 0), reg(width, 1))
	f.p("VMULPS %s, %s, %s", reg(width, 14), reg(width, 1), reg(width, 1))
	f.p("VCVTTPS2DQ %s, %s", reg(width, 1), reg(width, 2))
}

// histSpan is how many elements have their addresses written before one is added at any of them.
const histSpan = 128

// histAVX512 writes the addresses of what is counted and leaves out the rest: often half of all
// elements are zero.
func (f *file) histAVX512() {
	f.histHead("histAVX512", 64, histSpan*8+64)
	f.p("VXORPS Z3, Z3, Z3")
	f.p("span:")
	f.p("LEAQ addr-%d(SP), DI", histSpan*8+64)
	f.p("LEAQ %d(SI), R8", histSpan*4)
	f.histIndex(64)
	f.p("VCMPPS $%d, Z15, Z1, K1", lt)
	f.p("VCMPPS $%d, Z3, Z0, K2", eq)
	f.p("VCMPPS $%d, Z0, Z0, K3", unord)
	f.p("KORW K1, K3, K3")
	f.p("KNOTW K3, K3")
	f.p("KMOVW K3, AX")
	f.p("POPCNTL AX, AX")
	f.p("ADDQ AX, BX")
	f.p("KANDNW K1, K2, K1") // inside and not zero
	f.p("VPMOVD2M Z0, K2")
	f.p("VEXTRACTI64X4 $1, Z2, Y7")
	f.p("KMOVW K1, AX")
	for h, src := range []int{2, 7} {
		if h == 1 {
			f.p("KSHIFTRW $8, K1, K1")
			f.p("KSHIFTRW $8, K2, K2")
		}
		f.p("VPMOVZXDQ Y%d, Z4", src)
		f.p("VPSLLQ $3, Z4, Z4")
		f.p("VPBLENDMQ Z10, Z11, K2, Z5")
		f.p("VPADDQ Z4, Z5, Z5")
		f.p("VPCOMPRESSQ Z5, K1, Z5")
		f.p("VMOVDQU64 Z5, (DI)")
		f.p("MOVBLZX A%s, DX", "LH"[h:h+1])
		f.p("POPCNTL DX, DX")
		f.p("LEAQ (DI)(DX*8), DI")
	}
	f.p("ADDQ $64, SI")
	f.p("SUBQ $16, CX")
	f.p("JLE count")
	f.p("CMPQ SI, R8")
	f.p("JLT loop")
	f.p("count:")
	f.p("LEAQ addr-%d(SP), DX", histSpan*8+64)
	f.p("LEAQ -64(DI), R8")
	f.p("CMPQ DX, R8")
	f.p("JGT rest")
	f.p("eight:")
	for i := range 8 {
		f.p("MOVQ %d(DX), AX", i*8)
		f.p("INCQ (AX)")
	}
	f.p("ADDQ $64, DX")
	f.p("CMPQ DX, R8")
	f.p("JLE eight")
	f.p("rest:")
	f.p("CMPQ DX, DI")
	f.p("JEQ counted")
	f.p("MOVQ (DX), AX")
	f.p("INCQ (AX)")
	f.p("ADDQ $8, DX")
	f.p("JMP rest")
	f.p("counted:")
	f.p("TESTQ CX, CX")
	f.p("JGT span")
	f.p("MOVQ BX, ret+40(FP)")
	f.ret()
}

// histAVX2 adds for a lane that is not counted at an address of its own on the stack.
func (f *file) histAVX2() {
	f.histHead("histAVX2", 32, 256)
	f.p("LEAQ dummy-128(SP), AX")
	f.p("VMOVQ AX, X12")
	f.p("VPBROADCASTQ X12, Y12")
	f.p("VPADDQ lane8<>+32(SB), Y12, Y13")
	f.p("VPADDQ lane8<>(SB), Y12, Y12")
	f.histIndex(32)
	f.p("VCMPPS $%d, Y15, Y1, Y3", lt)
	f.p("VCMPPS $%d, Y0, Y0, Y4", unord)
	f.p("VORPS Y3, Y4, Y4")
	f.p("VMOVMSKPS Y4, AX")
	f.p("XORL $255, AX")
	f.p("POPCNTL AX, AX")
	f.p("ADDQ AX, BX")
	f.p("VXORPS Y4, Y4, Y4")
	f.p("VCMPPS $%d, Y4, Y0, Y4", eq)
	f.p("VANDNPS Y3, Y4, Y3") // inside and not zero
	for h := range 2 {
		if h == 1 {
			for _, r := range []int{0, 2, 3} {
				f.p("VEXTRACTF128 $1, Y%d, X%d", r, r)
			}
		}
		f.p("VPMOVZXDQ X2, Y4")
		f.p("VPSLLQ $3, Y4, Y4")
		f.p("VPMOVSXDQ X0, Y5")
		f.p("VBLENDVPD Y5, Y10, Y11, Y5")
		f.p("VPADDQ Y4, Y5, Y5")
		f.p("VPMOVSXDQ X3, Y6")
		f.p("VBLENDVPD Y6, Y5, Y%d, Y5", 12+h)
		f.p("VMOVDQU Y5, addr-%d(SP)", 256-h*32)
	}
	for i := range 8 {
		f.p("MOVQ addr-%d(SP), AX", 256-i*8)
		f.p("INCQ (AX)")
	}
	f.p("ADDQ $32, SI")
	f.p("SUBQ $8, CX")
	f.p("JGT loop")
	f.p("MOVQ BX, ret+40(FP)")
	f.ret()
}
