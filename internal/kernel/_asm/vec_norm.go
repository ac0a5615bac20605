package main

func init() { register("vec_norm", emitNorm) }

func emitNorm(f *file) {
	consts := constSet{}
	f.masks()
	for _, v := range isa {
		r := rowKernel{f, consts, v.width}
		r.softmax("softmax" + v.suffix)
		r.layerNorm("layerNorm" + v.suffix)
	}
	consts.write(f)
}

// rowKernel writes functions that go over each row several times. R10 and R11 point to the rows of x
// and dst, R12 counts them.
type rowKernel struct {
	*file
	consts constSet
	width  int
}

// pass writes one loop over a row, whose length is the argument n; l has a label and a body.
func (r rowKernel) pass(l *loop, n string) {
	r.p("MOVQ R10, SI")
	r.p("MOVQ R11, DI")
	r.p("MOVQ %s, CX", n)
	l.width = r.width
	r.consts.add(l.body)
	for _, u := range l.extra {
		r.consts[u] = true
	}
	main, c := l.codes()
	c.prologue(r.file)
	if l.pro != nil {
		l.pro(r.file)
	}
	l.turns(r.file, main, c)
}

// reduce folds term over a row of src into lane 0 of the first accumulator.
func (r rowKernel) reduce(kind reduction, label, n string, args []arg, term func(b *body, h int, p val) val) {
	l := &loop{label: label, width: r.width, per: 64 / r.width, unroll: 1, args: args}
	kind.lanes(l, term)
	l.several()
	r.pass(l, n)
	fold(r.file, l, kind.step)
}

// broadcast copies lane 0 of register from to all of register to.
func (r rowKernel) broadcast(from, to int) {
	r.p("VBROADCASTSS X%d, %s", from, reg(r.width, to))
}

// next goes on to the next row.
func (r rowKernel) next(n string) {
	r.p("MOVQ %s, AX", n)
	r.p("LEAQ (R10)(AX*4), R10")
	r.p("LEAQ (R11)(AX*4), R11")
	r.p("DECQ R12")
	r.p("JNE row")
	r.ret()
}

var (
	srcArg = arg{reg: "SI", size: 4}
	dstArg = arg{reg: "DI", size: 4}
)

func (r rowKernel) softmax(name string) {
	const n = "n+16(FP)"
	r.text("computes rows of n ≥ 1 elements.", name, "dst, x *float32, n, rows int", 0, 32)
	r.p("MOVQ dst+0(FP), R11")
	r.p("MOVQ x+8(FP), R10")
	r.p("MOVQ rows+24(FP), R12")
	r.p("row:")
	r.reduce(plainMax, "max", n, []arg{srcArg}, func(b *body, h int, _ val) val { return b.load(f32, "SI", h) })
	r.broadcast(accRegs[0], paramReg)
	r.reduce(reductions[reduceSum], "exp", n, []arg{srcArg, dstArg}, func(b *body, h int, m val) val {
		e := b.expNaN(b.sub(b.load(f32, "SI", h), m))
		b.store(f32, "DI", h, e)
		return e
	})
	r.inverse(accRegs[0])
	r.broadcast(accRegs[0], paramReg)
	b := newBody(r.width)
	b.store(f32, "DI", 0, b.mul(b.load(f32, "DI", 0), b.pin(paramReg)))
	r.pass(&loop{label: "scale", unroll: 4, args: []arg{dstArg}, body: b, pinned: []int{paramReg}}, n)
	r.next(n)
}

// inverse is 1/x in lane 0.
func (r rowKernel) inverse(x int) {
	r.consts[bitsOf(1)] = true
	r.p("VMOVSS %s<>(SB), X3", constName(bitsOf(1)))
	r.p("VDIVSS X%d, X3, X%d", x, x)
}

func (r rowKernel) layerNorm(name string) {
	const n = "n+32(FP)"
	acc := accRegs[0]
	r.text("computes rows of n ≥ 1 elements; size is n.", name, "dst, x, gamma, beta *float32, n, rows int, size, eps float32", 0, 56)
	r.p("MOVQ dst+0(FP), R11")
	r.p("MOVQ x+8(FP), R10")
	r.p("MOVQ rows+40(FP), R12")
	r.p("row:")
	r.reduce(reductions[reduceSum], "sum", n, []arg{srcArg}, func(b *body, h int, _ val) val { return b.load(f32, "SI", h) })
	r.p("VDIVSS size+48(FP), X%d, X%d", acc, acc)
	r.broadcast(acc, paramReg)
	r.reduce(reductions[reduceSum], "dev", n, []arg{srcArg}, func(b *body, h int, mean val) val {
		d := b.sub(b.load(f32, "SI", h), mean)
		return b.mul(d, d)
	})
	r.p("VDIVSS size+48(FP), X%d, X%d", acc, acc)
	r.p("VADDSS eps+52(FP), X%d, X%d", acc, acc)
	r.p("VSQRTSS X%d, X%d, X%d", acc, acc, acc)
	r.inverse(acc)
	r.broadcast(acc, acc)
	r.p("MOVQ gamma+16(FP), BX")
	r.p("MOVQ beta+24(FP), DX")
	b := newBody(r.width)
	x := b.mul(b.sub(b.load(f32, "SI", 0), b.pin(paramReg)), b.pin(acc))
	b.store(f32, "DI", 0, b.add(b.mul(x, b.load(f32, "BX", 0)), b.load(f32, "DX", 0)))
	args := []arg{srcArg, dstArg, {reg: "BX", size: 4}, {reg: "DX", size: 4}}
	r.pass(&loop{label: "norm", unroll: 4, args: args, body: b, pinned: []int{paramReg, acc}}, n)
	r.next(n)
}
