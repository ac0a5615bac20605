package engine

// findFunctions turns the elementwise functions of one float into "function" nodes.
func findFunctions(g *net) {
	for _, n := range g.nodes {
		if f, ok := functionOf(n); ok && n.static() {
			n.become("function", f, n.in[0])
		}
	}
}

// functionNanos is the time of one element of an elementwise float function, roughly.
const functionNanos = 0.5

// lowerFunction emits an elementwise function, in the layout of its operand.
func lowerFunction(lw *lowerer, n *node) bool {
	fn := n.spec.(function)
	l, _ := lw.natural(n.in[0])
	x := lw.use(n.in[0], l)
	dst := lw.make(n.out[0], l)
	level, size := lw.level, n.out[0].elems()
	parts := lw.partsFor(float64(size)*functionNanos, size/64)
	lw.emit(&step{node: n, kernel: fn.op.String(), parts: parts, in: []*slot{x}, out: []*slot{dst}, over: x, run: func(f *frame, part int) error {
		a, b := span(size, part, parts)
		fn.apply(level, f.f32(dst)[a:b], f.f32(x)[a:b])
		return nil
	}})
	return true
}

// span returns the part of n elements that a part of several takes, cut at whole cache lines.
func span(n, part, parts int) (from, to int) {
	lines := (n + 63) / 64
	return min(n, lines*part/parts*64), min(n, lines*(part+1)/parts*64)
}
