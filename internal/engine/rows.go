package engine

import (
	"slices"

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

// lowerSoftmax emits Softmax and LogSoftmax along an axis that is last in some layout.
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

// A layerNorm normalises rows: (x−mean)/√(var+eps)·gamma + beta.
type layerNorm struct {
	gamma, beta []float32 // of a row's length; beta may be nil
	eps         float32
	rms         bool // no mean: x/√(mean of squares+eps)·gamma
}

// lowerLayerNorm emits a "layer norm" node.
func lowerLayerNorm(lw *lowerer, n *node) bool {
	s, level := n.spec.(*layerNorm), lw.level
	if s.rms {
		lw.emitRows(n, "f32 RMSNorm", rowMajor, len(s.gamma), func(dst, x []float32) { level.RMSNormRows(dst, x, s.gamma, s.eps) })
		return true
	}
	lw.emitRows(n, "f32 LayerNorm", rowMajor, len(s.gamma), func(dst, x []float32) { level.LayerNormRows(dst, x, s.gamma, s.beta, s.eps) })
	return true
}

// findLayerNorms turns LayerNormalization with constant operands into "layer norm" nodes.
func findLayerNorms(g *net) {
	for _, n := range g.nodes {
		if n.kind != "LayerNormalization" || !n.static() || !n.in[0].is(tensor.Float32) || n.out[0].elems() == 0 {
			continue
		}
		if len(n.out) > 1 && (n.out[1] != nil || len(n.out) > 2 && n.out[2] != nil) {
			continue
		}
		axis := n.onnx.Int("axis", -1)
		if axis < 0 {
			axis += len(n.in[0].shape)
		}
		cols := tensor.Elements(n.in[0].shape[axis:])
		gamma, ok := rowOf(n.in[1], cols)
		s := &layerNorm{gamma: gamma, eps: n.onnx.Float("epsilon", 1e-5)}
		if b := n.input(2); ok && b != nil {
			s.beta, ok = rowOf(b, cols)
		}
		if ok {
			n.become("layer norm", s, n.in[0])
		}
	}
}

// lowerNorm emits BatchNormalization by constants.
func lowerNorm(lw *lowerer, n *node) bool {
	x := n.in[0]
	if !x.is(tensor.Float32) || len(x.shape) < 2 || x.elems() == 0 || n.onnx.Bool("training_mode", false) {
		return false
	}
	c := x.shape[1]
	f, shift, ok := normOf(n, c)
	if !ok {
		return false
	}
	level := lw.level
	l, has := lw.natural(x)
	if has && l == rowMajor && len(x.shape) > 2 {
		plane := tensor.Elements(x.shape[2:])
		lw.emitPlanes(n, plane, func(dst, x []float32, ch int) { level.UnaryWith(kernel.ScaleShift, dst, x, f[ch], shift[ch]) })
		return true
	}
	lw.emitRows(n, "f32 BatchNormalization", channelsLast, c, func(dst, x []float32) { level.AffineRows(dst, x, f, shift, -inf, inf) })
	return true
}

// emitPlanes adds a step that works on the planes of each channel in row-major order.
func (lw *lowerer) emitPlanes(n *node, plane int, run func(dst, x []float32, channel int)) {
	x := lw.use(n.in[0], rowMajor)
	dst := lw.make(n.out[0], rowMajor)
	c := n.in[0].shape[1]
	planes := n.in[0].elems() / plane
	parts := lw.partsFor(float64(plane*planes)*functionNanos, planes)
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{x}, out: []*slot{dst}, run: func(f *frame, part int) error {
		for i := planes * part / parts; i < planes*(part+1)/parts; i++ {
			run(f.f32(dst)[i*plane:][:plane], f.f32(x)[i*plane:][:plane], i%c)
		}
		return nil
	}})
}

// reductions lists the reductions of floats that kernels compute.
var reductions = map[string]reduction{
	"ReduceMean": {kernel.ReduceSum, kernel.Add, true},
	"ReduceSum":  {kernel.ReduceSum, kernel.Add, false},
	"ReduceMax":  {kernel.ReduceMax, kernel.Max, false},
	"ReduceMin":  {kernel.ReduceMin, kernel.Min, false},
}

type reduction struct {
	rows kernel.Reduce // along contiguous elements
	pair kernel.Binary // of two rows
	mean bool
}

