package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// bf16Nanos is the time of one bfloat16 multiply-add, roughly.
const bf16Nanos = 0.0012

// The least sums and columns for which tiles are worth the way of their operands to bfloat16.
const (
	bf16Sum     = 32
	bf16Columns = 16
)

// bf16Weight returns the bits of weight w where n is to multiply as bfloat16: where the file's operands
// are of that type, the level has tiles for it, and w, which passes may have scaled, still holds such numbers.
func (lw *lowerer) bf16Weight(n *node, w *tensor.Tensor, sum, columns int) ([]uint16, bool) {
	if !lw.mayTile(n, sum, columns) {
		return nil, false
	}
	bits := make([]uint16, w.Len())
	for i, v := range tensor.Of[float32](w) {
		b := math.Float32bits(v)
		if b&0xffff != 0 || b&0x7f800000 == 0 && b<<1 != 0 {
			return nil, false
		}
		bits[i] = uint16(b >> 16)
	}
	return bits, true
}

// mayTile says whether tiles multiply the bfloat16 numbers of n, if its weight holds such.
func (lw *lowerer) mayTile(n *node, sum, columns int) bool {
	return lw.net.bf16[n.onnx] && lw.level.TilesBF16() && sum >= bf16Sum && columns >= bf16Columns
}

// narrowed emits the step that rounds a slot of floats to bfloat16.
func (lw *lowerer) narrowed(n *node, x *slot) *slot {
	size, level := tensor.Elements(x.shape), lw.level
	y := lw.scratch(tensor.BFloat16, size)
	parts := lw.partsFor(float64(size)*byteNanos, size/64)
	lw.emit(&step{node: n, kernel: "f32 to bfloat16", parts: parts, in: []*slot{x}, out: []*slot{y}, run: func(f *frame, part int) error {
		from, to := span(size, part, parts)
		level.EncodeBF16(f.bf16(y)[from:to], f.f32(x)[from:to])
		return nil
	}})
	return y
}

func (f *frame) bf16(s *slot) []uint16 { return tensor.Of[uint16](f.vals[s.id]) }

// A floatProduct is a packed weight and the type of its left side.
type floatProduct interface {
	splitter
	N() int
	// multiply takes n elements of x from at on, as a matrix of some pitch, or through ix.
	multiply(f *frame, x *slot, at, n, pitch int, ix *kernel.Indirect, out *kernel.OutF32, r kernel.Range)
}

type (
	f32Product  struct{ *kernel.PackedF32 }
	bf16Product struct{ *kernel.PackedBF16 }
)

func (p f32Product) multiply(f *frame, x *slot, at, n, pitch int, ix *kernel.Indirect, out *kernel.OutF32, r kernel.Range) {
	in := f.f32(x)[at:][:n]
	if ix == nil {
		p.Gemm(in, pitch, out, r)
		return
	}
	p.Conv(in, ix, out, r)
}

func (p bf16Product) multiply(f *frame, x *slot, at, n, pitch int, ix *kernel.Indirect, out *kernel.OutF32, r kernel.Range) {
	in := f.bf16(x)[at:][:n]
	if ix == nil {
		p.Gemm(in, pitch, out, r)
		return
	}
	p.Conv(in, ix, out, r)
}

// A productForm says in which type a float product computes.
type productForm struct {
	name  string
	nanos float64 // of a multiply-add
	x     *slot   // the left side, in that type
}

// gemmOf packs the weight of a product whose left side is x.
func (lw *lowerer) gemmOf(n *node, s *gemmSpec, x *slot) (floatProduct, productForm) {
	if lw.mayTile(n, s.k, s.n) {
		s.dense()
	}
	if bits, ok := lw.bf16Weight(n, s.weight, s.k, s.n); ok {
		w := packed(lw.packs, packKey{n.out[0].name, "gemm bf16"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedBF16 {
			return lw.level.PackBF16(bits, s.n, s.k, 1, s.order)
		})
		return bf16Product{w}, productForm{"bf16", bf16Nanos, lw.narrowed(n, x)}
	}
	return f32Product{lw.packGemm(n, s)}, productForm{"f32", f32Nanos, x}
}

// packGemm packs the weight of a product for float32.
func (lw *lowerer) packGemm(n *node, s *gemmSpec) *kernel.PackedF32 {
	return packed(lw.packs, packKey{n.out[0].name, "gemm f32"}, s.source(), func() *kernel.PackedF32 {
		if s.weight == nil && s.stored.halves != nil {
			return lw.packHalves(s)
		}
		s.dense()
		return lw.level.PackF32(tensor.Of[float32](s.weight), s.n, s.k, 1, s.order)
	})
}

// packHalves packs a weight that is stored in 16-bit floats, without all of it in float32 besides.
func (lw *lowerer) packHalves(s *gemmSpec) *kernel.PackedF32 {
	t, o := s.stored.halves, s.order
	switch {
	case s.stored.turned && o.N == 1:
		o = kernel.Order{N: s.k, K: 1}
	case s.stored.turned:
		o = kernel.Order{N: 1, K: s.n}
	}
	bits := tensor.Of[uint16](t)
	return lw.level.PackReadF32(s.n, s.k, o, func(dst []float32, i int) { decodeHalf(lw.level, t.DType, dst, bits[i:][:len(dst)]) })
}

// groupsOf packs the weight of each group of a convolution whose image is x.
func (lw *lowerer) groupsOf(n *node, s *convSpec, x *slot) ([]floatProduct, productForm) {
	taps, og := s.taps(), s.o/s.group
	order, each := kernel.Order{N: s.cg * taps, Tap: 1, K: taps}, og*s.cg*taps
	ws := make([]floatProduct, s.group)
	if bits, ok := lw.bf16Weight(n, s.weight, s.cg*taps, og); ok {
		for g, w := range packed(lw.packs, packKey{n.out[0].name, "conv bf16"}, []*tensor.Tensor{s.weight}, func() []*kernel.PackedBF16 {
			return packGroups(s.group, func(g int) *kernel.PackedBF16 { return lw.level.PackBF16(bits[g*each:], og, s.cg, taps, order) })
		}) {
			ws[g] = bf16Product{w}
		}
		return ws, productForm{"bf16", bf16Nanos, lw.narrowed(n, x)}
	}
	for g, w := range lw.packConv(n, s) {
		ws[g] = f32Product{w}
	}
	return ws, productForm{"f32", f32Nanos, x}
}

// packConv packs the weight of each group of a convolution for float32.
func (lw *lowerer) packConv(n *node, s *convSpec) []*kernel.PackedF32 {
	taps, og := s.taps(), s.o/s.group
	return packed(lw.packs, packKey{n.out[0].name, "conv f32"}, []*tensor.Tensor{s.weight}, func() []*kernel.PackedF32 {
		w := tensor.Of[float32](s.weight)
		return packGroups(s.group, func(g int) *kernel.PackedF32 {
			return lw.level.PackF32(w[g*og*s.cg*taps:], og, s.cg, taps, kernel.Order{N: s.cg * taps, Tap: 1, K: taps})
		})
	})
}

func packGroups[T any](n int, pack func(g int) T) []T {
	ws := make([]T, n)
	for g := range ws {
		ws[g] = pack(g)
	}
	return ws
}
