package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// binaries lists the operators on two floats that kernels compute.
var binaries = map[string]kernel.Binary{
	"Add": kernel.Add, "Sub": kernel.Sub, "Mul": kernel.Mul, "Div": kernel.Div, "PRelu": kernel.PRelu,
	"Min": kernel.Min, "Max": kernel.Max, "Pow": kernel.Pow, "Sum": kernel.Add,
}

// lowerBinary emits an elementwise operation on two floats with ONNX's broadcasting.
func lowerBinary(lw *lowerer, n *node) bool {
	op, y := binaries[n.kind], n.out[0]
	if n.formal != 2 || !n.in[0].is(tensor.Float32) || !n.in[1].is(tensor.Float32) || y.elems() == 0 || !broadcasts(n.in[0].shape, y.shape) || !broadcasts(n.in[1].shape, y.shape) {
		return false
	}
	u, v := lw.spread(n.in[0], n.in[1], y), lw.spread(n.in[1], n.in[0], y)
	l := lw.followBroadcast(y, u, v)
	rank := len(y.shape)
	a, b := lw.useIn(u, l, rank), lw.useIn(v, l, rank)
	dst := lw.make(y, l)
	bc := broadcastOf(l.physical(y.shape), l.physical(padShape(u.shape, rank)), l.physical(padShape(v.shape, rank)))
	outer := tensor.Elements(bc.dims[:len(bc.dims)-1])
	parts := lw.partsFor(float64(y.elems())*functionNanos, outer)
	if outer == 1 && bc.inner() >= 256 {
		parts = lw.partsFor(float64(y.elems())*functionNanos, bc.inner()/64)
	}
	level := lw.level
	over := a
	if !sameShape(u.shape, y.shape) {
		over = b
	}
	lw.emit(&step{node: n, kernel: op.String(), parts: parts, in: []*slot{a, b}, out: []*slot{dst}, over: over, run: func(f *frame, part int) error {
		bc.run(level, op, f.f32(dst), f.f32(a), f.f32(b), part, parts)
		return nil
	}})
	return true
}

// broadcasts says whether a tensor of some shape can be repeated to another one.
func broadcasts(shape, to []int) bool {
	if len(shape) > len(to) {
		return false
	}
	for i, d := range padShape(shape, len(to)) {
		if d != 1 && d != to[i] {
			return false
		}
	}
	return true
}

// followBroadcast returns the layout to compute y in. An operand of lower rank keeps the row-major
// order of what it spans, so it must be neutral for channels-last.
func (lw *lowerer) followBroadcast(y *value, in ...*value) layout {
	l := lw.follow(in...)
	for _, v := range in {
		if l == channelsLast && len(v.shape) != len(y.shape) && len(v.shape) > 0 && v.elems() > 1 && !neutral(padShape(v.shape, len(y.shape))) {
			return rowMajor
		}
	}
	return l
}

// useIn returns an operand for a result of some rank: one of lower rank in the only order it has.
func (lw *lowerer) useIn(v *value, l layout, rank int) *slot {
	if len(v.shape) < rank {
		return lw.use(v, rowMajor)
	}
	return lw.use(v, l)
}

// padShape puts ones in front of a shape.
func padShape(shape []int, rank int) []int {
	if len(shape) >= rank {
		return shape
	}
	return append(slices.Repeat([]int{1}, rank-len(shape)), shape...)
}

// A broadcast walks two operands over the elements of a result. Neighbouring dimensions that both
// operands walk alike are merged; a stride of 0 repeats.
type broadcast struct {
	dims   []int
	xs, ys []int // element strides by dimension; the last ones are 0 or 1
}

func (b *broadcast) inner() int { return b.dims[len(b.dims)-1] }

// broadcastOf pairs shapes of equal rank in memory order.
func broadcastOf(out, x, y []int) *broadcast {
	b := &broadcast{}
	sx, sy := repeatStrides(x, out), repeatStrides(y, out)
	for i, d := range out {
		if d == 1 {
			continue
		}
		k := len(b.dims) - 1
		if k >= 0 && b.xs[k] == sx[i]*d && b.ys[k] == sy[i]*d {
			b.dims[k], b.xs[k], b.ys[k] = b.dims[k]*d, sx[i], sy[i]
			continue
		}
		b.dims, b.xs, b.ys = append(b.dims, d), append(b.xs, sx[i]), append(b.ys, sy[i])
	}
	if len(b.dims) == 0 {
		b.dims, b.xs, b.ys = []int{1}, []int{1}, []int{1}
	}
	return b
}

// repeatStrides returns the strides of a dense tensor, 0 where a dimension of 1 stands for more.
func repeatStrides(shape, out []int) []int {
	s := make([]int, len(shape))
	for i, p := len(shape)-1, 1; i >= 0; i-- {
		if shape[i] != 1 || out[i] == 1 {
			s[i] = p
		}
		p *= shape[i]
	}
	return s
}

// run computes one part: a share of the outer indices, or of a single row.
func (b *broadcast) run(l kernel.Level, op kernel.Binary, dst, x, y []float32, part, parts int) {
	k := len(b.dims) - 1
	n := b.dims[k]
	outer := tensor.Elements(b.dims[:k])
	if outer == 1 {
		from, to := span(n, part, parts)
		b.row(l, op, dst[from:to], x[from*b.xs[k]:], y[from*b.ys[k]:])
		return
	}
	from, to := outer*part/parts, outer*(part+1)/parts
	if from == to {
		return
	}
	if k == 1 && b.rows(l, op, dst[from*n:to*n], x[from*b.xs[0]:], y[from*b.ys[0]:], to-from) {
		return
	}
	for i := from; i < to; i++ {
		ox, oy := b.offsets(i)
		b.row(l, op, dst[i*n:i*n+n], x[ox:], y[oy:])
	}
}

// rows takes the matrices that a kernel knows; it returns false for others.
func (b *broadcast) rows(l kernel.Level, op kernel.Binary, dst, x, y []float32, rows int) bool {
	n := b.dims[1]
	switch [4]int{b.xs[0], b.xs[1], b.ys[0], b.ys[1]} {
	case [4]int{n, 1, 0, 1}:
		l.BinaryRows(op, dst, x[:rows*n], y[:n])
	case [4]int{0, 1, n, 1}:
		l.RowsBinary(op, dst, x[:n], y[:rows*n])
	case [4]int{n, 1, 1, 0}:
		l.BinaryCols(op, dst, x[:rows*n], y[:rows])
	default:
		return false
	}
	return true
}

// offsets returns where outer index i begins in either operand.
func (b *broadcast) offsets(i int) (x, y int) {
	for k := len(b.dims) - 2; k >= 0; k-- {
		at := i % b.dims[k]
		i /= b.dims[k]
		x, y = x+at*b.xs[k], y+at*b.ys[k]
	}
	return x, y
}

// row computes one inner row.
func (b *broadcast) row(l kernel.Level, op kernel.Binary, dst, x, y []float32) {
	k, n := len(b.dims)-1, len(dst)
	switch {
	case n == 0:
	case b.ys[k] == 0:
		l.BinaryScalar(op, dst, x[:n], y[0])
	case b.xs[k] == 0:
		l.ScalarBinary(op, dst, x[0], y[:n])
	default:
		l.Binary(op, dst, x[:n], y[:n])
	}
}
