package engine

import (
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A convTranspose says what a "conv transpose" node computes: each input pixel times the weights of each
// tap, added up at the output pixels that the tap reaches.
type convTranspose struct {
	weight *tensor.Tensor // (C, O/group, KH, KW); nil: computed
	group  int
	cg, og int           // input and output channels of a group
	win    kernel.Window // seen from the output: H, W are those of the result, OH, OW of the operand
	deep   *depth        // likewise
	tail
}

func (s *convTranspose) tailOf() *tail       { return &s.tail }
func (s *convTranspose) operands() int       { return 1 }
func (s *convTranspose) residual() bool      { return false }
func (s *convTranspose) late() bool          { return false }
func (s *convTranspose) channels() int       { return s.og * s.group }
func (s *convTranspose) channelAxis(int) int { return 1 }
func (s *convTranspose) taps() int           { return s.deep.taps(s.win) }

func (s *convTranspose) clone() product {
	c := *s
	c.tail = s.tail.clone()
	return &c
}

func (s *convTranspose) scale(by []float32) {
	perIn := s.og * s.taps()
	s.weight = scaledBy(s.weight, func(i int) float32 {
		return by[i/perIn/s.cg*s.og+i/s.taps()%s.og]
	})
}

// findConvTransposes turns ConvTranspose with constant weights and bias into "conv transpose" nodes.
func findConvTransposes(g *net) {
	for _, n := range g.nodes {
		if n.kind != "ConvTranspose" || !n.static() || !n.in[0].is(tensor.Float32) || n.in[1].konst == nil || n.in[0].elems() == 0 {
			continue
		}
		if b := n.input(2); b != nil && b.konst == nil {
			continue
		}
		if s, ok := convTransposeOf(n); ok {
			n.become("conv transpose", s, n.in[0])
		}
	}
}

func convTransposeOf(n *node) (*convTranspose, bool) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	group := n.onnx.Int("group", 1)
	if len(w.shape) != len(x.shape) || !kernelIs(n, w.shape[2:]) || group < 1 || x.shape[1]%group != 0 || w.shape[0] != x.shape[1] || y.elems() == 0 {
		return nil, false
	}
	s := &convTranspose{weight: w.konst, group: group, cg: x.shape[1] / group, og: w.shape[1]}
	if b := n.input(2); b != nil {
		if !sameShape(b.shape, []int{s.channels()}) {
			return nil, false
		}
		if b.konst != nil {
			s.bias = tensor.Of[float32](b.konst)
		}
	}
	front, err := op.ConvTransposeFront(n.onnx, x.shape, w.shape)
	if err != nil {
		return nil, false
	}
	given := *n
	given.onnx = &graph.Node{Op: n.onnx.Op, Attrs: []*graph.Attr{{Name: "pads", Value: tensor.Of[int64](shapeOf(append(front, front...)))}}}
	for _, a := range n.onnx.Attrs {
		if a.Name == "strides" || a.Name == "dilations" {
			given.onnx.Attrs = append(given.onnx.Attrs, a)
		}
	}
	var ok bool
	s.win, s.deep, ok = geometry(&given, y, x, w.shape[2:], s.channels())
	return s, ok
}

// lowerConvTranspose emits a transposed convolution with constant weights.
func lowerConvTranspose(lw *lowerer, n *node) bool {
	s := n.spec.(*convTranspose)
	lw.convTranspose(n, s)
	s.weight = nil
	return true
}

// convTranspose emits phases, or a product for all taps and a step that gathers its sums.
func (lw *lowerer) convTranspose(n *node, s *convTranspose) {
	if phases := s.phases(); phases != nil {
		if s.depthwise() {
			lw.phasedDepthwise(n, s, phases)
		} else {
			lw.phasedDense(n, s, phases)
		}
		return
	}
	x := lw.use(n.in[0], channelsLast)
	im := imageOf(n.in[0], n.out[0])
	pixels := im.in / n.in[0].shape[1]
	packs := transposePacks(lw, n, s, "conv transpose f32", func(w []float32) []*kernel.PackedF32 { return s.packTaps(lw.level, w) })
	width := s.group * s.taps() * s.og
	sums := lw.scratch(tensor.Float32, im.batch*pixels*width)
	macs := int64(im.batch*pixels) * int64(width) * int64(s.cg)
	cuts := lw.rowCuts(image{im.batch, im.in, pixels * width, pixels}, 1, float64(macs)*f32Nanos, nil)
	c := s.cg * s.group
	lw.emit(&step{node: n, kernel: "f32 conv transpose " + s.deep.text(s.win), macs: macs, parts: len(cuts), in: []*slot{x}, out: []*slot{sums}, run: func(f *frame, part int) error {
		k := cuts[part]
		for g, w := range packs(f) {
			out := &kernel.OutF32{C: f.f32(sums)[k.image*pixels*width:][:pixels*width][g*s.taps()*s.og:], Ldc: width}
			w.Gemm(f.f32(x)[k.image*im.in:][:im.in][g*s.cg:], c, out, kernel.Range{M0: k.M0, M1: k.M1, P1: w.Panels()})
		}
		return nil
	}})
	lw.gatherTaps(n, s, sums, im)
}

