package main

import "math"

func init() { register("vec_reduce", emitReduce) }

// reduction folds f(x) into 16 lanes with step, and these into one.
type reduction struct {
	name  string
	start float64
	f     func(b *body, x, p val) val
	step  func(b *body, acc, x val) val
	one   string // the instruction that step is, where it is one
}

// plainMax is a maximum that passes over NaN.
var plainMax = reduction{start: infinity[1], step: func(b *body, acc, x val) val { return b.more(x, acc) }, one: "VMAXPS"}

var infinity = [2]float64{math.Inf(1), math.Inf(-1)}

// reduceSum is where the sum stands in the list.
const reduceSum = 0

var reductions = []reduction{
	{"sum", 0, func(b *body, x, _ val) val { return x }, (*body).add, "VADDPS"},
	{"sumSquare", 0, func(b *body, x, _ val) val { return b.mul(x, x) }, (*body).add, "VADDPS"},
	{"l1", 0, func(b *body, x, _ val) val { return b.abs(x) }, (*body).add, "VADDPS"},
	{"deviation", 0, func(b *body, x, p val) val { d := b.sub(x, p); return b.mul(d, d) }, (*body).add, "VADDPS"},
	{"reduceMax", infinity[1], func(b *body, x, _ val) val { return x }, func(b *body, acc, x val) val { return b.nanMax(x, acc) }, ""},
	{"reduceMin", infinity[0], func(b *body, x, _ val) val { return x }, func(b *body, acc, x val) val { return b.nanMin(x, acc) }, ""},
}

// accRegs hold the 16 lanes: one register of 512 bits or two of 256.
var accRegs = [2]int{1, 2}

const paramReg = 0

func emitReduce(f *file) {
	consts := constSet{}
	f.masks()
	for _, r := range reductions {
		for _, v := range isa {
			l := loop{name: r.name + v.suffix, width: v.width, per: 64 / v.width, unroll: 1,
				doc: "folds n ≥ 1 elements.", bytes: 28, result: "float32",
				args: []arg{
					{name: "x", typ: "*float32", off: 0, reg: "SI", size: 4},
					{name: "n", typ: "int", off: 8, reg: "CX"},
					{name: "p", typ: "float32", off: 16, vec: paramReg},
				}}
			r.loop(&l, func(b *body, h int, p val) val { return r.f(b, b.load(f32, "SI", h), p) }, 24)
			l.emit(f, consts)
		}
	}
	emitExpSum(f, consts)
	emitMinMax(f, consts)
	consts.write(f)
}

// loop fills in the body, the start and the end of l. term makes the operand of half h; the result
// goes to the frame at offset ret.
func (r reduction) loop(l *loop, term func(b *body, h int, p val) val, ret int) {
	r.lanes(l, term)
	l.epi = func(f *file) {
		fold(f, l, r.step)
		f.p("VMOVSS X%d, ret+%d(FP)", accRegs[0], ret)
	}
}

// lanes fills in the body and the start of l, which leaves the lanes in the accumulators.
func (r reduction) lanes(l *loop, term func(b *body, h int, p val) val) {
	b := newBody(l.width)
	p := b.pin(paramReg)
	for h := range l.per {
		acc := b.pin(accRegs[h])
		if r.one != "" {
			b.gather(r.one, h, acc, term(b, h, p))
			continue
		}
		b.keep(h, acc, r.step(b, acc, term(b, h, p)))
	}
	l.body, l.pinned = b, []int{paramReg, accRegs[0], accRegs[1]}
	l.pro = func(f *file) {
		for h := range l.per {
			f.p("VBROADCASTSS %s<>(SB), %s", constName(bitsOf(r.start)), reg(l.width, accRegs[h]))
		}
	}
	l.extra = []uint64{bitsOf(r.start)}
}

// set moves x to the accumulator.
func (b *body) set(acc, x val) {
	b.into(acc, op{args: []val{x}, needReg: []bool{true}, write: func(f *file, _ place, d string, a, _ []string) {
		f.p("VMOVAPS %s, %s", a[0], d)
	}})
}

// keep moves x to the accumulator; in a tail only the lanes that are there.
func (b *body) keep(half int, acc, x val) {
	b.into(acc, op{args: []val{x, acc}, needReg: []bool{true, true}, write: func(f *file, at place, d string, a, _ []string) {
		switch {
		case !at.tail:
			f.p("VMOVAPS %s, %s", a[0], d)
		case b.wide():
			f.p("VMOVAPS %s, %s, %s", a[0], tailK, d)
		default:
			f.p("VBLENDVPS %s, %s, %s, %s", reg(32, maskReg[half]), a[0], a[1], d)
		}
	}})
}

// gather is keep of one instruction on the accumulator and x: several copies of the body may follow each other.
func (b *body) gather(name string, half int, acc, x val) {
	o := op{args: []val{x, acc}, needReg: []bool{true, true}, temps: 1}
	o.write = func(f *file, at place, d string, a, t []string) {
		switch {
		case !at.tail:
			f.p("%s %s, %s, %s", name, a[1], a[0], d)
		case b.wide():
			f.p("%s %s, %s, %s, %s", name, a[1], a[0], tailK, d)
		default:
			f.p("%s %s, %s, %s", name, a[1], a[0], t[0])
			f.p("VBLENDVPS %s, %s, %s, %s", reg(32, maskReg[half]), t[0], a[1], d)
		}
	}
	if b.wide() {
		o.temps = 0
	}
	b.into(acc, o)
}

