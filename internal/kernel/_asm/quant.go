package main

func init() {
	register("quant_linear", emitLinear)
	register("quant_binary", emitQBinary)
	register("quant_half", emitHalf)
}

// codes are the element types of quantized tensors.
var codes = []struct {
	name, typ string
	elem      elem
	signed    bool
}{
	{"U8", "uint8", u8, false},
	{"S8", "int8", s8, true},
	{"U16", "uint16", u16, false},
	{"S16", "int16", s16, true},
}

const quantBound = 1 << 20

// code is RNE(x/scale) + zero as integers; NaN becomes the least.
func (b *body) code(x, scale, zero val) val {
	v := b.more(b.div(x, scale), b.k(-quantBound))
	v = b.less(v, b.k(quantBound))
	return b.addInt(b.toInt(v), zero)
}

func emitLinear(f *file) {
	consts := constSet{}
	f.masks()
	for _, v := range isa {
		for _, c := range codes {
			b := newBody(v.width)
			q := b.code(b.load(f32, "SI", 0), b.load(f32, "BX", 0), b.load(s32, "DX", 0))
			if !c.signed {
				q = b.maxInt(q, b.bits(0))
			}
			b.store(c.elem, "DI", 0, q)
			l := linearLoop("quant"+c.name+v.suffix, "*"+c.typ, "*float32", c.elem.size, 4, b)
			l.doc, l.noTail = "writes the codes of n elements.", v.width == 32
			l.emit(f, consts)

			b = newBody(v.width)
			b.store(f32, "DI", 0, b.decode(c.elem))
			l = linearLoop("dequant"+c.name+v.suffix, "*float32", "*"+c.typ, 4, c.elem.size, b)
			l.doc, l.noTail = "decodes n codes.", v.width == 32
			l.emit(f, consts)
		}
	}
	consts.write(f)
}

// decode is (x − zero)·scale.
func (b *body) decode(e elem) val {
	d := b.subInt(b.load(e, "SI", 0), b.load(s32, "DX", 0))
	return b.mul(b.toFloat(d), b.load(f32, "BX", 0))
}

func linearLoop(name, dst, x string, dstSize, xSize int, b *body) *loop {
	return &loop{name: name, width: b.width, body: b, unroll: 64 / b.lanes(), bytes: 56,
		args: []arg{
			{name: "dst", typ: dst, off: 0, reg: "DI", size: dstSize},
			{name: "x", typ: x, off: 8, reg: "SI", size: xSize},
			{name: "scale", typ: "*float32", off: 16, reg: "BX", size: 4, step: "R8"},
			{name: "zero", typ: "*int32", off: 24, reg: "DX", size: 4, step: "R8"},
			{name: "n", typ: "int", off: 32, reg: "CX"},
			{name: "step", typ: "int", off: 40, reg: "R8"},
			{name: "s", typ: "float32", off: 48, block: "BX"},
			{name: "z", typ: "int32", off: 52, block: "DX"},
		}}
}

// emitQBinary writes operations on two tensors of codes. The fields of QBinary lie in registers 0
// to 7 in their order.
func emitQBinary(f *file) {
	consts := constSet{}
	ops := []struct {
		name string
		f    func(b *body, x, y val) val
	}{{"qadd", (*body).add}, {"qmul", (*body).mul}}
	for _, v := range isa {
		for _, o := range ops {
			b := newBody(v.width)
			var q [8]val
			for i := range q {
				q[i] = b.pin(i)
			}
			x := b.mul(b.toFloat(b.subInt(b.load(u8, "SI", 0), q[3])), q[0])
			y := b.mul(b.toFloat(b.subInt(b.load(u8, "BX", 0), q[4])), q[1])
			b.store(u8, "DI", 0, b.minInt(b.maxInt(b.code(o.f(b, x, y), q[2], q[5]), q[6]), q[7]))
			l := loop{name: o.name + "U8" + v.suffix, width: v.width, body: b, unroll: 64 / b.lanes(),
				doc: "computes n codes.", bytes: 48, noTail: v.width == 32, pinned: []int{0, 1, 2, 3, 4, 5, 6, 7},
				args: []arg{
					{name: "dst", typ: "*uint8", off: 0, reg: "DI", size: 1},
					{name: "x", typ: "*uint8", off: 8, reg: "SI", size: 1},
					{name: "y", typ: "*uint8", off: 16, reg: "BX", size: 1, step: "R8"},
					{name: "n", typ: "int", off: 24, reg: "CX"},
					{name: "ystep", typ: "int", off: 32, reg: "R8"},
					{name: "q", typ: "*QBinary", off: 40, reg: "DX"},
				}}
			l.pro = func(f *file) { f.fields("DX", v.width, 8) }
			l.emit(f, consts)
		}
		emitMean(f, consts, v.width, v.suffix)
	}
	consts.write(f)
}

