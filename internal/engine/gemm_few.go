package engine

import (
	"fmt"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lowerFewGemm emits a product with a constant matrix of few bits, which stays in them.
func lowerFewGemm(lw *lowerer, n *node) bool {
	s := n.spec.(*gemmSpec)
	if !s.inFewBits() {
		return false
	}
	if s.eightBits && lw.fewS8(n, s) {
		s.weight, s.few, s.stored = nil, nil, nil
		return true
	}
	p := lw.packF32(n, s)
	if p.w == nil {
		return false
	}
	x := lw.use(n.in[0], rowMajor)
	st := &step{kernel: fmt.Sprintf("f32×%s gemm", p.name), in: []*slot{x}}
	lw.fewStep(n, s, st, p.w, f32Nanos, func(f *frame, out *kernel.OutF32, r kernel.Range) { p.w.Gemm(f.f32(x), s.k, out, r) })
	s.weight, s.few, s.stored = nil, nil, nil
	return true
}

// A fewPack is a packed matrix of few bits, nil where there are no kernels for it, and what it is stored as.
type fewPack[T any] struct {
	name string
	w    T
}

// packF32 packs the matrix for activations in float32.
func (lw *lowerer) packF32(n *node, s *gemmSpec) fewPack[*kernel.PackedBlocksF32] {
	return packed(lw.packs, packKey{n.out[0].name, "gemm few bits"}, s.source(), func() fewPack[*kernel.PackedBlocksF32] {
		few := s.fewBits()
		if few == nil {
			return fewPack[*kernel.PackedBlocksF32]{}
		}
		return fewPack[*kernel.PackedBlocksF32]{few.name(), lw.level.PackBlocksF32(few.floats())}
	})
}

// packS8 packs the matrix for activations of eight bits.
func (lw *lowerer) packS8(n *node, s *gemmSpec) fewPack[*kernel.PackedBlocksS8] {
	return packed(lw.packs, packKey{n.out[0].name, "gemm few bits u8"}, s.source(), func() fewPack[*kernel.PackedBlocksS8] {
		few := s.fewBits()
		if few == nil || few.bits == 0 {
			return fewPack[*kernel.PackedBlocksS8]{}
		}
		return fewPack[*kernel.PackedBlocksS8]{few.name(), lw.level.PackBlocksS8(few.whole(), few.bits)}
	})
}

// fewS8 emits the product by activations of eight bits, which have a scale for each block of a row.
func (lw *lowerer) fewS8(n *node, s *gemmSpec) bool {
	p := lw.packS8(n, s)
	w := p.w
	if w == nil {
		return false
	}
	x := lw.use(n.in[0], rowMajor)
	rows := n.out[0].elems() / s.n
	codes := lw.scratch(tensor.Uint8, rows*w.RowBytes())
	parts := lw.partsFor(float64(rows*s.k)*byteNanos, rows)
	lw.emit(&step{node: n, kernel: "f32 to s8 by blocks", parts: parts, in: []*slot{x}, out: []*slot{codes}, run: func(f *frame, part int) error {
		for i := rows * part / parts; i < rows*(part+1)/parts; i++ {
			w.QuantizeRow(f.u8(codes)[i*w.RowBytes():], f.f32(x)[i*s.k:][:s.k])
		}
		return nil
	}})
	st := &step{kernel: fmt.Sprintf("s8×%s gemm", p.name), in: []*slot{codes}}
	lw.fewStep(n, s, st, w, u8Nanos, func(f *frame, out *kernel.OutF32, r kernel.Range) { w.Gemm(f.u8(codes), out, r) })
	return true
}

// fewStep completes and emits the step of a product in some ranges.
func (lw *lowerer) fewStep(n *node, s *gemmSpec, st *step, w splitter, nanos float64, gemm func(f *frame, out *kernel.OutF32, r kernel.Range)) {
	im := image{1, n.in[0].elems(), n.out[0].elems(), n.out[0].elems() / s.n}
	st.node, st.macs = n, int64(n.out[0].elems())*int64(s.k)
	st.kernel += s.act.text
	var add *slot
	if len(n.in) > 1 {
		add = lw.use(n.in[1], rowMajor)
		st.in = append(st.in, add)
		st.kernel += " after Add"
	}
	dst := lw.make(n.out[0], rowMajor)
	st.out = []*slot{dst}
	cuts, level := lw.cuts(st, w, nil, im, float64(st.macs)*nanos, &s.act), lw.level
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		out := &kernel.OutF32{C: f.f32(dst), Ldc: s.n, Bias: s.bias, Min: s.act.lo, Max: s.act.hi}
		if add != nil {
			out.Add, out.LdAdd = f.f32(add), s.n
		}
		gemm(f, out, cuts[part].Range)
		s.act.finish(level, out.C, s.n, cuts[part].tile(w))
		return nil
	}
	lw.emit(st)
}

// name says what a matrix is stored as.
func (b *fewBits) name() string {
	if b.bits > 0 {
		return fmt.Sprintf("u%d", b.bits)
	}
	return fewNames[b.Kind]
}

var fewNames = map[kernel.CodeKind]string{
	kernel.KindMarks4: "4-bit marks", kernel.KindMarks2: "2-bit marks",
	kernel.KindE4M3: "e4m3", kernel.KindE5M2: "e5m2", kernel.KindF16: "f16",
}
