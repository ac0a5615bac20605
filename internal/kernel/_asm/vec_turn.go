package main

func init() {
	register("vec_turn", func(f *file) {
		consts := constSet{}
		f.masks()
		for _, v := range isa {
			r := rowKernel{f, consts, v.width}
			r.turn("turnHalves"+v.suffix, "turns the features i and n+i of each row.", r.halves())
			r.turn("turnPairs"+v.suffix, "turns the neighbours among n features of each row.", r.pairs())
		}
		consts.write(f)
	})
}

// turn writes a loop over rows that are xs and ds bytes apart, which all take the same cosines and sines.
func (r rowKernel) turn(name, doc string, l *loop) {
	r.text(doc, name, "dst, x, cos, sin *float32, n, ds, xs, rows int", 0, 64)
	r.p("MOVQ dst+0(FP), R11")
	r.p("MOVQ x+8(FP), R10")
	r.p("MOVQ rows+56(FP), R12")
	r.p("row:")
	r.p("MOVQ cos+16(FP), BX")
	r.p("MOVQ sin+24(FP), R13")
	l.unroll = 1
	r.pass(l, "n+32(FP)")
	r.p("ADDQ xs+48(FP), R10")
	r.p("ADDQ ds+40(FP), R11")
	r.p("DECQ R12")
	r.p("JNE row")
	r.ret()
}

var turnArgs = []arg{srcArg, dstArg, {reg: "BX", size: 4}, {reg: "R13", size: 4}}

func (r rowKernel) halves() *loop {
	b := newBody(r.width)
	u, v, cos, sin := b.load(f32, "SI", 0), b.load(f32, "R9", 0), b.load(f32, "BX", 0), b.load(f32, "R13", 0)
	b.store(f32, "DI", 0, b.sub(b.mul(u, cos), b.mul(v, sin)))
	b.store(f32, "R8", 0, b.add(b.mul(v, cos), b.mul(u, sin)))
	args := append([]arg{{reg: "R8", size: 4}, {reg: "R9", size: 4}}, turnArgs...)
	return &loop{body: b, args: args, pro: func(f *file) {
		f.p("LEAQ (DI)(CX*4), R8")
		f.p("LEAQ (SI)(CX*4), R9")
	}}
}

func (r rowKernel) pairs() *loop {
	b := newBody(r.width)
	x := b.load(f32, "SI", 0)
	b.store(f32, "DI", 0, b.add(b.mul(x, b.load(f32, "BX", 0)), b.mul(b.shift("VPERMILPS", 0xB1, x), b.load(f32, "R13", 0))))
	return &loop{body: b, args: turnArgs}
}
