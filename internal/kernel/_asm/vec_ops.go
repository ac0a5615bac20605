package main

import "strconv"

// Operations of a body. Comments give the meaning in each lane; floats follow IEEE 754 and are
// rounded to nearest even, so each is one Go expression on float32.

// tailK is the mask of the lanes that are left.
const tailK = "K1"

// cmpK is a mask for comparisons: each of several copies of a body has its own.
func (at place) cmpK() string { return "K" + strconv.Itoa(2+at.copy) }

// maskReg are the vector registers that hold the tail masks of AVX2, for one or two vectors.
var maskReg = [2]int{15, 14}

// simple is dst = x OP y with y from a register or memory; swap says that x and y may be exchanged.
func (b *body) simple(name string, swap bool, x, y val) val {
	if swap && b.vals[x].isConst && !b.vals[y].isConst {
		x, y = y, x
	}
	return b.emit(b.two(name, x, y))
}

func (b *body) two(name string, x, y val) op {
	return op{args: []val{x, y}, needReg: []bool{true, false}, write: func(f *file, _ place, d string, a, _ []string) {
		f.p("%s%s %s, %s, %s", name, b.broadcast(a[1]), a[1], a[0], d)
	}}
}

// broadcast is the suffix of an instruction whose operand is a constant in memory.
func (b *body) broadcast(operand string) string {
	if b.wide() && operand[0] == 'k' {
		return ".BCST"
	}
	return ""
}

func (b *body) add(x, y val) val { return b.simple("VADDPS", true, x, y) }  // x + y
func (b *body) sub(x, y val) val { return b.simple("VSUBPS", false, x, y) } // x − y
func (b *body) mul(x, y val) val { return b.simple("VMULPS", true, x, y) }  // x · y
func (b *body) div(x, y val) val { return b.simple("VDIVPS", false, x, y) } // x / y

// less is x < y ? x : y, so y where either is NaN; more is x > y ? x : y.
func (b *body) less(x, y val) val { return b.simple("VMINPS", false, x, y) }
func (b *body) more(x, y val) val { return b.simple("VMAXPS", false, x, y) }

func (b *body) and(x, y val) val    { return b.simple("VANDPS", true, x, y) }
func (b *body) or(x, y val) val     { return b.simple("VORPS", true, x, y) }
func (b *body) xor(x, y val) val    { return b.simple("VXORPS", true, x, y) }
func (b *body) addInt(x, y val) val { return b.simple("VPADDD", true, x, y) }
func (b *body) subInt(x, y val) val { return b.simple("VPSUBD", false, x, y) }
func (b *body) minInt(x, y val) val { return b.simple("VPMINSD", true, x, y) }
func (b *body) maxInt(x, y val) val { return b.simple("VPMAXSD", true, x, y) }

// one is dst = OP x.
func (b *body) one(name string, x val) val {
	return b.emit(op{args: []val{x}, needReg: []bool{true}, write: func(f *file, _ place, d string, a, _ []string) {
		f.p("%s %s, %s", name, a[0], d)
	}})
}

func (b *body) sqrt(x val) val    { return b.one("VSQRTPS", x) }
func (b *body) toFloat(x val) val { return b.one("VCVTDQ2PS", x) }
func (b *body) toInt(x val) val   { return b.one("VCVTPS2DQ", x) }

// shift is one of VPSLLD, VPSRLD, VPSRAD by n bits.
func (b *body) shift(name string, n int, x val) val {
	return b.emit(op{args: []val{x}, needReg: []bool{true}, write: func(f *file, _ place, d string, a, _ []string) {
		f.p("%s $%d, %s, %s", name, n, a[0], d)
	}})
}

// round rounds to a whole number: mode 0 to nearest even, 1 down, 2 up.
func (b *body) round(mode int, x val) val {
	name := "VROUNDPS"
	if b.wide() {
		name = "VRNDSCALEPS"
	}
	return b.shift(name, mode, x)
}

