package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An intBinary says what an "int binary" node computes on the codes of two tensors.
type intBinary struct {
	op string // "Add" or "Mul"
	q  kernel.QBinary
}

// intBinaries turns Add and Mul of dequantized tensors that are quantized again into operations on codes.
func intBinaries(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind != "Add" && n.kind != "Mul" || !n.static() || n.out[0].elems() == 0 {
			continue
		}
		x, a, okX := g.codesOf(n.in[0])
		y, b, okY := g.codesOf(n.in[1])
		l, ok := landingOf(n.out[0])
		if !okX || !okY || !ok {
			continue
		}
		if !sameShape(x.shape, n.out[0].shape) {
			x, a, y, b = y, b, x, a
		}
		if !sameShape(x.shape, n.out[0].shape) || !sameShape(y.shape, x.shape) && !oneRow(y.shape, x.shape) || x.konst != nil {
			continue
		}
		s := &intBinary{n.kind, kernel.QBinary{
			XScale: a.scale, YScale: b.scale, OutScale: l.to.scale, XZero: a.zero, YZero: b.zero, OutZero: l.to.zero, Lo: l.lo, Hi: l.hi,
		}}
		l.node.onnx, l.node.version = n.onnx, n.version
		l.node.become("int binary", s, x, y)
	}
	g.sweep()
}

// oneRow says whether y holds one number for each channel of a single image x.
func oneRow(y, x []int) bool {
	return len(x) >= 3 && len(y) == len(x) && x[0] == 1 && y[0] == 1 && y[1] == x[1] && tensor.Elements(y[2:]) == 1
}

func lowerIntBinary(lw *lowerer, n *node) bool {
	s := n.spec.(*intBinary)
	rows := !sameShape(n.in[1].shape, n.in[0].shape)
	l := lw.follow(n.in...)
	if rows {
		l = channelsLast
	}
	x, y := lw.use(n.in[0], l), lw.use(n.in[1], l)
	dst := lw.make(n.out[0], l)
	size, row := n.out[0].elems(), 64
	if rows {
		row = n.in[1].elems()
	}
	k := s.kernel(lw.level)
	lines := (size + row - 1) / row
	parts := lw.partsFor(float64(size)*k.nanos, lines)
	st := &step{node: n, kernel: "u8 " + k.name, parts: parts, in: []*slot{x, y}, out: []*slot{dst}, over: x}
	st.run = func(f *frame, part int) error {
		from, to := lines*part/parts*row, min(size, lines*(part+1)/parts*row)
		if rows {
			k.rows(f.u8(dst)[from:to], f.u8(x)[from:to], f.u8(y))
		} else {
			k.run(f.u8(dst)[from:to], f.u8(x)[from:to], f.u8(y)[from:to])
		}
		return nil
	}
	lw.emit(st)
	return true
}

// A codeKernel computes a function of the codes of two tensors, the second of which is a row in rows.
type codeKernel struct {
	name      string
	nanos     float64 // of an element, roughly
	run, rows func(dst, x, y []uint8)
}

// kernel chooses the fastest that gives the codes.
func (s *intBinary) kernel(l kernel.Level) codeKernel {
	if s.op == "Mul" {
		return codeKernel{"Mul", 2 * byteNanos, bound(&s.q, l.QMulU8), bound(&s.q, l.QMulRowsU8)}
	}
	if sum, ok := l.Sum(&s.q); ok {
		return codeKernel{"Add in 16 bits", byteNanos, bound(sum, l.QSumU8), bound(sum, l.QSumRowsU8)}
	}
	if sum, ok := l.Fused(&s.q); ok {
		return codeKernel{"Add by FMA", byteNanos, bound(sum, l.QFusedU8), bound(sum, l.QFusedRowsU8)}
	}
	return codeKernel{"Add", 2 * byteNanos, bound(&s.q, l.QAddU8), bound(&s.q, l.QAddRowsU8)}
}

func bound[Q any](q *Q, run func(q *Q, dst, x, y []uint8)) func(dst, x, y []uint8) {
	return func(dst, x, y []uint8) { run(q, dst, x, y) }
}
