package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Nanoseconds of one float multiply-add, roughly.
const (
	f32Nanos          = 0.009
	f32DepthwiseNanos = 0.025
)

// rowTapChannels is the number of input channels from which a pixel fills a vector well enough: images
// of fewer channels are padded, and each kernel row is taken as one tap.
const rowTapChannels = 8

// lowerConv emits a float convolution in channels-last order.
func lowerConv(lw *lowerer, n *node) bool {
	s := n.spec.(*convSpec)
	switch {
	case s.depthwise():
		lw.depthwiseF32(n, s)
	case s.fewChannels():
		lw.rowTapsF32(n, s)
	default:
		lw.denseF32(n, s)
	}
	return true
}

// A convTarget is where a float convolution puts its results.
type convTarget struct {
	spec     *convSpec
	im       image
	dst, add *slot
}

// convStep starts the step of a convolution that reads x.
func (lw *lowerer) convStep(n *node, s *convSpec, im image, name string, x *slot) (*step, convTarget) {
	t := convTarget{spec: s, im: im}
	st := &step{node: n, kernel: "f32 " + name + s.act.text, macs: s.macs(n.out[0]), in: []*slot{x}}
	if len(n.in) > 1 {
		t.add = lw.use(n.in[1], channelsLast)
		st.in = append(st.in, t.add)
		st.kernel += " after Add"
	}
	t.dst = lw.make(n.out[0], channelsLast)
	st.out = []*slot{t.dst}
	return st, t
}

// out describes the memory of image i from channel c on.
func (t *convTarget) out(f *frame, i, c int) *kernel.OutF32 {
	s := t.spec
	o := &kernel.OutF32{C: f.f32(t.dst)[i*t.im.out:][:t.im.out][c:], Ldc: s.o, Min: s.act.lo, Max: s.act.hi}
	if s.bias != nil {
		o.Bias = s.bias[c:]
	}
	if t.add != nil {
		o.Add, o.LdAdd = f.f32(t.add)[i*t.im.out:][:t.im.out][c:], s.o
	}
	return o
}

func (lw *lowerer) depthwiseF32(n *node, s *convSpec) {
	x := lw.use(n.in[0], channelsLast)
	w := packed(lw.packs, packKey{n.out[0].name, "depthwise f32"}, []*tensor.Tensor{s.weight}, func() *kernel.DepthwiseF32 {
		return lw.level.PackDepthwiseF32(tensor.Of[float32](s.weight), s.group, s.taps(), kernel.Order{N: s.taps(), Tap: 1})
	})
	im, ix, level := imageOf(n.in[0], n.out[0]), s.win.Indirect(), lw.level
	st, to := lw.convStep(n, s, im, "depthwise "+sizeText(s.win), x)
	cuts := lw.rowCuts(im, s.win.OW, float64(st.macs)*f32DepthwiseNanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		out := to.out(f, c.image, 0)
		w.Run(f.f32(x)[c.image*im.in:][:im.in], ix, out, c.M0, c.M1)
		s.act.finish(level, out.C, out.Ldc, tile{c.M0, c.M1, 0, s.group})
		return nil
	}
	lw.emit(st)
}

// rowTapsF32 convolves an image of few channels.
func (lw *lowerer) rowTapsF32(n *node, s *convSpec) {
	o, c, kh, kw := s.o, s.inputs(), s.win.KH, s.win.KW
	w := packed(lw.packs, packKey{n.out[0].name, "row taps f32"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedF32 {
		last := make([]float32, s.weight.Len())
		kernel.Permute(lw.level, last, tensor.Of[float32](s.weight), []int{o, c, kh, kw}, []int{0, 2, 3, 1})
		return lw.level.PackF32(last, o, kw*c, kh, kernel.Order{N: kh * kw * c, Tap: kw * c, K: 1})
	})
	im := imageOf(n.in[0], n.out[0])
	im.in = s.win.PaddedLen()
	x := lw.padImage(n, s.win, im, 0)
	st, to := lw.convStep(n, s, im, "conv by rows "+sizeText(s.win), x)
	ix, level := s.win.RowTaps(), lw.level
	cuts := lw.cuts(w, im, float64(st.macs)*f32Nanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		out := to.out(f, c.image, 0)
		w.Conv(f.f32(x)[c.image*im.in:][:im.in], ix, out, c.Range)
		s.act.finish(level, out.C, out.Ldc, c.tile(w))
		return nil
	}
	lw.emit(st)
}

// denseF32 convolves with one packed weight for each group.
func (lw *lowerer) denseF32(n *node, s *convSpec) {
	x := lw.use(n.in[0], channelsLast)
	im, ws, level := imageOf(n.in[0], n.out[0]), lw.packGroupsF32(n, s), lw.level
	name := "conv " + sizeText(s.win)
	var ix *kernel.Indirect
	if !pointwise(s.win) {
		ix = s.win.Indirect()
	} else if s.group == 1 {
		im = image{1, im.in * im.batch, im.out * im.batch, im.rows * im.batch}
	}
	st, to := lw.convStep(n, s, im, name, x)
	c, cg, og := s.inputs(), s.cg, s.o/s.group
	cuts := lw.cuts(ws[0], im, float64(st.macs)*f32Nanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		in := f.f32(x)[k.image*im.in:][:im.in]
		for g, w := range ws {
			out := to.out(f, k.image, g*og)
			if ix == nil {
				w.Gemm(in[g*cg:], c, out, k.Range)
			} else {
				w.Conv(in[g*cg:], ix, out, k.Range)
			}
			s.act.finish(level, to.whole(f, k.image), s.o, k.tile(w).right(g*og))
		}
		return nil
	}
	lw.emit(st)
}

// whole returns the results of image i.
func (t *convTarget) whole(f *frame, i int) []float32 { return f.f32(t.dst)[i*t.im.out:][:t.im.out] }

// right moves a tile by some columns.
func (t tile) right(cols int) tile { return tile{t.m0, t.m1, t.n0 + cols, t.n1 + cols} }

func (lw *lowerer) packGroupsF32(n *node, s *convSpec) []*kernel.PackedF32 {
	return packed(lw.packs, packKey{n.out[0].name, "conv f32"}, []*tensor.Tensor{s.weight}, func() []*kernel.PackedF32 {
		cg, taps, og := s.cg, s.taps(), s.o/s.group
		w := tensor.Of[float32](s.weight)
		ws := make([]*kernel.PackedF32, s.group)
		for g := range ws {
			ws[g] = lw.level.PackF32(w[g*og*cg*taps:], og, cg, taps, kernel.Order{N: cg * taps, Tap: 1, K: taps})
		}
		return ws
	})
}
