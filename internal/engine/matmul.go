package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A matMul says how a "matmul" node reads its two operands, and writes its result: with their axes
// permuted. The columns of the left one and of the result stay last.
type matMul struct {
	left, right []int
	shape       []int // of the result before its axes change places
	to          []int // where each of them goes; nil: they stay
}

// findMatMuls turns the float products of two computed matrices into "matmul" nodes, which read
// through transpositions.
func findMatMuls(g *net) {
	for _, n := range g.nodes {
		if n.kind != "MatMul" || !n.static() || !n.in[0].is(tensor.Float32) || n.out[0].elems() == 0 {
			continue
		}
		a, b := n.in[0], n.in[1]
		if len(a.shape) < 2 || len(b.shape) < 2 || a.elems() == 0 {
			continue
		}
		s := &matMul{left: identity(len(a.shape)), right: identity(len(b.shape))}
		if x, perm, ok := throughTranspose(a); ok && perm[len(perm)-1] == len(perm)-1 {
			a, s.left = x, perm
		}
		if x, perm, ok := throughTranspose(b); ok {
			b, s.right = x, perm
		}
		s.shape = n.out[0].shape
		at := n
		if t := transposeBehind(n.out[0]); t != nil {
			at, s.to = t, permOf(t)
			at.onnx, at.version = n.onnx, n.version
		}
		at.become("matmul", s, a, b)
	}
	g.sweep()
}

func identity(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// throughTranspose returns what v is a transposition of.
func throughTranspose(v *value) (*value, []int, bool) {
	if v.def == nil || v.def.kind != "Transpose" || v.pinned || v.konst != nil || v.def.in[0].konst != nil {
		return nil, nil, false
	}
	return v.def.in[0], permOf(v.def), true
}

// transposeBehind returns the node that alone reads v and moves all axes but the last, if there is one.
func transposeBehind(v *value) *node {
	t := v.single()
	if t == nil || t.kind != "Transpose" {
		return nil
	}
	if perm := permOf(t); perm[len(perm)-1] != len(perm)-1 {
		return nil
	}
	return t
}

// A stack is a number of matrices in memory: where each begins, and the strides of its rows and columns.
type stack struct {
	at       []int
	row, col int
}

// stackOf lays out the matrices of a tensor of some shape whose axes are read in the order of perm, for
// batch dimensions out.
func stackOf(shape, perm, out []int) stack {
	dense := denseStrides(shape)
	rank := len(perm)
	dims, strides := make([]int, rank), make([]int, rank)
	for i, p := range perm {
		dims[i], strides[i] = shape[p], dense[p]
	}
	s := stack{row: strides[rank-2], col: strides[rank-1]}
	for i := range tensor.Elements(out) {
		at := 0
		for k, r := len(out)-1, i; k >= 0; k-- {
			idx := r % out[k]
			r /= out[k]
			if d := k - len(out) + rank - 2; d >= 0 && dims[d] > 1 {
				at += idx * strides[d]
			}
		}
		s.at = append(s.at, at)
	}
	return s
}

// lowerMatMul emits the products of two stacks of matrices. The right ones are packed in each run.
func lowerMatMul(lw *lowerer, n *node) bool {
	s, y := n.spec.(*matMul), n.out[0]
	a, b := lw.use(n.in[0], rowMajor), lw.use(n.in[1], rowMajor)
	rank := len(s.shape)
	batch, m, cols := s.shape[:rank-2], s.shape[rank-2], s.shape[rank-1]
	to := s.results(y.shape)
	k := a.shape[len(a.shape)-1]
	left, right := stackOf(a.shape, s.left, batch), stackOf(b.shape, s.right, batch)
	places := slices.Compact(slices.Sorted(slices.Values(right.at)))
	which := make([]int, len(right.at))
	for i, at := range right.at {
		which[i], _ = slices.BinarySearch(places, at)
	}
	packs := lw.newPacks(len(places))
	level, order := lw.level, kernel.Order{N: right.col, K: right.row}
	lw.emit(&step{node: n, kernel: "pack f32", parts: len(places), in: []*slot{b}, run: func(f *frame, i int) error {
		if w, ok := f.packs[packs+i].(*kernel.PackedF32); ok {
			w.Repack(f.f32(b)[places[i]:], order)
		} else {
			f.packs[packs+i] = level.PackF32(f.f32(b)[places[i]:], cols, k, 1, order)
		}
		return nil
	}})
	dst := lw.make(y, rowMajor)
	macs := int64(y.elems()) * int64(k)
	cuts := lw.rowCuts(image{len(left.at), 0, 0, m}, 1, float64(macs)*f32Nanos, nil)
	lw.emit(&step{node: n, kernel: "f32 matmul", macs: macs, parts: len(cuts), in: []*slot{a, b}, out: []*slot{dst}, run: func(f *frame, part int) error {
		c := cuts[part]
		w := f.packs[packs+which[c.image]].(*kernel.PackedF32)
		out := &kernel.OutF32{C: f.f32(dst)[to.at[c.image]:], Ldc: to.row}
		w.Gemm(f.f32(a)[left.at[c.image]:], left.row, out, kernel.Range{M0: c.M0, M1: c.M1, P1: w.Panels()})
		return nil
	}})
	return true
}

// results lays out the matrices of the result, whose shape in memory is y.
func (s *matMul) results(y []int) stack {
	rank := len(s.shape)
	back := identity(rank)
	for i, p := range s.to {
		back[p] = i
	}
	return stackOf(y, back, s.shape[:rank-2])
}

// newPacks reserves places for weights that are packed in each run.
func (lw *lowerer) newPacks(n int) int {
	lw.packed += n
	return lw.packed - n
}
