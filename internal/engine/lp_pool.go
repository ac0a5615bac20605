package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// mostPower is the largest p whose powers are products.
const mostPower = 8

// An lpPower is |x|^p, and its inverse.
type lpPower struct {
	level kernel.Level
	p     int
}

// lowerLpPool emits LpPool as a sum of powers.
func lowerLpPool(lw *lowerer, n *node) bool {
	x, y, power := n.in[0], n.out[0], lpPower{lw.level, n.onnx.Int("p", 2)}
	if !x.is(tensor.Float32) || power.p < 1 || power.p > mostPower {
		return false
	}
	spec, ok := poolOf(n)
	if !ok {
		return false
	}
	pool, im := spec.dense(), imageOf(x, y)
	pool.Divisors = make([]float32, im.rows)
	for i := range pool.Divisors {
		pool.Divisors[i] = 1
	}
	src, powers, size := lw.use(x, channelsLast), lw.scratch(tensor.Float32, x.elems()), x.elems()
	parts := lw.partsFor(float64(size)*functionNanos, size/64)
	lw.emit(&step{node: n, kernel: "f32 powers", parts: parts, in: []*slot{src}, out: []*slot{powers}, run: func(f *frame, part int) error {
		a, b := span(size, part, parts)
		power.raise(f.f32(powers)[a:b], f.f32(src)[a:b])
		return nil
	}})
	dst := lw.make(y, channelsLast)
	cuts := lw.rowCuts(im, 1, float64(y.elems()*pool.Taps.Taps)*poolNanos, nil)
	lw.emit(&step{node: n, kernel: "f32 LpPool", parts: len(cuts), in: []*slot{powers}, out: []*slot{dst}, run: func(f *frame, part int) error {
		c := cuts[part]
		to := imageAt(f.f32(dst), im.out, c.image, 0)
		power.level.AvgPoolF32(pool, to, imageAt(f.f32(powers), im.in, c.image, 0), c.M0, c.M1)
		power.root(to[c.M0*pool.C : c.M1*pool.C])
		return nil
	}})
	return true
}

// lowerGlobalLpPool emits GlobalLpPool as a reduction of all pixels.
func lowerGlobalLpPool(lw *lowerer, n *node) bool {
	x, by := n.in[0], map[int]string{1: "ReduceL1", 2: "ReduceL2"}[n.onnx.Int("p", 2)]
	if by == "" || !x.is(tensor.Float32) || x.elems() == 0 || len(x.shape) < 3 {
		return false
	}
	gone := make([]bool, len(x.shape))
	for i := range gone[2:] {
		gone[2+i] = true
	}
	lw.reduceF32(n, reductions[by], gone)
	return true
}

// raise sets dst to |x|^p.
func (w lpPower) raise(dst, x []float32) {
	l := w.level
	if w.p%2 == 0 {
		l.Unary(kernel.Square, dst, x)
	} else {
		l.Unary(kernel.Abs, dst, x)
	}
	for k := 2 - w.p%2; k < w.p; k += 2 {
		l.Binary(kernel.Mul, dst, dst, x)
		l.Binary(kernel.Mul, dst, dst, x)
	}
}

// root takes the p-th root of x.
func (w lpPower) root(x []float32) {
	l := w.level
	switch w.p {
	case 1:
	case 2:
		l.Unary(kernel.Sqrt, x, x)
	default:
		l.Unary(kernel.Log, x, x)
		l.BinaryScalar(kernel.Mul, x, x, 1/float32(w.p))
		l.Unary(kernel.Exp, x, x)
	}
}
