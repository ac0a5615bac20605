package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lowerGemm emits a float product with a constant matrix.
func lowerGemm(lw *lowerer, n *node) bool {
	s := n.spec.(*gemmSpec)
	x := lw.use(n.in[0], rowMajor)
	w := packed(lw.packs, packKey{n.out[0].name, "gemm f32"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedF32 {
		return lw.level.PackF32(tensor.Of[float32](s.weight), s.n, s.k, 1, s.order)
	})
	im := image{1, n.in[0].elems(), n.out[0].elems(), n.out[0].elems() / s.n}
	st := &step{node: n, kernel: "f32 gemm" + s.act.text, macs: int64(n.out[0].elems()) * int64(s.k), in: []*slot{x}}
	var add *slot
	if len(n.in) > 1 {
		add = lw.use(n.in[1], rowMajor)
		st.in = append(st.in, add)
		st.kernel += " after Add"
	}
	dst := lw.make(n.out[0], rowMajor)
	cuts, level := lw.cuts(w, im, float64(st.macs)*f32Nanos, &s.act), lw.level
	st.out, st.parts = []*slot{dst}, len(cuts)
	st.run = func(f *frame, part int) error {
		out := &kernel.OutF32{C: f.f32(dst), Ldc: s.n, Bias: s.bias, Min: s.act.lo, Max: s.act.hi}
		if add != nil {
			out.Add, out.LdAdd = f.f32(add), s.n
		}
		w.Gemm(f.f32(x), s.k, out, cuts[part].Range)
		s.act.finish(level, out.C, s.n, cuts[part].tile(w))
		return nil
	}
	lw.emit(st)
	s.weight = nil
	return true
}
