package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// rowNanos is the time of one element of a row operation such as a softmax, roughly.
const rowNanos = 1

// emitRows adds a step that works on independent rows of cols elements, from x to y in one layout.
func (lw *lowerer) emitRows(n *node, name string, l layout, cols int, run func(dst, x []float32)) {
	x := lw.use(n.in[0], l)
	dst := lw.make(n.out[0], l)
	rows := n.out[0].elems() / cols
	parts := lw.partsFor(float64(rows*cols)*rowNanos, rows)
	lw.emit(&step{node: n, kernel: name, parts: parts, in: []*slot{x}, out: []*slot{dst}, run: func(f *frame, part int) error {
		a, b := rows*part/parts*cols, rows*(part+1)/parts*cols
		run(f.f32(dst)[a:b], f.f32(x)[a:b])
		return nil
	}})
}

// lowerSoftmax emits Softmax, LogSoftmax and Hardmax along an axis that is last in some layout.
func lowerSoftmax(lw *lowerer, n *node) bool {
	x := n.in[0]
	rank := len(x.shape)
	if !x.is(tensor.Float32) || x.elems() == 0 || rank == 0 {
		return false
	}
	def := -1
	if n.version < 13 {
		def = 1
	}
	axis := n.onnx.Int("axis", def)
	if axis < 0 {
		axis += rank
	}
	l, cols := rowMajor, x.shape[axis]
	switch {
	case n.version < 13: // all dimensions from axis on are one row
		cols = tensor.Elements(x.shape[axis:])
	case tensor.Elements(x.shape[axis+1:]) == 1:
	case axis == 1:
		l = channelsLast
	default:
		return false
	}
	level := lw.level
	run := func(dst, x []float32) { level.SoftmaxRows(dst, x, cols) }
	if n.kind == "Softmax" && cols <= 16 {
		run = func(dst, x []float32) { narrowSoftmax(level, dst, x, cols) }
	}
	if n.kind == "LogSoftmax" {
		run = func(dst, x []float32) { level.LogSoftmaxRows(dst, x, cols) }
	}
	if n.kind == "Hardmax" {
		run = func(dst, x []float32) { hardmaxRows(level, dst, x, cols) }
	}
	lw.emitRows(n, "f32 "+n.kind, l, cols, run)
	return true
}

// narrowSoftmax is a softmax of rows that fill no vector: one pass takes the exponentials of all.
func narrowSoftmax(l kernel.Level, dst, x []float32, cols int) {
	for i := 0; i < len(x); i += cols {
		top := x[i]
		for _, v := range x[i+1 : i+cols] {
			top = max(top, v)
		}
		for j, v := range x[i : i+cols] {
			dst[i+j] = v - top
		}
	}
	l.Unary(kernel.Exp, dst, dst)
	for i := 0; i < len(dst); i += cols {
		row := dst[i : i+cols]
		sum := float32(0)
		for _, v := range row {
			sum += v
		}
		for j, v := range row {
			row[j] = v / sum
		}
	}
}
