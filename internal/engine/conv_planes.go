package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// mostPlanesOut is the number of output channels up to which vectors of neighbouring pixels may pay, where those of
// channels are half empty.
const mostPlanesOut = 8

// leastPlanesPixels is the number of output pixels from which vectors of them are full often enough.
const leastPlanesPixels = 256

// mostPlanes bounds the elements of the planes, which are one more copy of the image, or two.
const mostPlanes = 1 << 25

// Nanoseconds of an element, roughly, that is moved to another order, and that is written to a plane.
const (
	relayoutNanos = 0.3
	splitNanos    = 0.15
)

// planes says whether a convolution is faster over planes, its image in the order in which it lies and its result in
// row-major order. What it computes does not depend on the level or the threads.
func (lw *lowerer) planes(n *node, s *convSpec) bool {
	x, y := n.in[0], n.out[0]
	if s.deep != nil || s.group != 1 || s.o > mostPlanesOut || s.win.OH*s.win.OW < leastPlanesPixels || len(n.in) > 1 || s.act.slope != nil || lw.net.bf16[n.onnx] {
		return false
	}
	macs := float64(s.macs(y)) * f32Nanos
	dense := macs * 16 / float64(s.o) * 1.3
	planes := macs*1.3 + float64(x.elems())*splitNanos
	if s.o == 1 {
		planes += macs // each number is read for one product only
	}
	if l, ok := lw.natural(x); ok && l == channelsLast {
		planes += float64(x.elems()) * relayoutNanos
	}
	if !neutral(y.shape) {
		planes += float64(y.elems()) * relayoutNanos
	}
	return planes < dense && x.elems() <= mostPlanes
}

// planesF32 splits the image into planes and convolves these.
func (lw *lowerer) planesF32(n *node, s *convSpec) {
	w := packed(lw.packs, packKey{n.out[0].name, "planes f32"}, []*tensor.Tensor{s.weight}, func() *kernel.PlanesF32 {
		return lw.level.PackPlanesF32(tensor.Of[float32](s.weight), s.o, s.cg, s.win)
	})
	batch, in, out := n.in[0].shape[0], s.cg*s.win.H*s.win.W, s.win.OH*s.win.OW
	x, planes, size := lw.use(n.in[0], rowMajor), lw.scratch(tensor.Float32, batch*w.Len()), w.Len()
	planes.name = "planes of " + n.in[0].name
	parts := lw.partsFor(float64(size)*splitNanos, w.Planes())
	split := &step{node: n, kernel: "split into planes", parts: batch * parts, in: []*slot{x}, out: []*slot{planes}}
	split.run = func(f *frame, part int) error {
		i, p := part/parts, part%parts
		w.Split(f.f32(planes)[i*size:][:size], f.f32(x)[i*in:][:in], w.Planes()*p/parts, w.Planes()*(p+1)/parts)
		return nil
	}
	lw.emit(split)

	y, level := lw.make(n.out[0], rowMajor), lw.level
	st := &step{node: n, kernel: "f32 conv by planes " + sizeText(s.win) + s.act.text, macs: s.macs(n.out[0]), in: []*slot{planes}, out: []*slot{y}}
	strips := lw.partsFor(float64(st.macs)*f32Nanos, s.win.OH)
	st.parts = batch * strips
	st.run = func(f *frame, part int) error {
		i, p := part/strips, part%strips
		from, to := s.win.OH*p/strips, s.win.OH*(p+1)/strips
		o := &kernel.OutPlanes{C: f.f32(y)[i*s.o*out:][:s.o*out], Ldc: out, Bias: s.bias, Min: s.act.lo, Max: s.act.hi}
		w.Conv(f.f32(planes)[i*size:][:size], o, from, to)
		s.act.finish(level, o.C, out, tile{0, s.o, from * s.win.OW, to * s.win.OW})
		return nil
	}
	lw.emit(st)
}
