package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A convShape gives the sizes of a convolution with constant weights (O, C/group, KH, KW).
type convShape struct {
	o, cg, group int // output channels, input channels of a group, groups
	win          kernel.Window
	deep         *depth
}

func (s *convShape) inputs() int { return s.cg * s.group }
func (s *convShape) taps() int   { return s.deep.taps(s.win) }

// pointwise says whether each output pixel is made of the input pixel at the same place.
func (s *convShape) pointwise() bool { return s.deep.pointwise() && pointwise(s.win) }

func (s *convShape) sizeText() string { return s.deep.text(s.win) }

// A tapsKey is the geometry that a list of taps depends on.
type tapsKey struct {
	win  kernel.Window
	deep depth
}

// indirect lists where the taps of each output pixel begin, in an image of some pitch. Layers that are alike share it.
func (lw *lowerer) indirect(s *convShape, pitch int) *kernel.Indirect {
	k := tapsKey{win: s.win}
	k.win.Pitch = pitch
	if s.deep != nil {
		k.deep = *s.deep
	}
	ix := lw.taps[k]
	if ix == nil {
		ix = s.deep.indirect(k.win)
		if lw.taps == nil {
			lw.taps = map[tapsKey]*kernel.Indirect{}
		}
		lw.taps[k] = ix
	}
	return ix
}

// depthwise says whether each channel sees only itself.
func (s *convShape) depthwise() bool { return s.cg == 1 && s.group == s.o && s.group > 1 }

// fewChannels says whether the image is better taken row by row.
func (s *convShape) fewChannels() bool {
	return s.deep == nil && s.group == 1 && s.cg < rowTapChannels && s.win.KW > 1 && s.win.DilW == 1
}

func (s *convShape) macs(y *value) int64 { return int64(y.elems()) * int64(s.cg) * int64(s.taps()) }

// convShapeOf reads the sizes of a Conv node with weights of some shape.
func convShapeOf(n *node, w []int) (convShape, bool) {
	x, y := n.in[0], n.out[0]
	s := convShape{o: w[0], group: n.onnx.Int("group", 1)}
	if len(w) < 3 || len(w) != len(x.shape) || !kernelIs(n, w[2:]) || s.group < 1 || w[0]%s.group != 0 || w[1]*s.group != x.shape[1] || x.elems() == 0 || y.elems() == 0 {
		return s, false
	}
	s.cg = w[1]
	var ok bool
	s.win, s.deep, ok = geometry(n, x, y, w[2:], s.inputs())
	return s, ok
}

// kernelIs says whether the size of the kernel that n declares, if it does, is that of the weights.
func kernelIs(n *node, size []int) bool {
	k := n.onnx.Ints("kernel_shape")
	return len(k) == 0 || slices.Equal(k, size)
}

// seeing drops the kernel rows and columns of w, its last two dimensions, that meet padding alone wherever they lie: of
// kernels dilated beyond a small image, as in atrous pyramids, one tap may be left.
func (s *convShape) seeing(w *tensor.Tensor) *tensor.Tensor {
	if w.Rank() < 4 {
		return w // rows of one dimension are not worth it
	}
	n := &s.win
	y0, y1 := seen(n.KH, n.DilH, n.StrideH, n.Top, n.OH, n.H)
	x0, x1 := seen(n.KW, n.DilW, n.StrideW, n.Left, n.OW, n.W)
	if y1-y0 == n.KH && x1-x0 == n.KW {
		return w
	}
	kh, kw := y1-y0, x1-x0
	shape := append(slices.Clone(w.Shape[:w.Rank()-2]), kh, kw)
	out, size := tensor.New(w.DType, shape...), w.DType.ByteLen(1)
	for i := range w.Len() / (n.KH * n.KW) {
		for y := range kh {
			copy(out.Raw[(i*kh+y)*kw*size:][:kw*size], w.Raw[((i*n.KH+y0+y)*n.KW+x0)*size:])
		}
	}
	n.Top, n.Left, n.KH, n.KW = n.Top-y0*n.DilH, n.Left-x0*n.DilW, kh, kw
	return out
}

// seen gives the taps [from, to) of k that meet one of size positions for some output, and as many before as keep the
// padding from becoming negative; all where none does.
func seen(k, dilation, stride, pad, outs, size int) (from, to int) {
	meets := func(t int) bool {
		for o := range outs {
			if at := o*stride - pad + t*dilation; at >= 0 && at < size {
				return true
			}
		}
		return false
	}
	from, to = 0, k
	for from < k && !meets(from) {
		from++
	}
	if from == k {
		return 0, k
	}
	for !meets(to - 1) {
		to--
	}
	return min(from, pad/dilation), to
}

// A convSpec says what a "conv" node computes: a float convolution with constant weights. Operand 0 is
// the image; operand 1, where there is one, is added to the sums before the activation, or behind it.
type convSpec struct {
	convShape
	weight *tensor.Tensor // (O, C/group, KH, KW) or (O, C/group, KW)
	tail
}

func (s *convSpec) tailOf() *tail  { return &s.tail }
func (s *convSpec) operands() int  { return 1 }
func (s *convSpec) residual() bool { return true }
func (s *convSpec) late() bool     { return true }

func (s *convSpec) clone() product {
	c := *s
	c.tail = s.tail.clone()
	return &c
}

func (s *convSpec) channels() int       { return s.o }
func (s *convSpec) channelAxis(int) int { return 1 }

func (s *convSpec) scale(by []float32) {
	each := s.weight.Len() / len(by)
	s.weight = scaledBy(s.weight, func(i int) float32 { return by[i/each] })
}

// findConvs turns the float convolutions with constant weights into "conv" nodes.
func findConvs(g *net) {
	for _, n := range g.nodes {
		if n.kind != "Conv" || !n.static() || !n.in[0].is(tensor.Float32) || n.in[1].konst == nil {
			continue
		}
		if s, ok := convOf(n); ok {
			n.become("conv", s, n.in[0])
		}
	}
}

func convOf(n *node) (*convSpec, bool) {
	shape, ok := convShapeOf(n, n.in[1].shape)
	s := &convSpec{convShape: shape}
	if ok {
		s.weight = s.seeing(n.in[1].konst)
	}
	if b := n.input(2); b != nil && ok {
		if b.konst == nil || !sameShape(b.shape, []int{s.o}) {
			return nil, false
		}
		s.bias = tensor.Of[float32](b.konst)
	}
	return s, ok
}
