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

// A convForm is a way to convolve floats.
type convForm struct {
	emit func(lw *lowerer, n *node, s *convSpec)
	pack func(lw *lowerer, n *node, s *convSpec) // nil where little is packed
}

var (
	groupedForm  = &convForm{emit: (*lowerer).groupedF32}
	spreadForm   = &convForm{emit: (*lowerer).spreadF32}
	planesForm   = &convForm{emit: (*lowerer).planesF32}
	rowTapsForm  = &convForm{emit: (*lowerer).rowTapsF32}
	bf16Form     = &convForm{emit: (*lowerer).denseF32}
	denseForm    = &convForm{(*lowerer).denseF32, func(lw *lowerer, n *node, s *convSpec) { lw.packConv(n, s) }}
	winogradForm = &convForm{(*lowerer).winogradF32, func(lw *lowerer, n *node, s *convSpec) { lw.packWinograd(n, s) }}
)

// lowerConv emits a float convolution in channels-last order.
func lowerConv(lw *lowerer, n *node) bool {
	s := n.spec.(*convSpec)
	lw.convForm(n, s, lw.planes(n, s)).emit(lw, n, s)
	s.weight = nil // the packed form is all that is needed
	return true
}

// convForm chooses the form of a convolution, for which planes may pay.
func (lw *lowerer) convForm(n *node, s *convSpec, planes bool) *convForm {
	switch {
	case s.depthwise(), s.group > 1 && lw.groupsPay(s):
		return groupedForm
	case s.spreads():
		return spreadForm
	case planes:
		return planesForm
	case s.fewChannels():
		return rowTapsForm
	case lw.net.bf16[n.onnx] && lw.level.TilesBF16():
		return bf16Form
	case s.group == 1 && (lw.groupsPay(s) || lw.level.DirectPaysF32(s.o, s.cg, s.taps())):
		return groupedForm
	case s.winograd() && !lw.direct:
		return winogradForm
	}
	return denseForm
}

// groupsPay says whether channels that see as many others as there are in a group are better convolved without products.
func (lw *lowerer) groupsPay(s *convSpec) bool {
	return s.cg == s.o/s.group && lw.level.GroupsPayF32(s.o, s.cg, s.taps())
}

// convStep starts the step of a convolution that reads x.
func (lw *lowerer) convStep(n *node, s *convSpec, name string, x pixels) (*step, *convIO) {
	st := &step{node: n, kernel: name + s.act.text, macs: s.macs(n.out[0])}
	io := lw.convIO(n, st, x)
	switch {
	case s.act.plus:
		st.over = nil // what is added is read when the sums lie there
	case io.add != nil:
		st.kernel += " after Add"
	}
	return st, io
}

// outF32 describes the memory of image i from channel c on.
func (s *convSpec) outF32(f *frame, io *convIO, i, c int) *kernel.OutF32 {
	o := &kernel.OutF32{C: imageAt(f.f32(io.y.slot), io.im.out, i, io.y.off+c), Ldc: io.y.pitch, Min: s.act.lo, Max: s.act.hi}
	if s.bias != nil {
		o.Bias = s.bias[c:]
	}
	if io.add != nil && !s.act.plus {
		o.Add, o.LdAdd = imageAt(f.f32(io.add), io.im.rows*s.o, i, c), s.o
	}
	return o
}

// finish applies what the store has not done to a tile of image i, of the columns from channel c on.
func (s *convSpec) finish(l kernel.Level, f *frame, io *convIO, i, c int, t tile) {
	y, t := imageAt(f.f32(io.y.slot), io.im.out, i, io.y.off), t.right(c)
	s.act.finish(l, y, io.y.pitch, t)
	if s.act.plus {
		add := imageAt(f.f32(io.add), io.im.rows*s.o, i, 0)
		l.AddRows(y[t.m0*io.y.pitch+t.n0:], io.y.pitch, add[t.m0*s.o+t.n0:], s.o, t.m1-t.m0, t.n1-t.n0)
	}
}

