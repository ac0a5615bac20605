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

// lowerSoftmax emits Softmax and LogSoftmax, along rows if the axis is last in some layout, and Hardmax of such rows.
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
	case n.kind == "Hardmax":
		return false
	default:
		lw.emitSoftmaxColumns(n, axis)
		return true
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

// emitSoftmaxColumns adds the step for an axis that others are behind.
func (lw *lowerer) emitSoftmaxColumns(n *node, axis int) {
	x, gone := n.in[0], make([]bool, len(n.in[0].shape))
	gone[axis] = true
	s := reduceStages(rowMajor, x.shape, gone)[0]
	src, dst, units := lw.use(x, rowMajor), lw.make(n.out[0], rowMajor), s.outer*s.blocks()
	parts := lw.partsFor(float64(x.elems())*rowNanos, units)
	room := lw.scratch(tensor.Float32, parts*reduceRoom)
	c := softmaxColumns{lw.level, s, n.kind == "LogSoftmax"}
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		for u := units * part / parts; u < units*(part+1)/parts; u++ {
			_, at := s.columns(u)
			c.run(f.f32(dst)[at:], f.f32(src)[at:], s.width(u), f.f32(room)[part*reduceRoom:][:reduceRoom])
		}
		return nil
	}})
}

// softmaxColumns is a softmax of columns, or its logarithm, of as many rows at a time as a reduction folds.
type softmaxColumns struct {
	level kernel.Level
	reduceStage
	log bool
}

func (s *softmaxColumns) run(dst, x []float32, cols int, room []float32) {
	l, size := s.level, chunkRows(cols, s.inner)
	same, rest := room[:reduceColumns], room[reduceColumns:]
	lanes, tmp := rest[:reduceColumns], rest[reduceColumns:]
	repeat := func(row []float32) {
		for i := range size {
			copy(same[i*cols:], row)
		}
	}
	fold{pair: kernel.Max}.reduceColumns(l, same[:cols], x, s.mid, s.inner, rest)
	repeat(same[:cols])
	for i := 0; i < s.mid; i += size {
		n := min(size, s.mid-i) * cols
		y, e := dst[i*s.inner:][:n], tmp[:n]
		if !s.log {
			e = y
		}
		l.Binary(kernel.Sub, y, x[i*s.inner:][:n], same[:n])
		l.Unary(kernel.Exp, e, y)
		if i == 0 {
			copy(lanes, e)
		} else {
			l.Binary(kernel.Add, lanes[:n], lanes[:n], e)
		}
	}
	sums, by := lanes[:cols], kernel.Div
	foldLanes(l, kernel.Add, sums, lanes, min(s.mid, size))
	if s.log {
		l.Unary(kernel.Log, sums, sums)
		by = kernel.Sub
	}
	repeat(sums)
	for i := 0; i < s.mid; i += size {
		y := dst[i*s.inner:][:min(size, s.mid-i)*cols]
		l.Binary(by, y, y, same[:len(y)])
	}
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