// transposePacks returns what tells the weights of s in a form: packed once, or in a step of each run where they are computed.
func transposePacks[T any](lw *lowerer, n *node, s *convTranspose, form string, pack func(w []float32) T) func(f *frame) T {
	if s.weight != nil {
		p := packed(lw.packs, packKey{n.out[0].name, form}, []*tensor.Tensor{s.weight}, func() T { return pack(tensor.Of[float32](s.weight)) })
		return func(*frame) T { return p }
	}
	weights, at := lw.use(n.in[1], rowMajor), lw.newPacks(1)
	lw.emit(&step{node: n, kernel: "pack f32", parts: 1, in: []*slot{weights}, run: func(f *frame, _ int) error {
		f.packs[at] = pack(f.f32(weights))
		return nil
	}})
	return func(f *frame) T { return f.packs[at].(T) }
}

// packTaps packs the weights of each group as (C/group, taps·O/group).
func (s *convTranspose) packTaps(l kernel.Level, weights []float32) []*kernel.PackedF32 {
	w := make([]float32, len(weights))
	kernel.Permute(l, w, weights, []int{s.cg * s.group, s.og, s.taps()}, []int{0, 2, 1})
	cols := s.taps() * s.og
	return packGroups(s.group, func(g int) *kernel.PackedF32 {
		return l.PackF32(w[g*s.cg*cols:], cols, s.cg, 1, kernel.Order{N: 1, K: cols})
	})
}

// gatherTaps adds up for each output pixel what the taps give it, in the order of the taps.
func (lw *lowerer) gatherTaps(n *node, s *convTranspose, sums *slot, im image) {
	dst := lw.make(n.out[0], channelsLast)
	o, width, level := s.channels(), s.group*s.taps()*s.og, lw.level
	out := image{im.batch, 0, 0, im.rows / s.win.W}
	pixels := im.in / n.in[0].shape[1]
	cuts := lw.rowCuts(out, 1, float64(n.out[0].elems())*functionNanos*4, nil)
	lw.emit(&step{node: n, kernel: "gather taps" + s.act.text, parts: len(cuts), in: []*slot{sums}, out: []*slot{dst}, run: func(f *frame, part int) error {
		k := cuts[part]
		image := f.f32(dst)[k.image*im.out:][:im.out]
		from := f.f32(sums)[k.image*pixels*width:]
		for y := k.M0; y < k.M1; y++ {
			s.gatherLine(level, image[y*s.win.W*o:][:s.win.W*o], from, y)
		}
		s.act.finish(level, image, o, tile{k.M0 * s.win.W, k.M1 * s.win.W, 0, o})
		if s.act.lo != s.act.hi {
			rows := image[k.M0*s.win.W*o : k.M1*s.win.W*o]
			level.UnaryWith(kernel.Clamp, rows, rows, s.act.lo, s.act.hi)
		}
		return nil
	}})
}

