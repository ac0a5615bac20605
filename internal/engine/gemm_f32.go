package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lowerGemm emits a float product with a constant matrix.
func lowerGemm(lw *lowerer, n *node) bool {
	s := n.spec.(*gemmSpec)
	x := lw.use(n.in[0], rowMajor)
	w, form := lw.gemmOf(n, s, x)
	x = form.x
	im := image{1, n.in[0].elems(), n.out[0].elems(), n.out[0].elems() / s.n}
	st := &step{node: n, kernel: form.name + " gemm" + s.act.text, macs: int64(n.out[0].elems()) * int64(s.k), in: []*slot{x}}
	var add *slot
	if len(n.in) > 1 {
		add = lw.use(n.in[1], rowMajor)
		st.in = append(st.in, add)
		st.kernel += " after Add"
		if x.dtype == tensor.Float32 {
			st.over = add
		}
	}
	dst := lw.make(n.out[0], rowMajor)
	st.out = []*slot{dst}
	cuts, level := lw.cuts(st, w, nil, im, float64(st.macs)*form.nanos, &s.act), lw.level
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		out := &kernel.OutF32{C: f.f32(dst), Ldc: s.n, Bias: s.bias, Min: s.act.lo, Max: s.act.hi}
		if add != nil {
			out.Add, out.LdAdd = f.f32(add), s.n
		}
		w.multiply(f, x, 0, im.in, s.k, nil, out, cuts[part].Range)
		s.act.finish(level, out.C, s.n, cuts[part].tile(w))
		return nil
	}
	lw.emit(st)
	s.weight = nil
	return true
}
