package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An lpNorm divides by the sum of magnitudes along an axis, or by the root of that of squares.
type lpNorm struct {
	reduceStage
	level kernel.Level
	p     int
	by    fold
}

// Norms between these come from squares that float32 holds; others are computed in float64.
const (
	leastNorm = 1e-15
	mostNorm  = 1e15
)

// lowerLpNorm emits LpNormalization in the layout of its operand.
func lowerLpNorm(lw *lowerer, n *node) bool {
	x, axis, p := n.in[0], n.onnx.Int("axis", -1), n.onnx.Int("p", 2)
	if axis < 0 {
		axis += len(x.shape)
	}
	if !x.is(tensor.Float32) || x.elems() == 0 || axis < 0 || axis >= len(x.shape) || p != 1 && p != 2 {
		return false
	}
	l, _ := lw.natural(x)
	gone := make([]bool, len(x.shape))
	gone[axis] = true
	s := &lpNorm{reduceStages(l, x.shape, gone)[0], lw.level, p, reductions[[]string{"ReduceL1", "ReduceSumSquare"}[p-1]].by.(fold)}
	src, dst, units := lw.use(x, l), lw.make(n.out[0], l), s.outer*s.blocks()
	parts := lw.partsFor(float64(x.elems())*functionNanos, units)
	const each = reduceColumns + reduceRoom
	room := lw.scratch(tensor.Float32, parts*each)
	lw.emit(&step{node: n, kernel: "f32 LpNormalization", parts: parts, in: []*slot{src}, out: []*slot{dst, room}, over: src, run: func(f *frame, part int) error {
		for u := units * part / parts; u < units*(part+1)/parts; u++ {
			_, at := s.columns(u)
			s.divide(f.f32(dst)[at:], f.f32(src)[at:], s.width(u), f.f32(room)[part*each:][:each])
		}
		return nil
	}})
	return true
}

// divide normalises so many columns.
func (s *lpNorm) divide(dst, x []float32, columns int, room []float32) {
	l, norms := s.level, room[:columns]
	if s.inner == 1 {
		s.by.reduceRows(l, norms, x[:s.mid])
	} else {
		s.by.reduceColumns(l, norms, x, s.mid, s.inner, room[reduceColumns:])
	}
	if s.p == 2 {
		l.Unary(kernel.Sqrt, norms, norms)
	}
	for i, v := range norms {
		if !(v > leastNorm && v < mostNorm) {
			norms[i] = s.norm(x[i:])
		}
	}
	switch {
	case s.inner == 1:
		l.BinaryScalar(kernel.Div, dst[:s.mid], x[:s.mid], norms[0])
	case columns == s.inner:
		l.BinaryRows(kernel.Div, dst[:s.mid*s.inner], x[:s.mid*s.inner], norms)
	default:
		for i := range s.mid {
			l.Binary(kernel.Div, dst[i*s.inner:][:columns], x[i*s.inner:][:columns], norms)
		}
	}
}

// norm is that of the column that begins x, found in float64; 1 in place of 0.
func (s *lpNorm) norm(x []float32) float32 {
	sum := 0.0
	for i := range s.mid {
		v := math.Abs(float64(x[i*s.inner]))
		if s.p == 2 {
			v *= v
		}
		sum += v
	}
	if s.p == 2 {
		sum = math.Sqrt(sum)
	}
	if sum == 0 {
		return 1
	}
	return float32(sum)
}
