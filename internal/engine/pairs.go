package engine

import (
	"math"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A pairRun computes one part of a result from two operands that are walked over it; it is false where a divisor is 0.
type pairRun func(l kernel.Level, b *broadcast, dst, x, y *tensor.Tensor, part, parts int) (ok bool)

// A pairOp is an operator on two operands, which swap exchanges.
type pairOp struct {
	name string
	run  pairRun
	swap bool
}

// wholeOps lists operators on two whole numbers.
var wholeOps = map[string]kernel.WholeOp{
	"Add": kernel.WholeAdd, "Sub": kernel.WholeSub, "Mul": kernel.WholeMul, "Div": kernel.WholeDiv, "Min": kernel.WholeMin, "Max": kernel.WholeMax,
	"BitwiseAnd": kernel.WholeAnd, "BitwiseOr": kernel.WholeOr, "BitwiseXor": kernel.WholeXor,
}

// truthOps lists operators on two truths.
var truthOps = map[string]kernel.WholeOp{"And": kernel.Both, "Or": kernel.Either, "Xor": kernel.OneOf}

// A comparison asks for a relation, of its operands in the other order where swap is set.
type comparison struct {
	relation kernel.Relation
	swap     bool
}

var comparisons = map[string]comparison{
	"Equal": {kernel.Equal, false}, "Greater": {kernel.Greater, false}, "GreaterOrEqual": {kernel.AtLeast, false},
	"Less": {kernel.Greater, true}, "LessOrEqual": {kernel.AtLeast, true},
}

// pairOpOf finds the operator that n is on its type of operands.
func pairOpOf(n *node) (o pairOp) {
	d := n.in[0].dtype
	o.name = d.String() + " " + n.kind
	if c, ok := comparisons[n.kind]; ok {
		o.run, o.swap = compareRun(c.relation, d), c.swap
		return o
	}
	if op, ok := truthOps[n.kind]; ok && d == tensor.Bool {
		o.run = wholeRows[uint8](op)
		return o
	}
	op, ok := wholeOps[n.kind]
	switch n.kind {
	case "Mod":
		if n.onnx.Bool("fmod", false) && d == tensor.Float32 {
			o.run = remainderRows
			return o
		}
		op, ok = kernel.WholeMod, true
		if n.onnx.Bool("fmod", false) {
			op = kernel.WholeRem
		}
	case "BitShift":
		op, ok = map[string]kernel.WholeOp{"LEFT": kernel.WholeLeft, "RIGHT": kernel.WholeRight}[n.onnx.Str("direction", "")]
	}
	if ok {
		o.run = wholeRun(op, d)
	}
	return o
}

// wholeRun is nil for types that are not whole numbers of one byte or more.
func wholeRun(op kernel.WholeOp, d tensor.DType) pairRun {
	switch d {
	case tensor.Uint8:
		return wholeRows[uint8](op)
	case tensor.Int8:
		return wholeRows[int8](op)
	case tensor.Uint16:
		return wholeRows[uint16](op)
	case tensor.Int16:
		return wholeRows[int16](op)
	case tensor.Uint32:
		return wholeRows[uint32](op)
	case tensor.Int32:
		return wholeRows[int32](op)
	case tensor.Uint64:
		return wholeRows[uint64](op)
	case tensor.Int64:
		return wholeRows[int64](op)
	}
	return nil
}

func wholeRows[T kernel.WholeNumber](op kernel.WholeOp) pairRun {
	divides := op == kernel.WholeDiv || op == kernel.WholeRem || op == kernel.WholeMod
	return pairRows(func(l kernel.Level, dst, x, y []T) bool {
		if divides && slices.Contains(y, 0) {
			return false
		}
		kernel.Whole(l, op, dst, x, y)
		return true
	})
}

// compareRun is nil for types that kernels do not compare.
func compareRun(r kernel.Relation, d tensor.DType) pairRun {
	switch d {
	case tensor.Uint8, tensor.Bool:
		return compareRows[uint8](r)
	case tensor.Int8:
		return compareRows[int8](r)
	case tensor.Uint16:
		return compareRows[uint16](r)
	case tensor.Int16:
		return compareRows[int16](r)
	case tensor.Uint32:
		return compareRows[uint32](r)
	case tensor.Int32:
		return compareRows[int32](r)
	case tensor.Uint64:
		return compareRows[uint64](r)
	case tensor.Int64:
		return compareRows[int64](r)
	case tensor.Float32:
		return compareRows[float32](r)
	case tensor.Float64:
		return compareRows[float64](r)
	}
	return nil
}

func compareRows[T kernel.Number](r kernel.Relation) pairRun {
	return pairRows(func(l kernel.Level, dst []uint8, x, y []T) bool {
		kernel.Compare(l, r, dst, x, y)
		return true
	})
}

// remainderRows computes remainders of quotients that are taken toward zero.
var remainderRows = pairRows(func(_ kernel.Level, dst, x, y []float32) bool {
	sx, sy := min(1, len(x)-1), min(1, len(y)-1)
	for i := range dst {
		dst[i] = remainder(x[i*sx], y[i*sy])
	}
	return true
})

// remainder is that of math.Mod. Quotients below 2²⁴ are off the next whole number by more than float64 rounds, and their
// products with y fit in it.
func remainder(x, y float32) float32 {
	q := float64(x) / float64(y)
	if !(math.Abs(q) < 1<<24) || math.Abs(float64(y)) > math.MaxFloat32 {
		return float32(math.Mod(float64(x), float64(y)))
	}
	r := float32(float64(x) - float64(float64(int64(q))*float64(y)))
	return float32(math.Copysign(float64(r), float64(x)))
}

// lowerPairs emits an operator on two operands with ONNX's broadcasting.
func lowerPairs(lw *lowerer, n *node) bool {
	if n.formal != 2 || n.in[0] == nil || n.in[1] == nil {
		return false
	}
	u, v, y := n.in[0], n.in[1], n.out[0]
	o := pairOpOf(n)
	if o.run == nil || u.dtype != v.dtype || y.elems() == 0 || !broadcasts(u.shape, y.shape) || !broadcasts(v.shape, y.shape) {
		return false
	}
	if _, ok := comparisons[n.kind]; y.dtype != u.dtype && !(ok && y.dtype == tensor.Bool) {
		return false
	}
	if o.swap {
		u, v = v, u
	}
	l, rank := lw.followBroadcast(y, u, v), len(y.shape)
	a, b := lw.useIn(u, l, rank), lw.useIn(v, l, rank)
	dst := lw.make(y, l)
	bc := broadcastOf(l.physical(y.shape), l.physical(padShape(u.shape, rank)), l.physical(padShape(v.shape, rank)))
	level, parts := lw.level, lw.partsFor(float64(y.elems())*functionNanos, bc.shares())
	lw.emit(&step{node: n, kernel: o.name, parts: parts, in: []*slot{a, b}, out: []*slot{dst}, run: func(f *frame, part int) error {
		if !o.run(level, bc, f.vals[dst.id], f.vals[a.id], f.vals[b.id], part, parts) {
			return fault.Invalidf(n.onnx.Label(), "integer division by zero")
		}
		return nil
	}})
	return true
}

// outer is the number of rows.
func (b *broadcast) outer() int { return tensor.Elements(b.dims[:len(b.dims)-1]) }

// shares is into how many parts a result can be cut: rows, or cache lines of a single one.
func (b *broadcast) shares() int {
	if n := b.outer(); n > 1 {
		return n
	}
	return b.inner() / 64
}

const (
	shortPairs = 128  // elements, of which several are computed together
	longPairs  = 1024 // elements that short rows are gathered to
)

// pairRows computes rows; an operand of one element stands for all of a row. Short rows are gathered to long ones.
func pairRows[D, T tensor.Element](run func(l kernel.Level, dst []D, x, y []T) bool) pairRun {
	return func(l kernel.Level, b *broadcast, dst, x, y *tensor.Tensor, part, parts int) bool {
		d, u, v := tensor.Of[D](dst), tensor.Of[T](x), tensor.Of[T](y)
		k, n, outer := len(b.dims)-1, b.inner(), b.outer()
		if outer == 1 {
			from, to := span(n, part, parts)
			return from == to || run(l, d[from:to], rowFrom(u, from*b.xs[k], b.xs[k], to-from), rowFrom(v, from*b.ys[k], b.ys[k], to-from))
		}
		from, to := outer*part/parts, outer*(part+1)/parts
		if n < shortPairs {
			return shortRows(l, b, d, u, v, from, to, run)
		}
		for i := from; i < to; i++ {
			ox, oy := b.offsets(i)
			if !run(l, d[i*n:][:n], rowFrom(u, ox, b.xs[k], n), rowFrom(v, oy, b.ys[k], n)) {
				return false
			}
		}
		return true
	}
}

// rowFrom is n elements of x, or the one that a stride of 0 repeats.
func rowFrom[T any](x []T, at, stride, n int) []T {
	if stride == 0 {
		return x[at : at+1]
	}
	return x[at : at+n]
}

// shortRows computes the rows from to to-1, as many at a time as together make a long one.
func shortRows[D, T tensor.Element](l kernel.Level, b *broadcast, dst []D, x, y []T, from, to int, run func(l kernel.Level, dst []D, x, y []T) bool) bool {
	n := b.inner()
	most := max(1, longPairs/n)
	gx, gy := gatherer[T]{x: x, strides: b.xs, dims: b.dims}, gatherer[T]{x: y, strides: b.ys, dims: b.dims}
	for ; from < to; from += most {
		rows := min(most, to-from)
		if !run(l, dst[from*n:][:rows*n], gx.rows(from, rows), gy.rows(from, rows)) {
			return false
		}
	}
	return true
}

// A gatherer lays the rows of an operand side by side.
type gatherer[T any] struct {
	x, room       []T
	strides, dims []int
}

// rows returns some rows from row i on: of what lies side by side already, no copy.
func (g *gatherer[T]) rows(i, rows int) []T {
	k := len(g.dims) - 1
	n := g.dims[k]
	dense, still := g.strides[k] == 1, true
	for j, p := k-1, n; j >= 0; j-- {
		dense = dense && g.strides[j] == p
		still = still && g.strides[j] == 0
		p *= g.dims[j]
	}
	switch {
	case dense:
		return g.x[i*n:][:rows*n]
	case still && g.strides[k] == 0:
		return g.x[:1]
	case still && g.room != nil:
		return g.room[:rows*n]
	case g.room == nil:
		g.room = make([]T, rows*n+beyond)
	}
	for r := range rows {
		at, rest := 0, i+r
		for j := k - 1; j > 0; j-- {
			at += rest % g.dims[j] * g.strides[j]
			rest /= g.dims[j]
		}
		at += rest * g.strides[0]
		if g.strides[k] == 1 {
			copy(g.room[r*n:][:n], g.x[at:])
			continue
		}
		fillBeyond(g.room[r*n:], g.x[at], n)
	}
	return g.room[:rows*n]
}

// beyond is how many elements fillBeyond may write behind a row.
const beyond = 8

// fillBeyond repeats v n times, eight at a time.
func fillBeyond[T any](dst []T, v T, n int) {
	eight := [8]T{v, v, v, v, v, v, v, v}
	for ; n > 0; n -= 8 {
		*(*[8]T)(dst) = eight
		dst = dst[8:]
	}
}
