package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lowerDynamicQuantize emits DynamicQuantizeLinear: the range of each part, then the codes.
func lowerDynamicQuantize(lw *lowerer, n *node) bool {
	v := n.in[0]
	if !v.is(tensor.Float32) || v.elems() == 0 || n.out[0] == nil || n.out[1] == nil || n.out[2] == nil {
		return false
	}
	l, _ := lw.natural(v)
	x, y := lw.use(v, l), lw.make(n.out[0], l)
	scale, zero := lw.make(n.out[1], rowMajor), lw.make(n.out[2], rowMajor)
	size, level := v.elems(), lw.level
	parts := lw.partsFor(float64(size)*byteNanos, size/64)
	ranges := lw.scratch(tensor.Float32, 2*parts)
	lw.emit(&step{node: n, kernel: "f32 range", parts: parts, in: []*slot{x}, out: []*slot{ranges}, run: func(f *frame, part int) error {
		a, b := span(size, part, parts)
		r := f.f32(ranges)
		r[2*part], r[2*part+1] = level.MinMax(f.f32(x)[a:b])
		return nil
	}})
	lw.emit(&step{node: n, kernel: "f32 to u8", parts: parts, in: []*slot{x, ranges}, out: []*slot{y, scale, zero}, run: func(f *frame, part int) error {
		s, z := level.DynamicParamsU8(f.f32(ranges))
		a, b := span(size, part, parts)
		level.QuantizeU8(f.u8(y)[a:b], f.f32(x)[a:b], s, z)
		if part == 0 {
			f.f32(scale)[0], f.u8(zero)[0] = s, z
		}
		return nil
	}})
	return true
}

// A dynamicOut is where a dynamic product puts its results, with the scales and biases of one run.
type dynamicOut struct {
	spec                    *dynamicScale
	dst, bias, scales, zero *slot
	im                      image
	ld                      int
}

// dynamicOut emits the step that works out scale and bias of each column for the codes at hand.
func (lw *lowerer) dynamicOut(n *node, d *dynamicScale, sums []int32, im image, l layout) *dynamicOut {
	to := &dynamicOut{spec: d, im: im, ld: d.cols, bias: lw.scratch(tensor.Int32, d.cols), scales: lw.scratch(tensor.Float32, len(d.wscale))}
	to.zero = lw.use(n.in[2], rowMajor)
	in := []*slot{to.zero}
	if d.wscale != nil {
		in = append(in, lw.use(n.in[1], rowMajor))
	}
	level := lw.level
	lw.emit(&step{node: n, kernel: "scales", in: in, out: []*slot{to.bias, to.scales}, run: func(f *frame, _ int) error {
		if d.wscale != nil {
			level.BinaryScalar(kernel.Mul, f.f32(to.scales), d.wscale, f.f32(in[1])[0])
		}
		zero := int32(f.u8(to.zero)[0])
		for j, sum := range sums {
			f.s32(to.bias)[j] = -zero * sum
		}
		return nil
	}})
	to.dst = lw.make(n.out[0], l)
	return to
}

// out describes the memory of image i from column c on.
func (t *dynamicOut) out(f *frame, i, c int) *kernel.OutU8S8 {
	if t.spec.wscale == nil {
		return &kernel.OutU8S8{I32: f.s32(t.dst)[i*t.im.out:][:t.im.out][c:], Ldc: t.ld, Bias: f.s32(t.bias)[c:]}
	}
	o := &kernel.OutU8S8{F32: f.f32(t.dst)[i*t.im.out:][:t.im.out][c:], Ldc: t.ld, Bias: f.s32(t.bias)[c:], Scale: f.f32(t.scales)[c:]}
	if t.spec.bias != nil {
		o.Shift = t.spec.bias[c:]
	}
	return o
}

// finish applies the activation to a tile of image i.
func (t *dynamicOut) finish(l kernel.Level, f *frame, i int, r tile) {
	a := t.spec.act
	if t.spec.wscale == nil {
		return
	}
	if a.lo != a.hi {
		a.then = append([]function{{kernel.Clamp, a.lo, a.hi}}, a.then...)
	}
	a.finish(l, f.f32(t.dst)[i*t.im.out:][:t.im.out], t.ld, r)
}

func (t *dynamicOut) step(n *node, name string, macs int64, x *slot) *step {
	if t.spec.wscale == nil {
		name += " sums"
	}
	return &step{node: n, kernel: "u8s8 dynamic " + name + t.spec.act.text, macs: macs, in: []*slot{x, t.bias, t.scales, t.zero}, out: []*slot{t.dst}}
}