// Predicates of VCMPPS, false or true for NaN as C's operators are.
const (
	eq    = 0x00
	lt    = 0x11
	le    = 0x12
	nlt   = 0x15
	unord = 0x03
)

// choose is (x pred y) ? yes : no.
func (b *body) choose(pred int, x, y, yes, no val) val {
	o := op{args: []val{x, y, yes, no}, needReg: []bool{true, false, false, true}, temps: 1}
	o.write = func(f *file, at place, d string, a, t []string) {
		if b.wide() {
			f.p("VCMPPS%s $%d, %s, %s, %s", b.broadcast(a[1]), pred, a[1], a[0], at.cmpK())
			f.p("VBLENDMPS%s %s, %s, %s, %s", b.broadcast(a[2]), a[2], a[3], at.cmpK(), d)
			return
		}
		f.p("VCMPPS $%d, %s, %s, %s", pred, a[1], a[0], t[0])
		f.p("VBLENDVPS %s, %s, %s, %s", t[0], a[2], a[3], d)
	}
	if b.wide() {
		o.temps = 0
	}
	return b.emit(o)
}

// addIntUnlessLess is (x < y) ? 0 : u + v, the sum of integers.
func (b *body) addIntUnlessLess(x, y, u, v val) val {
	o := op{args: []val{x, y, u, v}, needReg: []bool{true, false, true, true}, temps: 1}
	o.write = func(f *file, at place, d string, a, t []string) {
		if b.wide() {
			f.p("VCMPPS%s $%d, %s, %s, %s", b.broadcast(a[1]), nlt, a[1], a[0], at.cmpK())
			f.p("VPADDD.Z %s, %s, %s, %s", a[3], a[2], at.cmpK(), d)
			return
		}
		f.p("VCMPPS $%d, %s, %s, %s", lt, a[1], a[0], t[0])
		f.p("VPADDD %s, %s, %s", a[3], a[2], d)
		f.p("VANDNPS %s, %s, %s", d, t[0], d)
	}
	if b.wide() {
		o.temps = 0
	}
	return b.emit(o)
}

// orNaN is NaN where y is, else x.
func (b *body) orNaN(x, y val) val {
	o := op{args: []val{x, y}, needReg: []bool{true, true}}
	o.write = func(f *file, at place, d string, a, _ []string) {
		if b.wide() {
			f.p("VCMPPS $%d, %s, %s, %s", unord, a[1], a[1], at.cmpK())
			f.p("VBLENDMPS %s, %s, %s, %s", a[1], a[0], at.cmpK(), d)
			return
		}
		f.p("VCMPPS $%d, %s, %s, %s", unord, a[1], a[1], d)
		f.p("VORPS %s, %s, %s", a[0], d, d)
	}
	return b.emit(o)
}

// chooseSign is the sign bit of m ? yes : no.
func (b *body) chooseSign(m, yes, no val) val {
	return b.emit(op{args: []val{m, yes, no}, needReg: []bool{true, false, true}, write: func(f *file, at place, d string, a, _ []string) {
		if b.wide() {
			f.p("VPMOVD2M %s, %s", a[0], at.cmpK())
			f.p("VBLENDMPS%s %s, %s, %s, %s", b.broadcast(a[1]), a[1], a[2], at.cmpK(), d)
			return
		}
		f.p("VBLENDVPS %s, %s, %s, %s", a[0], a[1], a[2], d)
	}})
}

// upper has the sign bit set where the entry k of a table of 16 lies in its upper half, for AVX2.
func (b *body) upper(k val) val {
	if b.wide() {
		return k
	}
	return b.shift("VPSLLD", 28, k)
}