// several lets as many copies of a body that takes one vector go beside each other as help.
func (l *loop) several() {
	if l.per == 1 {
		l.beside = l.body.besides(l.free())
		l.unroll = l.beside
	}
}

// fold folds the lanes 16→8→4→2→1 into lane 0 of the first accumulator.
func fold(f *file, l *loop, step func(b *body, acc, x val) val) {
	a, t := accRegs[0], accRegs[1]
	if l.width == 64 {
		f.p("VEXTRACTF64X4 $1, Z%d, Y%d", a, t)
	}
	foldStep(f, step)
	f.p("VEXTRACTF128 $1, Y%d, X%d", a, t)
	foldStep(f, step)
	f.p("VMOVHLPS X%d, X%d, X%d", a, a, t)
	foldStep(f, step)
	f.p("VMOVSHDUP X%d, X%d", a, t)
	foldStep(f, step)
}

// foldStep joins the second accumulator to the first, in 256 bits.
func foldStep(f *file, step func(b *body, acc, x val) val) {
	b := newBody(32)
	acc := b.pin(accRegs[0])
	b.set(acc, step(b, acc, b.pin(accRegs[1])))
	b.assign([]int{3, 4, 5, 6}).write(f, place{})
}

// emitExpSum writes the two forms of a softmax's sum: with and without a store.
func emitExpSum(f *file, consts constSet) {
	for _, v := range isa {
		for _, store := range []bool{false, true} {
			l := loop{name: "expSum" + v.suffix, width: v.width, per: 64 / v.width, unroll: 1,
				doc: "sums exp(x−m) over n ≥ 1 elements.", bytes: 36, result: "float32",
				args: []arg{
					{name: "dst", typ: "*float32", off: 0, reg: "DI", size: 4},
					{name: "x", typ: "*float32", off: 8, reg: "SI", size: 4},
					{name: "n", typ: "int", off: 16, reg: "CX"},
					{name: "m", typ: "float32", off: 24, vec: paramReg},
				}}
			if store {
				l.name, l.doc = "expSumStore"+v.suffix, "sums exp(x−m) over n ≥ 1 elements and stores the terms."
			}
			reductions[reduceSum].loop(&l, func(b *body, h int, m val) val {
				e := b.exp(b.sub(b.load(f32, "SI", h), m))
				if store {
					b.store(f32, "DI", h, e)
				}
				return e
			}, 32)
			l.several()
			l.emit(f, consts)
		}
	}
}

// emitMinMax writes MinMax: two accumulators of any order, since NaN and the sign of zero are
// taken out.
func emitMinMax(f *file, consts constSet) {
	for _, v := range isa {
		b := newBody(v.width)
		x, lo, hi := b.load(f32, "SI", 0), b.pin(accRegs[0]), b.pin(accRegs[1])
		b.keep(0, lo, b.less(x, lo))
		b.keep(0, hi, b.more(x, hi))
		l := loop{name: "minMax" + v.suffix, width: v.width, body: b, pinned: accRegs[:], unroll: 4,
			doc: "finds the least and the greatest of n ≥ 1 elements.", bytes: 24, result: "(lo, hi float32)",
			args: []arg{
				{name: "x", typ: "*float32", off: 0, reg: "SI", size: 4},
				{name: "n", typ: "int", off: 8, reg: "CX"},
			}}
		starts := []uint64{bitsOf(infinity[0]), bitsOf(infinity[1])}
		l.extra = starts
		l.pro = func(f *file) {
			for i, u := range starts {
				f.p("VBROADCASTSS %s<>(SB), %s", constName(u), reg(v.width, accRegs[i]))
			}
		}
		l.epi = func(f *file) {
			f.foldOne(v.width, accRegs[0], "VMINPS", "lo+16(FP)")
			f.foldOne(v.width, accRegs[1], "VMAXPS", "hi+20(FP)")
		}
		l.emit(f, consts)
	}
}

// foldOne folds one register with an instruction of any order, adds +0, and stores it.
func (f *file) foldOne(width, r int, name, dst string) {
	if width == 64 {
		f.p("VEXTRACTF64X4 $1, Z%d, Y3", r)
		f.p("%s Y3, Y%d, Y%d", name, r, r)
	}
	f.p("VEXTRACTF128 $1, Y%d, X3", r)
	f.p("%s X3, X%d, X%d", name, r, r)
	f.p("VMOVHLPS X%d, X%d, X3", r, r)
	f.p("%s X3, X%d, X%d", name, r, r)
	f.p("VMOVSHDUP X%d, X3", r)
	f.p("%s X3, X%d, X%d", name, r, r)
	f.p("VXORPS X3, X3, X3")
	f.p("VADDPS X3, X%d, X%d", r, r)
	f.p("VMOVSS X%d, %s", r, dst)
}