// groupedF32 convolves channels that see themselves or few others, which may be all there are.
func (lw *lowerer) groupedF32(n *node, s *convSpec) {
	name, nanos := "grouped", f32DepthwiseNanos
	switch {
	case s.cg == 1:
		name = "depthwise"
	case s.group == 1:
		name, nanos = "direct", f32Nanos
	}
	w := packed(lw.packs, packKey{n.out[0].name, name + " f32"}, []*tensor.Tensor{s.weight}, func() *kernel.GroupedF32 {
		if s.group == 1 && s.cg != s.o {
			return lw.level.PackDirectF32(tensor.Of[float32](s.weight), s.o, s.cg, s.taps(), kernel.Order{N: s.cg * s.taps(), Tap: 1, K: s.taps()})
		}
		return lw.level.PackGroupedF32(tensor.Of[float32](s.weight), s.o, s.cg, s.taps(), kernel.Order{N: s.cg * s.taps(), Tap: 1, K: s.taps()})
	})
	x := lw.pixelsOf(n.in[0])
	st, io := lw.convStep(n, s, "f32 "+name+" "+s.sizeText(), x)
	lw.emitGrouped(st, w, s, io, lw.indirect(&s.convShape, x.pitch), nanos)
}

// emitGrouped emits the step of a convolution that is cut into rows of pixels, each with all its channels.
func (lw *lowerer) emitGrouped(st *step, w *kernel.GroupedF32, s *convSpec, io *convIO, ix *kernel.Indirect, nanos float64) {
	cuts, level := lw.rowCuts(io.im, s.win.OW, float64(st.macs)*nanos, &s.act), lw.level
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		w.Run(imageAt(f.f32(io.x.slot), io.im.in, c.image, io.x.off), ix, s.outF32(f, io, c.image, 0), c.M0, c.M1)
		s.finish(level, f, io, c.image, 0, tile{c.M0, c.M1, 0, s.o})
		return nil
	}
	lw.emit(st)
}

// rowTapsF32 convolves an image of few channels.
func (lw *lowerer) rowTapsF32(n *node, s *convSpec) {
	c, kh, kw := s.cg, s.win.KH, s.win.KW
	last := func() []float32 { // (O, KH, KW, C)
		w := make([]float32, s.weight.Len())
		kernel.Permute(lw.level, w, tensor.Of[float32](s.weight), []int{s.o, c, kh, kw}, []int{0, 2, 3, 1})
		return w
	}
	order := kernel.Order{N: kh * kw * c, Tap: kw * c, K: 1}
	x := lw.padImage(n, s.win, 0)
	ix, level := s.win.RowTaps(), lw.level
	if level.DirectPaysF32(s.o, kw*c, kh) {
		w := packed(lw.packs, packKey{n.out[0].name, "direct rows f32"}, []*tensor.Tensor{s.weight}, func() *kernel.GroupedF32 {
			return level.PackDirectF32(last(), s.o, kw*c, kh, order)
		})
		st, io := lw.convStep(n, s, "f32 direct by rows "+sizeText(s.win), pixels{x, 0, c})
		io.im.in = s.win.PaddedLen()
		lw.emitGrouped(st, w, s, io, ix, f32Nanos)
		return
	}
	w := packed(lw.packs, packKey{n.out[0].name, "row taps f32"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedF32 {
		return level.PackF32(last(), s.o, kw*c, kh, order)
	})
	st, io := lw.convStep(n, s, "f32 conv by rows "+sizeText(s.win), pixels{x, 0, c})
	io.im.in = s.win.PaddedLen()
	cuts := lw.cuts(st, w, ix, io.im, float64(st.macs)*f32Nanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		w.Conv(imageAt(f.f32(x), io.im.in, k.image, 0), ix, s.outF32(f, io, k.image, 0), k.Range)
		s.finish(level, f, io, k.image, 0, k.tile(w))
		return nil
	}
	lw.emit(st)
}

// denseF32 convolves with one packed weight for each group.
func (lw *lowerer) denseF32(n *node, s *convSpec) {
	x, level := lw.pixelsOf(n.in[0]), lw.level
	ws, form := lw.groupsOf(n, s, x.slot)
	x.slot = form.x
	st, io := lw.convStep(n, s, form.name+" conv "+s.sizeText(), x)
	ix := lw.indirect(&s.convShape, x.pitch)
	if s.pointwise() {
		ix = nil
		io.merged()
	}
	cuts := lw.cuts(st, ws[0], ix, io.im, float64(st.macs)*form.nanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		for g, w := range ws {
			at := io.x.off + g*s.cg
			w.multiply(f, io.x.slot, k.image*io.im.in+at, io.im.in-at, io.x.pitch, ix, s.outF32(f, io, k.image, g*w.N()), k.Range)
			s.finish(level, f, io, k.image, g*w.N(), k.tile(w))
		}
		return nil
	}
	lw.emit(st)
}