// lowerDynamicGemm emits a "dynamic gemm".
func lowerDynamicGemm(lw *lowerer, n *node) bool {
	s := n.spec.(*dynamicGemm)
	x := lw.use(n.in[0], rowMajor)
	w := lw.packDynamicGemm(n, s)
	size := n.out[0].elems()
	im := image{1, n.in[0].elems(), size, size / s.n}
	to := lw.dynamicOut(n, &s.dynamicScale, w.ColumnSums(), im, rowMajor)
	st := to.step(n, "gemm", int64(size)*int64(s.k), x)
	cuts, level := lw.cuts(st, w, nil, im, lw.u8Work(st.macs), &s.act), lw.level
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		w.Gemm(f.u8(x), s.k, to.out(f, 0, 0), cuts[part].Range)
		to.finish(level, f, 0, cuts[part].tile(w))
		return nil
	}
	lw.emit(st)
	s.weight = nil
	return true
}

// lowerDynamicConv emits a "dynamic conv".
func lowerDynamicConv(lw *lowerer, n *node) bool {
	s := n.spec.(*dynamicConv)
	if s.depthwise() {
		lw.dynamicDepthwise(n, s)
		s.weight = nil
		return true
	}
	if s.wscale != nil && s.act.slope == nil && lw.planesOfCodes(n, &s.convShape) {
		lw.dynamicPlanes(n, s)
		s.weight = nil
		return true
	}
	if lw.dynamicWinograd(n, s) {
		s.weight = nil
		return true
	}
	x := lw.use(n.in[0], channelsLast)
	c := &intConv{convShape: s.convShape, weight: s.weight}
	ws, each := lw.packGroupsU8(n, c)
	var sums []int32
	for _, w := range ws {
		sums = append(sums, w.ColumnSums()...)
	}
	im, ix, level := imageOf(n.in[0], n.out[0]), lw.indirect(&s.convShape, s.win.Pitch), lw.level
	to := lw.dynamicOut(n, &s.dynamicScale, sums, im, channelsLast)
	st := to.step(n, "conv "+s.sizeText(), s.macs(n.out[0]), x)
	if s.pointwise() {
		ix = nil
	}
	cuts, cols := lw.cuts(st, ws[0], ix, im, lw.u8Work(st.macs), &s.act), s.inputs()
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k, zero := cuts[part], f.u8(to.zero)[0]
		in := f.u8(x)[k.image*im.in:][:im.in]
		for g, w := range ws {
			at := g * w.N()
			if ix == nil {
				w.Gemm(in[g*each:], cols, to.out(f, k.image, at), k.Range)
			} else {
				w.Conv(in[g*each:], zero, ix, to.out(f, k.image, at), k.Range)
			}
			to.finish(level, f, k.image, k.tile(w).right(at))
		}
		return nil
	}
	s.weight = nil
	lw.emit(st)
	return true
}

// packDynamicGemm packs the matrix of a product of codes whose scale is found in each run.
func (lw *lowerer) packDynamicGemm(n *node, s *dynamicGemm) *kernel.PackedU8S8 {
	return packed(lw.packs, packKey{n.out[0].name, "gemm u8s8"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedU8S8 {
		return lw.level.PackU8S8(tensor.Of[int8](s.weight), s.n, s.k, 1, s.order)
	})
}

func (lw *lowerer) dynamicDepthwise(n *node, s *dynamicConv) {
	x := lw.use(n.in[0], channelsLast)
	w := packed(lw.packs, packKey{n.out[0].name, "depthwise u8s8"}, []*tensor.Tensor{s.weight}, func() *kernel.DepthwiseU8S8 {
		return lw.level.PackDepthwiseU8S8(tensor.Of[int8](s.weight), s.group, s.taps(), kernel.Order{N: s.taps(), Tap: 1})
	})
	im, ix, level := imageOf(n.in[0], n.out[0]), lw.indirect(&s.convShape, s.win.Pitch), lw.level
	to := lw.dynamicOut(n, &s.dynamicScale, w.ColumnSums(), im, channelsLast)
	st := to.step(n, "depthwise "+s.sizeText(), s.macs(n.out[0]), x)
	cuts := lw.rowCuts(im, s.win.OW, float64(st.macs)*u8DepthwiseNanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		w.Run(f.u8(x)[c.image*im.in:][:im.in], f.u8(to.zero)[0], ix, to.out(f, c.image, 0), c.M0, c.M1)
		to.finish(level, f, c.image, tile{c.M0, c.M1, 0, s.group})
		return nil
	}
	lw.emit(st)
}

// lowerAddSums emits the sum of two int32 tensors of one shape.
func lowerAddSums(lw *lowerer, n *node) bool {
	y := n.out[0]
	l := lw.follow(n.in...)
	a, b, dst := lw.use(n.in[0], l), lw.use(n.in[1], l), lw.make(y, l)
	size := y.elems()
	parts := lw.partsFor(float64(size)*functionNanos, size/64)
	lw.emit(&step{node: n, kernel: "i32 Add", parts: parts, in: []*slot{a, b}, out: []*slot{dst}, run: func(f *frame, part int) error {
		i, j := span(size, part, parts)
		to, u, v := f.s32(dst)[i:j], f.s32(a)[i:j], f.s32(b)[i:j]
		for k := range to {
			to[k] = u[k] + v[k]
		}
		return nil
	}})
	return true
}
