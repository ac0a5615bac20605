package main

func init() {
	register("vec_binary", emitBinary)
	register("vec_unary", emitUnary)
}

var binaryBodies = []struct {
	name string
	f    func(b *body, x, y val) val
}{
	{"add", (*body).add},
	{"sub", (*body).sub},
	{"mul", (*body).mul},
	{"div", (*body).div},
	{"min", (*body).nanMin},
	{"max", (*body).nanMax},
	{"pow", (*body).pow},
	{"prelu", func(b *body, x, y val) val { return b.choose(lt, x, b.k(0), b.mul(x, y), x) }},
	{"addRelu", func(b *body, x, y val) val { return b.relu(b.add(x, y)) }},
}

func emitBinary(f *file) {
	consts := constSet{}
	f.masks()
	for _, k := range binaryBodies {
		for _, v := range isa {
			b := newBody(v.width)
			x, y := b.load(f32, "SI", 0), b.load(f32, "BX", 0)
			b.store(f32, "DI", 0, k.f(b, x, y))
			l := loop{name: k.name + v.suffix, width: v.width, body: b, unroll: 64 / b.lanes(),
				doc: "is the body of a binary operation on n elements.", bytes: 52,
				args: []arg{
					{name: "dst", typ: "*float32", off: 0, reg: "DI", size: 4},
					{name: "x", typ: "*float32", off: 8, reg: "SI", size: 4, step: "R8"},
					{name: "y", typ: "*float32", off: 16, reg: "BX", size: 4, step: "R9"},
					{name: "n", typ: "int", off: 24, reg: "CX"},
					{name: "xs", typ: "int", off: 32, reg: "R8"},
					{name: "ys", typ: "int", off: 40, reg: "R9"},
					{name: "s", typ: "float32", off: 48, block: "SI BX"},
				}}
			l.emit(f, consts)
		}
	}
	consts.write(f)
}

// unaryBody is a unary operation; p and q are its parameters. The light ones are limited by memory
// and go several vectors at a time.
type unaryBody struct {
	name  string
	light bool
	f     func(b *body, x, p, q val) val
}

// plain is an operation without parameters.
func plain(f func(b *body, x val) val) func(b *body, x, p, q val) val {
	return func(b *body, x, _, _ val) val { return f(b, x) }
}

var unaryBodies = []unaryBody{
	{"relu", true, plain((*body).relu)},
	{"neg", true, plain((*body).neg)},
	{"abs", true, plain((*body).abs)},
	{"square", true, plain(func(b *body, x val) val { return b.mul(x, x) })},
	{"sqrt", true, plain((*body).sqrt)},
	{"reciprocal", true, plain(func(b *body, x val) val { return b.div(b.k(1), x) })},
	{"floor", true, plain(func(b *body, x val) val { return b.round(1, x) })},
	{"ceil", true, plain(func(b *body, x val) val { return b.round(2, x) })},
	{"round", true, plain(func(b *body, x val) val { return b.round(0, x) })},
	{"exp", false, plain((*body).exp)},
	{"log", false, plain((*body).log)},
	{"tanh", false, plain((*body).tanh)},
	{"erf", false, plain((*body).erf)},
	{"sigmoid", false, plain((*body).sigmoid)},
	{"gelu", false, plain((*body).gelu)},
	{"geluTanh", false, plain((*body).geluTanh)},
	{"silu", false, plain((*body).silu)},
	{"hardSwish", true, plain((*body).hardSwish)},
	{"softplus", false, plain((*body).softplus)},
	{"softsign", true, plain((*body).softsign)},
	{"sin", false, plain((*body).sin)},
	{"cos", false, plain((*body).cos)},
	{"tan", false, plain((*body).tan)},
	{"asin", false, plain((*body).asin)},
	{"acos", false, plain((*body).acos)},
	{"atan", false, plain((*body).atan)},
	{"sinh", false, plain((*body).sinh)},
	{"cosh", false, plain((*body).cosh)},
	{"asinh", false, plain((*body).asinh)},
	{"acosh", false, plain((*body).acosh)},
	{"atanh", false, plain((*body).atanh)},
	{"mish", false, plain((*body).mish)},
	{"clamp", true, (*body).clamp},
	{"elu", false, (*body).elu},
	{"celu", false, (*body).celu},
	{"threshold", true, func(b *body, x, p, _ val) val { return b.choose(lt, p, x, x, b.k(0)) }},
	{"shrink", true, (*body).shrink},
	{"hardSigmoid", true, (*body).hardSigmoid},
	{"subTwo", true, func(b *body, x, p, q val) val { return b.sub(b.sub(x, p), q) }},
	{"scaleShift", true, func(b *body, x, p, q val) val { return b.add(b.mul(x, p), q) }},
}

func emitUnary(f *file) {
	consts := constSet{}
	f.masks()
	f.tables()
	for _, k := range unaryBodies {
		for _, v := range isa {
			b := newBody(v.width)
			p, q := b.pin(0), b.pin(1)
			b.store(f32, "DI", 0, k.f(b, b.load(f32, "SI", 0), p, q))
			l := loop{name: k.name + v.suffix, width: v.width, body: b, pinned: b.pinned(), unroll: 1,
				doc: "is the body of a unary operation on n elements.", bytes: 32,
				args: []arg{
					{name: "dst", typ: "*float32", off: 0, reg: "DI", size: 4},
					{name: "x", typ: "*float32", off: 8, reg: "SI", size: 4},
					{name: "n", typ: "int", off: 16, reg: "CX"},
					{name: "p", typ: "float32", off: 24, vec: 0},
					{name: "q", typ: "float32", off: 28, vec: 1},
				}}
			if k.light {
				l.unroll = 4
			} else {
				l.beside = b.besides(l.free())
				l.unroll = l.beside
			}
			l.emit(f, consts)
		}
	}
	emitAffine(f, consts)
	consts.write(f)
}

func emitAffine(f *file, consts constSet) {
	for _, v := range isa {
		b := newBody(v.width)
		lo, hi := b.pin(0), b.pin(1)
		x := b.mul(b.load(f32, "SI", 0), b.load(f32, "BX", 0))
		b.store(f32, "DI", 0, b.clamp(b.add(x, b.load(f32, "DX", 0)), lo, hi))
		l := loop{name: "affine" + v.suffix, width: v.width, body: b, pinned: []int{0, 1}, unroll: 4,
			doc: "is the body of AffineRows on n elements.", bytes: 48,
			args: []arg{
				{name: "dst", typ: "*float32", off: 0, reg: "DI", size: 4},
				{name: "x", typ: "*float32", off: 8, reg: "SI", size: 4},
				{name: "scale", typ: "*float32", off: 16, reg: "BX", size: 4},
				{name: "shift", typ: "*float32", off: 24, reg: "DX", size: 4},
				{name: "n", typ: "int", off: 32, reg: "CX"},
				{name: "lo", typ: "float32", off: 40, vec: 0},
				{name: "hi", typ: "float32", off: 44, vec: 1},
			}}
		l.emit(f, consts)
	}
}