// gatherLine fills one line of the result, of all slices together.
func (s *convTranspose) gatherLine(l kernel.Level, dst, sums []float32, line int) {
	o, width := s.channels(), s.group*s.taps()*s.og
	z, y := line/s.win.H, line%s.win.H
	slice, plane := s.win.OH*s.win.OW*width, s.win.KH*s.win.KW
	if s.disjoint() {
		kz := 0
		if s.deep != nil {
			z, kz = z/s.deep.kernel, z%s.deep.kernel
		}
		s.dealLine(l, dst, sums[z*slice+y/s.win.KH*s.win.OW*width:], kz*s.win.KH+y%s.win.KH)
		return
	}
	clear(dst)
	if s.bias != nil {
		l.BinaryRows(kernel.Add, dst, dst, s.bias[:o])
	}
	if s.deep == nil {
		s.addPlane(l, dst, sums, y)
		return
	}
	for k := range s.deep.kernel {
		if at := z + s.deep.before - k*s.deep.dilation; at >= 0 && at%s.deep.stride == 0 && at/s.deep.stride < s.deep.out {
			s.addPlane(l, dst, sums[at/s.deep.stride*slice+k*plane*s.og:], y)
		}
	}
}

// addPlane adds to line y of a slice what the taps of one slice of the kernel give it, whose sums begin the lines of sums.
func (s *convTranspose) addPlane(l kernel.Level, dst, sums []float32, y int) {
	o, width := s.channels(), s.group*s.taps()*s.og
	for t := range s.win.KH * s.win.KW {
		at := y + s.win.Top - t/s.win.KW*s.win.DilH
		if at < 0 || at%s.win.StrideH != 0 || at/s.win.StrideH >= s.win.OH {
			continue
		}
		line := sums[at/s.win.StrideH*s.win.OW*width:]
		shift := t%s.win.KW*s.win.DilW - s.win.Left
		first := max(0, (s.win.StrideW-1-shift)/s.win.StrideW) // whose pixels of the result lie within it
		count := min(s.win.OW, (s.win.W-1-shift+s.win.StrideW)/s.win.StrideW) - first
		if count <= 0 {
			continue
		}
		to, from := dst[(first*s.win.StrideW+shift)*o:], line[first*width+t*s.og:]
		if s.group == 1 && o <= fewChannels {
			addApart(to, from, o, count, s.win.StrideW*o, width)
			continue
		}
		for i := range count {
			s.addTap(l, to[i*s.win.StrideW*o:][:o], from[i*width:])
		}
	}
}

// fewChannels is how many are added one by one: a kernel's call takes longer.
const fewChannels = 8

// addApart adds count runs of o numbers, those of x being width apart, to those that are step apart.
func addApart(dst, x []float32, o, count, step, width int) {
	switch o {
	case 1:
		for i := range count {
			dst[i*step] += x[i*width]
		}
	case 3: // red, green, blue
		for i := range count {
			to, from := dst[i*step:][:3], x[i*width:][:3]
			to[0] += from[0]
			to[1] += from[1]
			to[2] += from[2]
		}
	default:
		for i := range count {
			to, from := dst[i*step:][:o], x[i*width:][:o]
			for c, v := range from {
				to[c] += v
			}
		}
	}
}

// disjoint says whether each output pixel gets something from one tap of one input pixel.
func (s *convTranspose) disjoint() bool {
	w, d := &s.win, s.deep
	if d != nil && (d.stride != d.kernel || d.dilation != 1 || d.before != 0 || d.size != d.out*d.kernel) {
		return false
	}
	return s.group == 1 && w.StrideH == w.KH && w.StrideW == w.KW && w.DilH == 1 && w.DilW == 1 && w.Top == 0 && w.Left == 0 && w.H == w.OH*w.KH && w.W == w.OW*w.KW
}

// dealLine fills a line of disjoint taps from kernel row ky of a line of sums.
func (s *convTranspose) dealLine(l kernel.Level, dst, sums []float32, ky int) {
	n, width := s.win.KW*s.og, s.taps()*s.og
	from := ky * n
	for i := 0; i < len(dst); i += n {
		copy(dst[i:i+n], sums[from:from+n])
		from += width
	}
	switch {
	case s.bias == nil:
	case s.og == 1:
		l.BinaryScalar(kernel.Add, dst, dst, s.bias[0])
	default:
		l.BinaryRows(kernel.Add, dst, dst, s.bias[:s.og])
	}
}

// addTap adds what one tap of one input pixel gives to the channels of an output pixel.
func (s *convTranspose) addTap(l kernel.Level, dst, row []float32) {
	if s.og == 1 {
		for g := range dst {
			dst[g] += row[g*s.taps()]
		}
		return
	}
	for g := range s.group {
		part := dst[g*s.og:][:s.og]
		l.Binary(kernel.Add, part, part, row[g*s.taps()*s.og:])
	}
}
