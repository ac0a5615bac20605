package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// mostPlanesOut is the number of output channels up to which vectors of neighbouring pixels may pay, where those of
// channels are half empty; mostPlanesOutU8 is that of codes, whose dense products make less of the others.
const (
	mostPlanesOut   = 8
	mostPlanesOutU8 = 12
)

// leastPlanesPixels is the number of output pixels from which vectors of them are full often enough.
const leastPlanesPixels = 256

// mostPlanes bounds the elements of the image, of which planes are one more copy, or two; mostPlaneElems those of the planes.
const (
	mostPlanes     = 1 << 25
	mostPlaneElems = 1 << 27
)

// Nanoseconds of an element, roughly, that is moved to another order, and that is written to a plane: of codes one by one or
// in fours.
const (
	relayoutNanos  = 0.3
	splitNanos     = 0.15
	splitU8Nanos   = 0.3
	splitQuadNanos = 0.06
)

// fitsPlanes says whether a convolution has a form over planes.
func fitsPlanes(n *node, s *convShape, mostOut int) bool {
	return s.deep == nil && s.group == 1 && s.o <= mostOut && s.win.OH*s.win.OW >= leastPlanesPixels && n.in[0].elems() <= mostPlanes && smallPlanes(&s.win, s.cg)
}

// smallPlanes says whether the planes of an image, with the padding that they hold, are so few elements that offsets count
// them. Strides and padding are a file's own numbers.
func smallPlanes(w *kernel.Window, channels int) bool {
	elems := 1
	for _, n := range []int{channels, w.StrideH, w.StrideW, w.OH + (w.KH-1)*w.DilH/w.StrideH, w.OW + (w.KW-1)*w.DilW/w.StrideW} {
		if n > mostPlaneElems/elems {
			return false
		}
		elems *= max(1, n)
	}
	return true
}