// lowerReduce emits a reduction over neighbouring dimensions.
func lowerReduce(lw *lowerer, n *node) bool {
	x, r := n.in[0], reductions[n.kind]
	if !x.is(tensor.Float32) || x.elems() == 0 {
		return false
	}
	gone, ok := reducedAxes(n, len(x.shape))
	if !ok {
		return false
	}
	first, _ := lw.natural(x)
	for _, l := range []layout{first, 1 - first} {
		to, ok := reducedLayout(l, n.out[0].shape, gone)
		if !ok {
			continue
		}
		if outer, mid, inner, ok := splitAxes(l, x.shape, gone); ok {
			lw.emitReduce(n, r, lw.use(x, l), lw.make(n.out[0], to), [3]int{outer, mid, inner})
			return true
		}
	}
	return false
}

// reducedLayout returns the layout that is left of l. Of (N, …, C) without some dimension only (N, C), or
// what has lost the channels, is in an order that has a name.
func reducedLayout(l layout, y []int, gone []bool) (layout, bool) {
	if len(y) == len(gone) || l == rowMajor {
		return l, true
	}
	return rowMajor, gone[1] || !gone[0] && len(y) <= 2
}

// emitReduce adds the step that reduces the middle one of three dimensions.
func (lw *lowerer) emitReduce(n *node, r reduction, src, dst *slot, dims [3]int) {
	outer, mid, inner := dims[0], dims[1], dims[2]
	level := lw.level
	parts := lw.partsFor(float64(outer*mid*inner)*functionNanos, outer)
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		a, b := outer*part/parts, outer*(part+1)/parts
		r.run(level, f.f32(dst)[a*inner:b*inner], f.f32(src)[a*mid*inner:b*mid*inner], mid, inner)
		return nil
	}})
}

// run reduces x, (outer, mid, inner), to dst, (outer, inner).
func (r reduction) run(l kernel.Level, dst, x []float32, mid, inner int) {
	if inner == 1 {
		l.ReduceRows(r.rows, dst, x)
	} else {
		for o := 0; o*inner < len(dst); o++ {
			row, in := dst[o*inner:][:inner], x[o*mid*inner:]
			copy(row, in)
			for m := 1; m < mid; m++ {
				l.Binary(r.pair, row, row, in[m*inner:][:inner])
			}
		}
	}
	if r.mean {
		l.BinaryScalar(kernel.Div, dst, dst, float32(mid))
	}
}

// reducedAxes says for each dimension whether it is reduced.
func reducedAxes(n *node, rank int) ([]bool, bool) {
	gone := make([]bool, rank)
	axes := n.onnx.Ints("axes")
	if v := n.input(1); v != nil {
		var ok bool
		if axes, ok = intsOf(v); !ok {
			return nil, false
		}
	}
	if len(axes) == 0 {
		if n.onnx.Bool("noop_with_empty_axes", false) {
			return nil, false
		}
		for i := range gone {
			gone[i] = true
		}
	}
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		gone[a] = true
	}
	return gone, true
}

// splitAxes says how memory falls into dimensions before, among and behind the reduced ones, where
// these are neighbours.
func splitAxes(l layout, shape []int, gone []bool) (outer, mid, inner int, ok bool) {
	outer, mid, inner = 1, 1, 1
	state := 0
	for p, d := range l.physical(shape) {
		if d == 1 {
			continue
		}
		switch g := gone[l.logical(p, len(shape))]; {
		case g && state == 2:
			return 0, 0, 0, false
		case g:
			mid, state = mid*d, 1
		case state == 0:
			outer *= d
		default:
			inner, state = inner*d, 2
		}
	}
	return outer, mid, inner, true
}

// findPowers turns the powers that have a function of their own into "function" nodes, and LeakyRelu
// into PRelu with a constant slope.
func findPowers(g *net) {
	for _, n := range g.nodes {
		if !n.static() || !n.in[0].is(tensor.Float32) {
			continue
		}
		switch n.kind {
		case "Pow":
			e, ok := scalar(n.in[1])
			i := slices.IndexFunc(powers, func(p power) bool { return p.exponent == e })
			if ok && i >= 0 && sameShape(n.in[0].shape, n.out[0].shape) {
				n.become("function", function{op: powers[i].op}, n.in[0])
			}
		case "LeakyRelu":
			slope := g.constant(n.out[0].name+"·slope", tensor.Scalar(n.onnx.Float("alpha", 0.01)))
			n.become("PRelu", nil, n.in[0], slope)
		}
	}
}

type power struct {
	exponent float32
	op       kernel.Unary
}

var powers = []power{{2, kernel.Square}, {0.5, kernel.Sqrt}, {-1, kernel.Reciprocal}}
