package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lowerComputedConv emits a float convolution whose weights are computed, as trackers correlate and generators modulate: they
// are packed in each run.
func lowerComputedConv(lw *lowerer, n *node) bool {
	w, bias := n.in[1], n.input(2)
	if !n.in[0].is(tensor.Float32) || len(n.in[0].shape) < 3 {
		return false
	}
	shape, ok := convShapeOf(n, w.shape)
	if !ok || bias != nil && !sameShape(bias.shape, []int{shape.o}) {
		return false
	}
	s := &convSpec{convShape: shape}
	weights := lw.use(w, rowMajor)
	var biases *slot
	if bias != nil {
		biases = lw.use(bias, rowMajor)
	}
	image := *n
	image.in = n.in[:1]
	x := lw.pixelsOf(n.in[0])
	name, groups := "", s.group
	if s.depthwise() {
		name, groups = "depthwise ", 1
	}
	packs := lw.packComputed(n, s, weights, groups)
	st, io := lw.convStep(&image, s, "f32 computed "+name+"conv "+s.sizeText(), x)
	st.in = append(st.in, weights)
	if biases != nil {
		st.in = append(st.in, biases)
	}
	ix := lw.indirect(&s.convShape, x.pitch)
	if s.pointwise() && !s.depthwise() {
		ix = nil
		io.merged()
	}
	cuts := lw.rowCuts(io.im, 1, float64(st.macs)*f32Nanos, &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		for g := range groups {
			out := s.outF32(f, io, k.image, g*(s.o/groups))
			if biases != nil {
				out.Bias = f.f32(biases)[g*(s.o/groups):]
			}
			in := imageAt(f.f32(io.x.slot), io.im.in, k.image, io.x.off+g*s.cg)
			switch p := f.packs[packs+g].(type) {
			case *kernel.GroupedF32:
				p.Run(in, ix, out, k.M0, k.M1)
			case *kernel.PackedF32:
				r := kernel.Range{M0: k.M0, M1: k.M1, P1: p.Panels()}
				if ix == nil {
					p.Gemm(in, io.x.pitch, out, r)
				} else {
					p.Conv(in, ix, out, r)
				}
			}
		}
		return nil
	}
	lw.emit(st)
	return true
}

// lowerComputedConvTranspose emits a transposed convolution whose weights or bias are computed.
func lowerComputedConvTranspose(lw *lowerer, n *node) bool {
	if !n.in[0].is(tensor.Float32) || len(n.in[0].shape) < 3 || n.in[0].elems() == 0 {
		return false
	}
	s, ok := convTransposeOf(n)
	if !ok {
		return false
	}
	lw.convTranspose(n, s)
	if b := n.input(2); b != nil && b.konst == nil {
		lw.addBias(n, lw.use(n.out[0], channelsLast), lw.use(b, rowMajor), s.channels())
	}
	return true
}

// addBias adds a number for each channel to pixels.
func (lw *lowerer) addBias(n *node, y, bias *slot, channels int) {
	level, pixels := lw.level, n.out[0].elems()/channels
	parts := lw.partsFor(float64(n.out[0].elems())*functionNanos, pixels)
	lw.emit(&step{node: n, kernel: "add bias", parts: parts, in: []*slot{bias, y}, out: []*slot{y}, run: func(f *frame, part int) error {
		rows := f.f32(y)[pixels*part/parts*channels : pixels*(part+1)/parts*channels]
		level.BinaryRows(kernel.Add, rows, rows, f.f32(bias))
		return nil
	}})
}

// packComputed emits the step that packs the weights of each group, and returns where the first lies.
func (lw *lowerer) packComputed(n *node, s *convSpec, weights *slot, groups int) int {
	packs, level, taps, og := lw.newPacks(groups), lw.level, s.taps(), s.o/groups
	order := kernel.Order{N: s.cg * taps, Tap: 1, K: taps}
	lw.emit(&step{node: n, kernel: "pack f32", parts: groups, in: []*slot{weights}, run: func(f *frame, g int) error {
		w := f.f32(weights)[g*og*s.cg*taps:]
		if s.depthwise() {
			f.packs[packs] = level.PackGroupedF32(w, s.o, 1, taps, order)
		} else {
			f.packs[packs+g] = level.PackF32(w, og, s.cg, taps, order)
		}
		return nil
	}})
	return packs
}

// expandGemms writes the Gemms that no constant matrix can be packed for as MatMul, which packs in each run, and those that
// read the left matrix transposed with a Transpose.
func expandGemms(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == "Gemm" && n.static() && len(n.out) == 1 && n.out[0].is(tensor.Float32) && n.in[0].elems() > 0 && n.out[0].elems() > 0 {
			e := &expander{g: g, n: n}
			switch {
			case n.in[1].konst == nil:
				e.computedGemm()
			case n.onnx.Bool("transA", false):
				e.straightGemm()
			}
		}
	}
	g.sweep()
}

// turned transposes a matrix where an attribute says so.
func (e *expander) turned(x *value, attr string) *value {
	if !e.n.onnx.Bool(attr, false) {
		return x
	}
	return e.put("Transpose", []int{x.shape[1], x.shape[0]}, []*graph.Attr{{Name: "perm", Value: []int64{1, 0}}}, x)
}

// computedGemm writes alpha·A·B + beta·C.
func (e *expander) computedGemm() {
	n, y := e.n, e.n.out[0]
	alpha, beta, c := n.onnx.Float("alpha", 1), n.onnx.Float("beta", 1), n.input(2)
	if !finite(alpha) || !finite(beta) {
		return
	}
	v := e.put("MatMul", y.shape, nil, e.turned(n.in[0], "transA"), e.turned(n.in[1], "transB"))
	if alpha != 1 {
		v = e.put("Mul", y.shape, nil, v, e.number(float64(alpha)))
	}
	if c != nil {
		if beta != 1 {
			c = e.put("Mul", c.shape, nil, c, e.number(float64(beta)))
		}
		v = e.put("Add", y.shape, nil, v, c)
	}
	e.end(v)
}

// straightGemm writes a Gemm without transA.
func (e *expander) straightGemm() {
	attrs := slices.DeleteFunc(slices.Clone(e.n.onnx.Attrs), func(a *graph.Attr) bool { return a.Name == "transA" })
	in := slices.Clone(e.n.in)
	in[0] = e.turned(in[0], "transA")
	e.end(e.put("Gemm", e.n.out[0].shape, attrs, in...))
}
