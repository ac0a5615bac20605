package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// byteNanos is the time of one element of work on codes, roughly.
const byteNanos = 0.1

// elementwise emits a step of independent elements from one slot to another, in the layout of the operand.
func (lw *lowerer) elementwise(n *node, name string, run func(f *frame, dst, x *slot, from, to int)) *step {
	l, _ := lw.natural(n.in[0])
	return lw.elementwiseIn(l, n, name, run)
}

// elementwiseIn does so in a layout.
func (lw *lowerer) elementwiseIn(l layout, n *node, name string, run func(f *frame, dst, x *slot, from, to int)) *step {
	x := lw.use(n.in[0], l)
	dst := lw.make(n.out[0], l)
	size := n.out[0].elems()
	parts := lw.partsFor(float64(size)*byteNanos, size/64)
	st := &step{node: n, kernel: name, parts: parts, in: []*slot{x}, out: []*slot{dst}, over: x, run: func(f *frame, part int) error {
		from, to := span(size, part, parts)
		run(f, dst, x, from, to)
		return nil
	}}
	lw.emit(st)
	return st
}

func lowerQuantize(lw *lowerer, n *node) bool {
	a, level := n.spec.(affine), lw.level
	lw.elementwise(n, "f32 to u8", func(f *frame, dst, x *slot, from, to int) {
		level.QuantizeU8(f.u8(dst)[from:to], f.f32(x)[from:to], a.scale, uint8(a.zero))
	})
	return true
}

func lowerDequantize(lw *lowerer, n *node) bool {
	a, level := n.spec.(affine), lw.level
	l, _ := lw.natural(n.in[0])
	if y := n.out[0]; y.pinned && len(y.uses) == 0 {
		l = rowMajor // it is cheaper to move codes than floats
	}
	lw.elementwiseIn(l, n, "u8 to f32", func(f *frame, dst, x *slot, from, to int) {
		level.DequantizeU8(f.f32(dst)[from:to], f.u8(x)[from:to], a.scale, uint8(a.zero))
	})
	return true
}

// lowerFlip turns int8 codes into uint8 ones, or back.
func lowerFlip(lw *lowerer, n *node) bool {
	level := lw.level
	lw.elementwise(n, "flip sign", func(f *frame, dst, x *slot, from, to int) {
		level.FlipSign(f.u8(dst)[from:to], f.u8(x)[from:to])
	})
	return true
}

// lowerTable maps each code through a table.
func lowerTable(lw *lowerer, n *node) bool {
	t, level := n.spec.(*[256]uint8), lw.level
	lw.elementwise(n, "u8 table", func(f *frame, dst, x *slot, from, to int) {
		level.LUT8(f.u8(dst)[from:to], f.u8(x)[from:to], t)
	})
	return true
}

// requantTable maps codes of one meaning to the nearest ones of another.
func requantTable(from, to affine) *[256]uint8 {
	var x [256]float32
	decodeAll(&x, from)
	t := new([256]uint8)
	kernel.Generic.QuantizeU8(t[:], x[:], to.scale, uint8(to.zero))
	return t
}

// decodeAll writes what each code means.
func decodeAll(x *[256]float32, a affine) {
	var codes [256]uint8
	for i := range codes {
		codes[i] = uint8(i)
	}
	kernel.Generic.DequantizeU8(x[:], codes[:], a.scale, uint8(a.zero))
}

// requantized returns codes of another meaning, by a "table" node in front of n where it differs.
func (g *net) requantized(x *value, from, to affine, n *node) *value {
	if from == to {
		return x
	}
	y := g.newValue(x, tensor.Uint8, x.shape)
	if x.konst != nil {
		y.konst = tensor.New(tensor.Uint8, x.shape...)
		kernel.Generic.LUT8(y.konst.Raw, x.konst.Raw, requantTable(from, to))
		return y
	}
	g.insert(newNode("table", n, requantTable(from, to), []*value{x}, []*value{y}), n)
	return y
}
