package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// reductions lists the reductions of floats that kernels compute.
var reductions = map[string]reduction{
	"ReduceMean": {rows: kernel.ReduceSum, pair: kernel.Add, mean: true},
	"ReduceSum":  {rows: kernel.ReduceSum, pair: kernel.Add},
	"ReduceMax":  {rows: kernel.ReduceMax, pair: kernel.Max},
	"ReduceMin":  {rows: kernel.ReduceMin, pair: kernel.Min},

	"ReduceL2":        {rows: kernel.ReduceSum, pair: kernel.Add, squares: true, root: true},
	"ReduceSumSquare": {rows: kernel.ReduceSum, pair: kernel.Add, squares: true},
}

type reduction struct {
	rows kernel.Reduce // along contiguous elements
	pair kernel.Binary // of two rows
	mean bool

	squares, root bool // of what is reduced, of what that gives
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
	out, room := []*slot{dst}, src
	if r.squares {
		room = lw.scratch(tensor.Float32, outer*mid*inner)
		out = append(out, room)
	}
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{src}, out: out, run: func(f *frame, part int) error {
		a, b := outer*part/parts, outer*(part+1)/parts
		y, x := f.f32(dst)[a*inner:b*inner], f.f32(src)[a*mid*inner:b*mid*inner]
		if r.squares {
			squares := f.f32(room)[a*mid*inner : b*mid*inner]
			level.Unary(kernel.Square, squares, x)
			x = squares
		}
		r.run(level, y, x, mid, inner)
		if r.root {
			level.Unary(kernel.Sqrt, y, y)
		}
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
