package main

import "fmt"

func init() {
	register("whole", emitWhole)
	register("compare", emitCompare)
}

// Operations on pairs keep x in SI and y in DX, whose steps from vector to vector are in R8 and R9: 0 where one element stands
// for all. DI is the result, CX counts elements.

// pairs opens a function on pairs of elements of some bytes, turns of which take unit elements.
func (f *file) pairs(doc, name string, size int) {
	const args = "dst, x, y unsafe.Pointer, n, sx, sy int"
	f.text(doc, name, args, 64, 48)
	for i, r := range []string{"dst DI", "x SI", "y DX", "n CX", "sx R8", "sy R9"} {
		var arg, to string
		fmt.Sscan(r, &arg, &to)
		f.p("MOVQ %s+%d(FP), %s", arg, i*8, to)
	}
	for _, o := range []struct {
		name, at, step string
		off            int
	}{{"x", "SI", "R8", 64}, {"y", "DX", "R9", 32}} {
		f.p("TESTQ %s, %s", o.step, o.step)
		f.p("JNE %srow", o.name)
		f.p("VPBROADCAST%s (%s), Y0", letter(size), o.at)
		f.p("VMOVDQU Y0, %sone-%d(SP)", o.name, o.off)
		f.p("LEAQ %sone-%d(SP), %s", o.name, o.off, o.at)
		f.p("%srow:", o.name)
	}
}

// letter is what instructions on elements of some bytes end in.
func letter(size int) string { return map[int]string{1: "B", 2: "W", 4: "D", 8: "Q"}[size] }

// loadPair reads the next vectors of x and y.
func (f *file) loadPair(x, y int) {
	f.p("VMOVDQU (SI), Y%d", x)
	f.p("ADDQ R8, SI")
	f.p("VMOVDQU (DX), Y%d", y)
	f.p("ADDQ R9, DX")
}

// loopPairs repeats a turn that writes some bytes.
func (f *file) loopPairs(unit int, turn func()) {
	f.p("PCALIGN $32")
	f.p("loop:")
	turn()
	f.p("ADDQ $32, DI")
	f.p("SUBQ $%d, CX", unit)
	f.p("JGT loop")
	f.ret()
}

// upper fills register r with the upper bit of each element.
func (f *file) upper(size, r int) {
	f.p("VPCMPEQD Y%d, Y%d, Y%d", r, r, r)
	switch size {
	case 1:
		f.splat(32, r, 0x80808080)
	default:
		f.p("VPSLL%s $%d, Y%d, Y%d", letter(size), size*8-1, r, r)
	}
}

// whole writes an operation of x in Y0 and y in Y1 to Y0. Y15 holds what pro puts there.
func (f *file) whole(name string, size int, pro func(), lines ...string) {
	f.pairs("computes n elements, whole vectors.", name, size)
	if pro != nil {
		pro()
	}
	f.loopPairs(32/size, func() {
		f.loadPair(0, 1)
		for _, s := range lines {
			f.p("%s", s)
		}
		f.p("VMOVDQU Y0, (DI)")
	})
}

func emitWhole(f *file) {
	for _, size := range []int{1, 2, 4, 8} {
		l, bits := letter(size), size*8
		f.whole(fmt.Sprintf("add%dAVX2", bits), size, nil, fmt.Sprintf("VPADD%s Y1, Y0, Y0", l))
		f.whole(fmt.Sprintf("sub%dAVX2", bits), size, nil, fmt.Sprintf("VPSUB%s Y1, Y0, Y0", l))
		for _, sign := range []string{"S", "U"} {
			if size < 8 {
				f.whole(fmt.Sprintf("min%s%dAVX2", sign, bits), size, nil, fmt.Sprintf("VPMIN%s%s Y1, Y0, Y0", sign, l))
				f.whole(fmt.Sprintf("max%s%dAVX2", sign, bits), size, nil, fmt.Sprintf("VPMAX%s%s Y1, Y0, Y0", sign, l))
			}
		}
		for i, op := range []string{"VPAND", "VPOR", "VPXOR"} {
			f.whole(fmt.Sprintf("%s%dAVX2", []string{"and", "or", "xor"}[i], bits), size, nil, op+" Y1, Y0, Y0")
		}
	}
	f.whole("mul16AVX2", 2, nil, "VPMULLW Y1, Y0, Y0")
	f.whole("mul32AVX2", 4, nil, "VPMULLD Y1, Y0, Y0")
	f.whole("mul64AVX2", 8, nil, "VPSRLQ $32, Y0, Y2", "VPMULUDQ Y1, Y2, Y2", "VPSRLQ $32, Y1, Y3", "VPMULUDQ Y0, Y3, Y3",
		"VPADDQ Y3, Y2, Y2", "VPSLLQ $32, Y2, Y2", "VPMULUDQ Y1, Y0, Y0", "VPADDQ Y2, Y0, Y0")
	signs := func() { f.upper(8, 15) }
	for _, m := range []struct{ name, a, b string }{{"min", "Y1", "Y0"}, {"max", "Y0", "Y1"}} {
		choose := fmt.Sprintf("VBLENDVPD Y2, %s, %s, Y0", m.a, m.b)
		f.whole(m.name+"S64AVX2", 8, nil, "VPCMPGTQ Y1, Y0, Y2", choose)
		f.whole(m.name+"U64AVX2", 8, signs, "VPXOR Y15, Y0, Y2", "VPXOR Y15, Y1, Y3", "VPCMPGTQ Y3, Y2, Y2", choose)
	}
	for _, size := range []int{4, 8} {
		l, bits := letter(size), size*8
		f.whole(fmt.Sprintf("shl%dAVX2", bits), size, nil, fmt.Sprintf("VPSLLV%s Y1, Y0, Y0", l))
		f.whole(fmt.Sprintf("shr%dAVX2", bits), size, nil, fmt.Sprintf("VPSRLV%s Y1, Y0, Y0", l))
	}
	// Quotients of 32-bit numbers in float64 are rounded by less than what they lack to the next whole one.
	quotient := []string{"VCVTDQ2PD X0, Y2", "VCVTDQ2PD X1, Y3", "VEXTRACTI128 $1, Y0, X4", "VEXTRACTI128 $1, Y1, X5", "VCVTDQ2PD X4, Y4", "VCVTDQ2PD X5, Y5",
		"VDIVPD Y3, Y2, Y2", "VDIVPD Y5, Y4, Y4", "VCVTTPD2DQY Y2, X2", "VCVTTPD2DQY Y4, X4", "VINSERTI128 $1, X4, Y2, Y2"}
	f.whole("divS32AVX2", 4, nil, append(quotient, "VMOVDQA Y2, Y0")...)
	f.whole("remS32AVX2", 4, nil, append(quotient, "VPMULLD Y1, Y2, Y2", "VPSUBD Y2, Y0, Y0")...)
	ones := func() { f.splat(32, 15, 0x01010101) }
	f.whole("bothAVX2", 1, ones, "VPMINUB Y1, Y0, Y0", "VPMINUB Y15, Y0, Y0")
	f.whole("eitherAVX2", 1, ones, "VPOR Y1, Y0, Y0", "VPMINUB Y15, Y0, Y0")
	f.whole("oneOfAVX2", 1, ones, "VPMINUB Y15, Y0, Y0", "VPMINUB Y15, Y1, Y1", "VPXOR Y1, Y0, Y0")
}

