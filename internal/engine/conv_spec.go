package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A convSpec says what a "conv" node computes: a float convolution with constant weights. Operand 0 is
// the image; operand 1, where there is one, is added to the sums before the activation.
type convSpec struct {
	weight *tensor.Tensor // (O, C/group, KH, KW) or (O, C/group, KW)
	group  int
	win    kernel.Window
	tail
}

func (s *convSpec) tailOf() *tail { return &s.tail }

func (s *convSpec) clone() product {
	c := *s
	c.tail = s.tail.clone()
	return &c
}

func (s *convSpec) channels() int       { return s.outputs() }
func (s *convSpec) channelAxis(int) int { return 1 }

func (s *convSpec) scale(by []float32) {
	each := s.weight.Len() / len(by)
	s.weight = scaledBy(s.weight, func(i int) float32 { return by[i/each] })
}

func (s *convSpec) outputs() int { return s.weight.Shape[0] }
func (s *convSpec) inputs() int  { return s.weight.Shape[1] * s.group }
func (s *convSpec) taps() int    { return s.win.KH * s.win.KW }

// depthwise says whether each channel sees only itself.
func (s *convSpec) depthwise() bool {
	return s.weight.Shape[1] == 1 && s.group == s.outputs() && s.group > 1
}

// fewChannels says whether the image is better taken row by row.
func (s *convSpec) fewChannels() bool {
	return s.group == 1 && s.inputs() < rowTapChannels && s.win.KW > 1 && s.win.DilW == 1
}

func (s *convSpec) macs(y *value) int64 {
	return int64(y.elems()) * int64(s.weight.Shape[1]) * int64(s.taps())
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
	x, w := n.in[0], n.in[1]
	s := &convSpec{weight: w.konst, group: n.onnx.Int("group", 1)}
	if len(w.shape) != len(x.shape) || s.group < 1 || w.shape[0]%s.group != 0 || s.inputs() != x.shape[1] || x.elems() == 0 {
		return nil, false
	}
	if b := n.input(2); b != nil {
		if b.konst == nil {
			return nil, false
		}
		s.bias = tensor.Of[float32](b.konst)
	}
	var ok bool
	s.win, ok = geometry(n, x, n.out[0], w.shape[2:], s.inputs())
	return s, ok && n.out[0].elems() > 0
}
