package main

import "fmt"

func init() { register("vec_strip", emitStrips) }

// stripOps are the unary operations that products end in beside the clamps of their stores.
var stripOps = []unaryBody{
	{"sigmoid", false, plain((*body).sigmoid)},
	{"silu", false, plain((*body).silu)},
	{"hardSwish", false, plain((*body).hardSwish)},
	{"hardSigmoid", false, (*body).hardSigmoid},
	{"tanh", false, plain((*body).tanh)},
	{"gelu", false, plain((*body).gelu)},
	{"mish", false, plain((*body).mish)},
}

// emitStrips writes unary operations on a strip of a matrix: rows of one vector, or a part of one.
func emitStrips(f *file) {
	consts := constSet{}
	f.masks()
	f.tables()
	for _, v := range isa {
		for _, k := range stripOps {
			b := newBody(v.width)
			p, q := b.pin(0), b.pin(1)
			b.storeRow(k.f(b, b.loadRow(stripX), p, q))
			f.strip(b, k.name+"Strip"+v.suffix, "p, q float32", consts, stripX)
		}
		b := newBody(v.width)
		b.storeRow(b.add(b.loadRow(stripX), b.loadRow(stripY)))
		f.strip(b, "addStrip"+v.suffix, "y *float32, pitchY int", consts, stripX, stripY)
	}
	consts.write(f)
}

// A strip is how a body finds rows: by the first of four, the pitch, and three times that.
type strip struct{ ptr, pitch, thrice string }

var (
	stripX = strip{"SI", "R8", "R9"}
	stripY = strip{"DI", "R11", "R12"}
)

// strip writes the function of a body; R10 counts the rows that are left.
func (f *file) strip(b *body, name, more string, consts constSet, operands ...strip) {
	l := loop{width: b.width, body: b, pinned: b.pinned()}
	n := b.besides(l.free())
	many := b.beside(n).assign(l.free())
	one := b.like(many, l.free())
	consts.add(b)

	bytes := 40
	if len(operands) > 1 {
		bytes = 48
	}
	f.textResult("is an operation on rows of cols elements, at most a vector.", name, "x *float32, rows, pitch, cols int, "+more, "", 0, bytes)
	f.p("MOVQ x+0(FP), SI")
	f.p("MOVQ rows+8(FP), R10")
	f.p("MOVQ pitch+16(FP), R8")
	f.p("MOVQ cols+24(FP), CX")
	if len(operands) > 1 {
		f.p("MOVQ y+32(FP), DI")
		f.p("MOVQ pitchY+40(FP), R11")
	} else {
		f.p("VBROADCASTSS p+32(FP), %s", reg(b.width, 0))
		f.p("VBROADCASTSS q+36(FP), %s", reg(b.width, 1))
	}
	many.prologue(f)
	for _, s := range operands {
		f.p("LEAQ (%s)(%s*2), %s", s.pitch, s.pitch, s.thrice)
	}
	f.p("CMPQ CX, $%d", b.lanes())
	f.p("JLT part")
	f.p("SUBQ $%d, R10", n)
	f.p("JLT few")
	f.p("PCALIGN $32")
	f.p("many:")
	many.write(f, place{})
	f.stepRows(n, operands)
	f.p("SUBQ $%d, R10", n)
	f.p("JGE many")
	f.p("few:")
	f.p("ADDQ $%d, R10", n)
	f.p("JEQ done")
	f.eachStripRow("one", one, place{}, operands)
	f.p("done:")
	f.ret()
	f.p("part:")
	f.tailMask(b.width, 1)
	f.eachStripRow("masked", one, place{tail: true}, operands)
	f.ret()
}

func (f *file) eachStripRow(label string, c *code, at place, operands []strip) {
	f.p("%s:", label)
	c.write(f, at)
	f.stepRows(1, operands)
	f.p("DECQ R10")
	f.p("JNE %s", label)
}

func (f *file) stepRows(n int, operands []strip) {
	for _, s := range operands {
		f.p("LEAQ %s, %s", s.row(n), s.ptr)
	}
}

// row is the address of the row n behind the first.
func (s strip) row(n int) string {
	switch n {
	case 0:
		return "(" + s.ptr + ")"
	case 3:
		return fmt.Sprintf("(%s)(%s*1)", s.ptr, s.thrice)
	}
	return fmt.Sprintf("(%s)(%s*%d)", s.ptr, s.pitch, n)
}

// loadRow and storeRow move the vector of the row that is the copy's.
func (b *body) loadRow(s strip) val {
	return b.emit(op{write: func(f *file, at place, d string, _, _ []string) {
		f.move(s.row(at.copy), d, b.width, at.tail, true)
	}})
}

func (b *body) storeRow(x val) {
	b.effect(op{args: []val{x}, needReg: []bool{true}, write: func(f *file, at place, _ string, a, _ []string) {
		f.move(stripX.row(at.copy), a[0], b.width, at.tail, false)
	}})
}

// move loads or stores a vector, or the lanes of a tail.
func (f *file) move(addr, vec string, width int, tail, load bool) {
	from, to := vec, addr
	if load {
		from, to = addr, vec
	}
	switch {
	case !tail:
		f.p("VMOVUPS %s, %s", from, to)
	case width == 64 && load:
		f.p("VMOVUPS.Z %s, %s, %s", from, tailK, to)
	case width == 64:
		f.p("VMOVUPS %s, %s, %s", from, tailK, to)
	default:
		f.p("VMASKMOVPS %s, %s, %s", from, reg(32, maskReg[0]), to)
	}
}