// compare writes 32 answers a turn: mask sets register to where x in Y8 and y in Y9 have the relation, or, with not, where
// they have it not.
func (f *file) compare(name string, size int, flip, not bool, mask func(to int) string) {
	f.pairs("writes whether n pairs have a relation, n a multiple of 32.", name, size)
	if flip {
		f.upper(size, 14)
	}
	f.splat(32, 15, 0x01010101)
	if size == 4 {
		f.p("VMOVDQU everyFourth<>(SB), Y13")
	}
	f.loopPairs(32, func() {
		for i := range size {
			f.loadPair(8, 9)
			if flip {
				f.p("VPXOR Y14, Y8, Y8")
				f.p("VPXOR Y14, Y9, Y9")
			}
			f.p("%s", mask(i))
		}
		f.bytesOfMasks(size)
		if not {
			f.p("VPANDN Y15, Y0, Y0")
		} else {
			f.p("VPAND Y15, Y0, Y0")
		}
		f.p("VMOVDQU Y0, (DI)")
	})
}

// bytesOfMasks packs the masks in the first size registers to bytes in Y0.
func (f *file) bytesOfMasks(size int) {
	for n := size; n > 1; n /= 2 {
		op := "VPACKSSDW"
		if n == 2 {
			op = "VPACKSSWB"
		}
		for i := 0; i < n; i += 2 {
			f.p("%s Y%d, Y%d, Y%d", op, i+1, i, i/2)
		}
	}
	switch size {
	case 2:
		f.p("VPERMQ $0xd8, Y0, Y0")
	case 4:
		f.p("VPERMD Y0, Y13, Y0")
	case 8:
		f.p("VEXTRACTI128 $1, Y0, X1")
		f.p("VPUNPCKHWD X1, X0, X2")
		f.p("VPUNPCKLWD X1, X0, X0")
		f.p("VINSERTI128 $1, X2, Y0, Y0")
	}
}

func emitCompare(f *file) {
	f.words("everyFourth", 0x0000000400000000, 0x0000000500000001, 0x0000000600000002, 0x0000000700000003)
	for _, size := range []int{1, 2, 4, 8} {
		l, bits := letter(size), size*8
		equal := func(to int) string { return fmt.Sprintf("VPCMPEQ%s Y9, Y8, Y%d", l, to) }
		more := func(to int) string { return fmt.Sprintf("VPCMPGT%s Y9, Y8, Y%d", l, to) }
		less := func(to int) string { return fmt.Sprintf("VPCMPGT%s Y8, Y9, Y%d", l, to) }
		f.compare(fmt.Sprintf("equal%dAVX2", bits), size, false, false, equal)
		f.compare(fmt.Sprintf("unequal%dAVX2", bits), size, false, true, equal)
		for _, sign := range []string{"S", "U"} {
			f.compare(fmt.Sprintf("greater%s%dAVX2", sign, bits), size, sign == "U", false, more)
			f.compare(fmt.Sprintf("atLeast%s%dAVX2", sign, bits), size, sign == "U", true, less)
		}
	}
	for _, t := range []struct {
		name, letter string
		size         int
	}{{"F32", "S", 4}, {"F64", "D", 8}} {
		for _, r := range []struct {
			name string
			is   int
		}{{"equal", 0}, {"unequal", 4}, {"greater", 30}, {"atLeast", 29}} {
			f.compare(r.name+t.name+"AVX2", t.size, false, false, func(to int) string {
				return fmt.Sprintf("VCMPP%s $%d, Y9, Y8, Y%d", t.letter, r.is, to)
			})
		}
	}
}