// lookup is entry k mod 16 of a table of 16 float32.
func (b *body) lookup(table string, k, upper val) val {
	o := op{args: []val{k, upper}, needReg: []bool{true, true}, temps: 1}
	o.write = func(f *file, _ place, d string, a, t []string) {
		f.p("VPERMPS %s<>(SB), %s, %s", table, a[0], d)
		if !b.wide() {
			f.p("VPERMPS %s<>+32(SB), %s, %s", table, a[0], t[0])
			f.p("VBLENDVPS %s, %s, %s, %s", a[1], t[0], d, d)
		}
	}
	if b.wide() {
		o.temps = 0
	}
	return b.emit(o)
}

// elem is how elements lie in memory: their size, and the instructions that turn a vector of them
// into 32-bit lanes and back.
type elem struct {
	size        int
	load, store string
	direct      bool // store is one instruction in AVX2 too
}

var (
	f32 = elem{size: 4, load: "VMOVUPS", store: "VMOVUPS", direct: true}
	s32 = elem{size: 4, load: "VMOVUPS", store: "VMOVUPS", direct: true}
	u8  = elem{size: 1, load: "VPMOVZXBD", store: "VPMOVUSDB"}
	s8  = elem{size: 1, load: "VPMOVSXBD", store: "VPMOVSDB"}
	u16 = elem{size: 2, load: "VPMOVZXWD", store: "VPMOVUSDW"}
	s16 = elem{size: 2, load: "VPMOVSXWD", store: "VPMOVSDW"}
	f16 = elem{size: 2, load: "VCVTPH2PS", store: "VCVTPS2PH $0,", direct: true}
)

// load reads the vector number half from the place that ptr points to.
func (b *body) load(e elem, ptr string, half int) val {
	return b.emit(op{write: func(f *file, at place, d string, _, _ []string) {
		addr := b.address(e, ptr, half, at)
		switch {
		case !at.tail:
			f.p("%s %s, %s", e.load, addr, d)
		case b.wide():
			f.p("%s.Z %s, %s, %s", e.load, addr, tailK, d)
		default:
			f.p("VMASKMOVPS %s, %s, %s", addr, reg(32, maskReg[half]), d)
		}
	}})
}

// store writes x as the vector number half of the place that ptr points to. Lanes beyond the
// range of e saturate; with AVX2 that takes a temporary.
func (b *body) store(e elem, ptr string, half int, x val) {
	o := op{args: []val{x}, needReg: []bool{true}}
	if !b.wide() && !e.direct {
		o.temps = 1
	}
	o.write = func(f *file, at place, _ string, a, t []string) {
		addr := b.address(e, ptr, half, at)
		switch {
		case !b.wide() && !e.direct:
			f.narrow(e, a[0], t[0], addr)
		case !at.tail:
			f.p("%s %s, %s", e.store, a[0], addr)
		case b.wide():
			f.p("%s %s, %s, %s", e.store, a[0], tailK, addr)
		default:
			f.p("VMASKMOVPS %s, %s, %s", a[0], reg(32, maskReg[half]), addr)
		}
	}
	b.effect(o)
}

// narrow stores eight int32 lanes of y register x as saturated codes.
func (f *file) narrow(e elem, x, t, addr string) {
	xt, words := "X"+t[1:], "VPACKSSDW"
	f.p("VEXTRACTI128 $1, %s, %s", x, xt)
	if e == u16 {
		words = "VPACKUSDW"
	}
	f.p("%s %s, X%s, %s", words, xt, x[1:], xt)
	switch e {
	case u8:
		f.p("VPACKUSWB %s, %s, %s", xt, xt, xt)
	case s8:
		f.p("VPACKSSWB %s, %s, %s", xt, xt, xt)
	default:
		f.p("VMOVDQU %s, %s", xt, addr)
		return
	}
	f.p("VMOVQ %s, %s", xt, addr)
}

func (b *body) address(e elem, ptr string, half int, at place) string {
	if n := (at.vec + half) * b.lanes() * e.size; n != 0 {
		return strconv.Itoa(n) + "(" + ptr + ")"
	}
	return "(" + ptr + ")"
}
