package engine

import (
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
	for _, n := range append([]*node(nil), g.nodes...) {
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
	run, runRows := lw.level.QAddU8, lw.level.QAddRowsU8
	if s.op == "Mul" {
		run, runRows = lw.level.QMulU8, lw.level.QMulRowsU8
	}
	if rows {
		row = n.in[1].elems()
	}
	lines := (size + row - 1) / row
	parts := lw.partsFor(float64(size)*byteNanos*2, lines)
	lw.emit(&step{node: n, kernel: "u8 " + s.op, parts: parts, in: []*slot{x, y}, out: []*slot{dst}, run: func(f *frame, part int) error {
		from, to := lines*part/parts*row, min(size, lines*(part+1)/parts*row)
		if rows {
			runRows(&s.q, f.u8(dst)[from:to], f.u8(x)[from:to], f.u8(y))
		} else {
			run(&s.q, f.u8(dst)[from:to], f.u8(x)[from:to], f.u8(y)[from:to])
		}
		return nil
	}})
	return true
}
