package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Nanoseconds of one integer multiply-add, roughly.
const (
	u8Nanos          = 0.0024
	u8NanosWords     = 0.013 // where bytes are widened
	u8NanosAMX       = 0.0014
	u8DepthwiseNanos = 0.013
)

// u8Work is the time of integer multiply-adds, roughly.
func (lw *lowerer) u8Work(macs int64) float64 {
	switch {
	case lw.level >= kernel.AMX:
		return float64(macs) * u8NanosAMX
	case !lw.level.DotsBytes():
		return float64(macs) * u8NanosWords
	}
	return float64(macs) * u8Nanos
}

// An intStore is the constant part of how integer sums leave a product.
type intStore struct {
	bias   []int32 // the zero point of the left side is in it
	scale  []float32
	shift  []float32 // of floats; nil: none
	zero   int32
	lo, hi int32
	codes  bool // uint8 codes, else floats
}

// store works out how sums leave, for weights whose columns sum up to sums.
func (t *intTail) store(sums []int32) *intStore {
	s := &intStore{bias: make([]int32, len(t.scale)), scale: make([]float32, len(t.scale)), shift: t.shift, lo: t.lo, hi: t.hi, codes: t.to != nil}
	for j := range s.bias {
		s.bias[j] = -t.x.zero * sums[j]
		if t.bias != nil {
			s.bias[j] += t.bias[j]
		}
		s.scale[j] = float32(t.scale[j])
		if t.to != nil {
			s.scale[j] = float32(t.scale[j] / float64(t.to.scale))
		}
	}
	if t.to != nil {
		s.zero = t.to.zero
	}
	return s
}

// out describes the memory of some elements, from column c on.
func (s *intStore) out(f *frame, dst *slot, at, n, c, ld int) *kernel.OutU8S8 {
	o := &kernel.OutU8S8{Ldc: ld, Bias: s.bias[c:], Scale: s.scale[c:], Zero: s.zero, Min: s.lo, Max: s.hi}
	if s.codes {
		o.U8 = f.u8(dst)[at:][:n]
	} else {
		o.F32 = f.f32(dst)[at:][:n]
		if s.shift != nil {
			o.Shift = s.shift[c:]
		}
	}
	return o
}

// outConv describes the memory of image i from channel c on.
func (s *intStore) outConv(f *frame, io *convIO, i, c int) *kernel.OutU8S8 {
	off := io.y.off + c
	return s.out(f, io.y.slot, i*io.im.out+off, io.im.out-off, c, io.y.pitch)
}

func (s *intStore) text() string {
	if s.codes {
		return ""
	}
	return " to f32"
}

// lowerIntConv emits an integer convolution in channels-last order.
func lowerIntConv(lw *lowerer, n *node) bool {
	s := n.spec.(*intConv)
	switch {
	case s.cg > 1 && isSigns(n.in[0]) && areSigns(s.weight) && lw.fastBits(s):
		lw.bitsConv(n, s)
	case s.depthwise():
		lw.depthwiseU8(n, s)
	case lw.planesOfCodes(n, &s.convShape):
		lw.planesU8(n, s)
	case s.fewChannels() || lw.rowsPay(s):
		lw.rowTapsU8(n, s)
	case lw.winogradU8S8(n, s):
	default:
		lw.denseU8(n, s)
	}
	s.weight = nil // the packed form is all that is needed
	return true
}

// rowsPay says whether a convolution reads the rows of a padded image in place.
func (lw *lowerer) rowsPay(s *intConv) bool {
	return s.deep == nil && s.group == 1 && s.taps() > 1 && lw.level.RowsPayU8S8(s.o, s.win)
}

// fastBits says whether a convolution of signs is faster by bits.
func (lw *lowerer) fastBits(s *intConv) bool {
	inPlace := s.pointwise() || lw.rowsPay(s)
	return lw.level.FastBits(s.win.OH*s.win.OW, s.o/s.group, s.cg, s.taps(), inPlace)
}