// planes says whether a convolution is faster over planes, its image in the order in which it lies and its result in
// row-major order. What it computes does not depend on the level or the threads.
func (lw *lowerer) planes(n *node, s *convSpec) bool {
	x, y := n.in[0], n.out[0]
	if !fitsPlanes(n, &s.convShape, mostPlanesOut) || len(n.in) > 1 || s.act.slope != nil || lw.net.bf16[n.onnx] {
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
	return planes < dense
}

// planesF32 splits the image into planes and convolves these.
func (lw *lowerer) planesF32(n *node, s *convSpec) {
	w := packed(lw.packs, packKey{n.out[0].name, "planes f32"}, []*tensor.Tensor{s.weight}, func() *kernel.PlanesF32 {
		return lw.level.PackPlanesF32(tensor.Of[float32](s.weight), s.o, s.cg, s.win)
	}).For(s.win)
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

// planesOfCodes says whether a convolution of codes is faster over planes.
func (lw *lowerer) planesOfCodes(n *node, s *convShape) bool {
	if !fitsPlanes(n, s, mostPlanesOutU8) {
		return false
	}
	x, y, macs := n.in[0], n.out[0], s.macs(n.out[0])
	dense, each := float64(macs)*16/float64(s.o), u8Nanos
	switch {
	case lw.level >= kernel.AMX:
		dense *= 0.7 * u8NanosAMX // tiles lose less where columns are missing
	case !lw.level.DotsBytes():
		each *= 3
		dense *= 1.3 * each
	default:
		dense *= 1.3 * each
	}
	planes := float64(macs) * each * 1.2
	if s.o == 1 {
		planes += float64(macs) * each // each code is read for one product only
	}
	if s.cg%4 == 0 {
		planes += float64(x.elems()) * splitQuadNanos
	} else {
		planes += float64(x.elems()) * splitU8Nanos
	}
	if !neutral(y.shape) {
		planes += float64(y.elems()) * relayoutNanos
	}
	return planes < dense
}

// planesU8 splits the image into planes of four codes to a pixel and convolves these.
func (lw *lowerer) planesU8(n *node, s *intConv) {
	w := lw.packPlanesU8(n, &s.convShape, s.weight)
	pad := uint8(s.x.zero)
	planes := lw.splitCodes(n, &s.convShape, w, nil, func(*frame) uint8 { return pad })
	y, to, size := lw.make(n.out[0], rowMajor), s.store(w.ColumnSums()), s.win.OH*s.win.OW
	st := &step{node: n, kernel: "u8s8 conv by planes " + sizeText(s.win) + to.text(), in: []*slot{planes}, out: []*slot{y}}
	lw.convCodePlanes(st, &s.convShape, func(f *frame, i, from, end int) {
		w.Conv(f.u8(planes)[i*w.Bytes():][:w.Bytes()], to.out(f, y, i*s.o*size, s.o*size, 0, size), from, end)
	})
}

// dynamicPlanes does so with codes whose zero point is known in the run.
func (lw *lowerer) dynamicPlanes(n *node, s *dynamicConv) {
	w := lw.packPlanesU8(n, &s.convShape, s.weight)
	to := lw.dynamicOut(n, &s.dynamicScale, w.ColumnSums(), imageOf(n.in[0], n.out[0]), rowMajor)
	to.ld = s.win.OH * s.win.OW
	planes := lw.splitCodes(n, &s.convShape, w, to.zero, func(f *frame) uint8 { return f.u8(to.zero)[0] })
	st, level := to.step(n, "conv by planes "+sizeText(s.win), 0, planes), lw.level
	lw.convCodePlanes(st, &s.convShape, func(f *frame, i, from, end int) {
		w.Conv(f.u8(planes)[i*w.Bytes():][:w.Bytes()], to.out(f, i, 0), from, end)
		to.finish(level, f, i, tile{0, s.o, from * s.win.OW, end * s.win.OW})
	})
}

func (lw *lowerer) packPlanesU8(n *node, s *convShape, weight *tensor.Tensor) *kernel.PlanesU8S8 {
	return packed(lw.packs, packKey{n.out[0].name, "planes u8s8"}, []*tensor.Tensor{weight}, func() *kernel.PlanesU8S8 {
		return lw.level.PackPlanesU8S8(tensor.Of[int8](weight), s.o, s.cg, s.win)
	}).For(s.win)
}

// splitCodes emits the step that splits the images of a convolution, whose padding has a code that may lie in a slot.
func (lw *lowerer) splitCodes(n *node, s *convShape, w *kernel.PlanesU8S8, zero *slot, pad func(f *frame) uint8) *slot {
	v, size := n.in[0], w.Bytes()
	x, channel := lw.pixelsOrPlanes(v)
	batch, in := v.shape[0], s.win.H*s.win.W*max(s.cg, x.pitch)
	planes := lw.scratch(tensor.Uint8, batch*size)
	planes.name = "planes of " + v.name
	parts := lw.partsFor(float64(size)*splitQuadNanos, w.Rows())
	st := &step{node: n, kernel: "split into planes", parts: batch * parts, in: []*slot{x.slot}, out: []*slot{planes}}
	if zero != nil {
		st.in = append(st.in, zero)
	}
	st.run = func(f *frame, part int) error {
		i, p := part/parts, part%parts
		w.Split(f.u8(planes)[i*size:][:size], imageAt(f.u8(x.slot), in, i, x.off), channel, x.pitch, pad(f), w.Rows()*p/parts, w.Rows()*(p+1)/parts)
		return nil
	}
	lw.emit(st)
	return planes
}

// convCodePlanes emits the step that makes output rows of every image.
func (lw *lowerer) convCodePlanes(st *step, s *convShape, conv func(f *frame, image, from, end int)) {
	st.macs = s.macs(st.node.out[0])
	strips := lw.partsFor(float64(st.macs)*u8Nanos, s.win.OH)
	st.parts = st.node.in[0].shape[0] * strips
	st.run = func(f *frame, part int) error {
		i, p := part/strips, part%strips
		conv(f, i, s.win.OH*p/strips, s.win.OH*(p+1)/strips)
		return nil
	}
	lw.emit(st)
}

// pixelsOrPlanes returns where v lies, in the order that it has unless fours of channels are wanted, and how many elements its
// channels are apart.
func (lw *lowerer) pixelsOrPlanes(v *value) (x pixels, channel int) {
	if l, ok := lw.natural(v); !ok || l != rowMajor || v.shape[1]%4 == 0 {
		return lw.pixelsOf(v), 1
	}
	return pixels{lw.use(v, rowMajor), 0, 1}, tensor.Elements(v.shape[2:])
}