// fields broadcasts the first n words that ptr points to into registers 0 to n−1.
func (f *file) fields(ptr string, width, n int) {
	for i := range n {
		f.p("VBROADCASTSS %d(%s), %s", i*4, ptr, reg(width, i))
	}
}

// emitMean writes the end of an average pooling: sums to codes. The fields of PoolQuant lie in
// registers 0 to 5, the zero of the sums in 6 and the divisor in 7.
func emitMean(f *file, consts constSet, width int, suffix string) {
	b := newBody(width)
	var q [8]val
	for i := range q {
		q[i] = b.pin(i)
	}
	s := b.mul(b.toFloat(b.subInt(b.load(s32, "SI", 0), q[6])), q[0])
	b.store(u8, "DI", 0, b.minInt(b.maxInt(b.code(s, q[7], q[3]), q[4]), q[5]))
	l := loop{name: "meanU8" + suffix, width: width, body: b, unroll: 1,
		doc: "turns n sums into codes.", bytes: 40, noTail: width == 32, pinned: []int{0, 1, 2, 3, 4, 5, 6, 7},
		args: []arg{
			{name: "dst", typ: "*uint8", off: 0, reg: "DI", size: 1},
			{name: "sums", typ: "*int32", off: 8, reg: "SI", size: 4},
			{name: "n", typ: "int", off: 16, reg: "CX"},
			{name: "zero", typ: "int32", off: 24, vec: 6},
			{name: "div", typ: "float32", off: 28, vec: 7},
			{name: "q", typ: "*PoolQuant", off: 32, reg: "DX"},
		}}
	l.pro = func(f *file) { f.fields("DX", width, 6) }
	l.emit(f, consts)
}

func emitHalf(f *file) {
	consts := constSet{}
	f.masks()
	for _, v := range isa {
		half := func(name, dst, src string, dstElem, srcElem elem, tr func(b *body, x val) val) {
			b := newBody(v.width)
			b.store(dstElem, "DI", 0, tr(b, b.load(srcElem, "SI", 0)))
			l := loop{name: name + v.suffix, width: v.width, body: b, unroll: 4, noTail: v.width == 32,
				doc: "converts n elements.", bytes: 24,
				args: []arg{
					{name: "dst", typ: dst, off: 0, reg: "DI", size: dstElem.size},
					{name: "src", typ: src, off: 8, reg: "SI", size: srcElem.size},
					{name: "n", typ: "int", off: 16, reg: "CX"},
				}}
			l.emit(f, consts)
		}
		half("decodeF16", "*float32", "*uint16", f32, f16, func(_ *body, x val) val { return x })
		half("encodeF16", "*uint16", "*float32", f16, f32, func(_ *body, x val) val { return x })
		half("decodeBF16", "*float32", "*uint16", f32, u16, func(b *body, x val) val { return b.shift("VPSLLD", 16, x) })
		half("encodeBF16", "*uint16", "*float32", u16, f32, (*body).encodeBF16)
	}
	consts.write(f)
}

// encodeBF16 rounds the upper 16 bits to nearest even; a NaN becomes quiet.
func (b *body) encodeBF16(x val) val {
	high := b.shift("VPSRLD", 16, x)
	odd := b.and(high, b.bits(1))
	rounded := b.shift("VPSRLD", 16, b.addInt(x, b.addInt(odd, b.bits(0x7fff))))
	return b.choose(unord, x, x, b.or(high, b.bits(0x40)), rounded)
}