func (lw *lowerer) intConvStep(n *node, s *intConv, to *intStore, name string, x pixels) (*step, *convIO) {
	st := &step{node: n, kernel: "u8s8 " + name + to.text(), macs: s.macs(n.out[0])}
	return st, lw.convIO(n, st, x)
}

func (lw *lowerer) depthwiseU8(n *node, s *intConv) {
	w := packed(lw.packs, packKey{n.out[0].name, "depthwise u8s8"}, []*tensor.Tensor{s.weight}, func() *kernel.DepthwiseU8S8 {
		return lw.level.PackDepthwiseU8S8(tensor.Of[int8](s.weight), s.group, s.taps(), kernel.Order{N: s.taps(), Tap: 1})
	})
	x, to, pad := lw.pixelsOf(n.in[0]), s.store(w.ColumnSums()), uint8(s.x.zero)
	ix := lw.indirect(&s.convShape, x.pitch)
	st, io := lw.intConvStep(n, s, to, "depthwise "+s.sizeText(), x)
	cuts := lw.rowCuts(io.im, s.win.OW, float64(st.macs)*u8DepthwiseNanos, nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		w.Run(imageAt(f.u8(io.x.slot), io.im.in, c.image, io.x.off), pad, ix, to.outConv(f, io, c.image, 0), c.M0, c.M1)
		return nil
	}
	lw.emit(st)
}

// rowTapsU8 convolves a padded image by rows of pixels.
func (lw *lowerer) rowTapsU8(n *node, s *intConv) {
	c, kh, kw := s.cg, s.win.KH, s.win.KW
	w := packed(lw.packs, packKey{n.out[0].name, "row taps u8s8"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedU8S8 {
		last := make([]int8, s.weight.Len())
		kernel.Permute(lw.level, last, tensor.Of[int8](s.weight), []int{s.o, c, kh, kw}, []int{0, 2, 3, 1})
		return lw.level.PackRowsU8S8(last, s.o, s.win)
	})
	pad, name := uint8(s.x.zero), "conv "
	if s.fewChannels() {
		name += "by rows "
	}
	x, to := lw.padImage(n, s.win, pad), s.store(w.ColumnSums())
	st, io := lw.intConvStep(n, s, to, name+sizeText(s.win), pixels{x, 0, c})
	io.im.in = s.win.PaddedLen()
	ix := s.win.RowTaps()
	cuts := lw.cuts(st, w, ix, io.im, lw.u8Work(st.macs), nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		w.Conv(imageAt(f.u8(x), io.im.in, k.image, 0), pad, ix, to.outConv(f, io, k.image, 0), k.Range)
		return nil
	}
	lw.emit(st)
}

// denseU8 convolves with one packed weight for each group, or for several small ones together.
func (lw *lowerer) denseU8(n *node, s *intConv) {
	x, pad := lw.pixelsOf(n.in[0]), uint8(s.x.zero)
	ws, in := lw.packGroupsU8(n, s)
	var sums []int32
	for _, w := range ws {
		sums = append(sums, w.ColumnSums()...)
	}
	to := s.store(sums)
	st, io := lw.intConvStep(n, s, to, "conv "+s.sizeText(), x)
	ix := lw.indirect(&s.convShape, x.pitch)
	if s.pointwise() {
		ix = nil
		io.merged()
	}
	cuts := lw.cuts(st, ws[0], ix, io.im, lw.u8Work(st.macs), nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		for g, w := range ws {
			x := imageAt(f.u8(io.x.slot), io.im.in, k.image, io.x.off+g*in)
			out := to.outConv(f, io, k.image, g*w.N())
			if ix == nil {
				w.Gemm(x, io.x.pitch, out, k.Range)
			} else {
				w.Conv(x, pad, ix, out, k.Range)
			}
		}
		return nil
	}
	lw.emit(st)
}

// packGroupsU8 returns the packed weights, each of one group or of several, and the number of input channels of each.
func (lw *lowerer) packGroupsU8(n *node, s *intConv) (ws []packedU8, in int) {
	most, taps, og := mostCode(n.in[0]), s.taps(), s.o/s.group
	together := lw.level.GroupsU8S8(s.group, s.cg, og)
	return packed(lw.packs, packKey{n.out[0].name, "conv u8s8"}, []*tensor.Tensor{s.weight}, func() []packedU8 {
		w := tensor.Of[int8](s.weight)
		ws, each := make([]packedU8, s.group/together), together*og*s.cg*taps
		for g := range ws {
			if own := w[g*each:]; together > 1 {
				ws[g] = lw.level.PackGroupsU8S8(own, together, og, s.cg, taps)
			} else {
				ws[g] = packU8(lw.level, own, og, s.cg, taps, kernel.Order{N: s.cg * taps, Tap: 1, K: taps}, most)
			}
		}
		return ws
	}), together * s.cg
}

// A packedU8 is a weight to multiply codes by.
type packedU8 interface {
	splitter
	N() int
	ColumnSums() []int32
	Gemm(a []uint8, lda int, out *kernel.OutU8S8, r kernel.Range)
	Conv(x []uint8, pad uint8, ix *kernel.Indirect, out *kernel.OutU8S8, r kernel.Range)
}

// packU8 arranges a weight for codes up to most, in the form that is fastest.
func packU8(l kernel.Level, w []int8, n, k, taps int, o kernel.Order, most uint8) packedU8 {
	if p := l.PackNarrow(w, n, k, taps, o, most); p != nil {
		return p
	}
	return l.PackU8S8(w, n, k, taps, o)
}

// mostCode is the greatest code that a value can hold.
func mostCode(v *value) uint8 {
	if d := v.def; d != nil && codeEnds[d.kind] != nil {
		return codeEnds[d.kind](d)
	}
	return 255
}

// codeEnds lists the kinds of node that do not give every code, and the greatest that they give.
var codeEnds = map[string]func(n *node) uint8{
	"signs":     func(*node) uint8 { return 2 * signZero },
	"log codes": func(n *node) uint8 { return mostLogCode(n.spec.(*[kernel.Exponents]float32)) },
}

// packIntGemm packs the matrix of a product of codes.
func (lw *lowerer) packIntGemm(n *node, s *intGemm) packedU8 {
	return packed(lw.packs, packKey{n.out[0].name, "gemm u8s8"}, []*tensor.Tensor{s.weight}, func() packedU8 {
		return packU8(lw.level, tensor.Of[int8](s.weight), s.n, s.k, 1, s.order, mostCode(n.in[0]))
	})
}

// packIntConv packs the weight of a convolution of codes in Winograd's form where it has that, else for dense products.
func (lw *lowerer) packIntConv(n *node, s *intConv) {
	if lw.packWinogradU8S8(n, &s.convShape, s.weight) == nil {
		lw.packGroupsU8(n, s)
	}
}

// dense says whether a convolution of codes has one of these forms, whatever the layout of its image.
func (s *intConv) dense(lw *lowerer) bool {
	return !s.depthwise() && s.o > mostPlanesOutU8 && !s.fewChannels() && !lw.rowsPay(s)
}

// lowerIntGemm emits an integer product with a constant matrix.
func lowerIntGemm(lw *lowerer, n *node) bool {
	s := n.spec.(*intGemm)
	if isSigns(n.in[0]) && areSigns(s.weight) && lw.level.FastBits(n.out[0].elems()/s.n, s.n, s.k, 1, true) {
		lw.bitsGemm(n, s)
		s.weight = nil
		return true
	}
	x, w := lw.use(n.in[0], rowMajor), lw.packIntGemm(n, s)
	size := n.out[0].elems()
	im, to := image{1, n.in[0].elems(), size, size / s.n}, s.store(w.ColumnSums())
	dst := lw.make(n.out[0], rowMajor)
	st := &step{node: n, kernel: "u8s8 gemm" + to.text(), macs: int64(size) * int64(s.k), in: []*slot{x}, out: []*slot{dst}}
	cuts := lw.cuts(st, w, nil, im, lw.u8Work(st.macs), nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		w.Gemm(f.u8(x), s.k, to.out(f, dst, 0, size, 0, s.n), cuts[part].Range)
		return nil
	}
	lw.emit(st)
	s.weight = nil
	return true
}
