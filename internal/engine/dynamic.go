package engine

import "lowbit/internal/tensor"

// Products of codes whose scale is found in each run: DynamicQuantizeLinear → ConvInteger or
// MatMulInteger → Cast → Mul by both scales [→ Add]. The nodes that stand for them read the codes, their
// scale and their zero point.

// A dynamicScale is what both kinds of product have in common.
type dynamicScale struct {
	wscale []float32 // of the weights, by column
	tail
}

func (d *dynamicScale) tailOf() *tail  { return &d.tail }
func (d *dynamicScale) operands() int  { return 3 }
func (d *dynamicScale) residual() bool { return false }

func (d *dynamicScale) scale(by []float32) {
	s := make([]float32, len(by))
	for i, v := range by {
		s[i] = d.wscale[i] * v
	}
	d.wscale = s
}

// A dynamicConv says what a "dynamic conv" node computes.
type dynamicConv struct {
	convShape
	weight *tensor.Tensor // int8
	dynamicScale
}

func (s *dynamicConv) clone() product {
	c := *s
	c.tail = s.tail.clone()
	return &c
}
func (s *dynamicConv) channels() int       { return s.o }
func (s *dynamicConv) channelAxis(int) int { return 1 }

// A dynamicGemm says what a "dynamic gemm" node computes.
type dynamicGemm struct {
	weight *tensor.Tensor // int8, (K, N)
	k, n   int
	dynamicScale
}

func (s *dynamicGemm) clone() product {
	c := *s
	c.tail = s.tail.clone()
	return &c
}
func (s *dynamicGemm) channels() int            { return s.n }
func (s *dynamicGemm) channelAxis(rank int) int { return rank - 1 }

// findDynamic finds such products.
func findDynamic(g *net) {
	for _, n := range g.nodes {
		if n.kind != "ConvInteger" && n.kind != "MatMulInteger" || !n.static() || n.out[0].elems() == 0 {
			continue
		}
		q := dynamicCodes(n)
		if q == nil {
			continue
		}
		mul, wscale, ok := scaledSums(n, q)
		if !ok {
			continue
		}
		w, ok := centredWeights(n)
		if !ok {
			continue
		}
		if n.kind == "ConvInteger" {
			g.dynamicConv(n, mul, q, w, wscale)
		} else {
			g.dynamicGemm(n, mul, q, w, wscale)
		}
	}
	g.sweep()
}

// dynamicCodes returns the DynamicQuantizeLinear node that gives the left side of n and its zero point.
func dynamicCodes(n *node) *node {
	q := n.in[0].def
	if q == nil || q.kind != "DynamicQuantizeLinear" || q.out[0] != n.in[0] || n.input(2) == nil || n.input(2) != q.out[2] {
		return nil
	}
	return q
}

// scaledSums follows the sums through Cast and Mul by the product of the scale of q and a constant one.
func scaledSums(n, q *node) (mul *node, wscale []float32, ok bool) {
	cast := n.out[0].single()
	if cast == nil || cast.kind != "Cast" || !cast.out[0].is(tensor.Float32) {
		return nil, nil, false
	}
	mul = cast.out[0].single()
	if mul == nil || mul.kind != "Mul" || !sameShape(mul.out[0].shape, n.out[0].shape) {
		return nil, nil, false
	}
	s := other(mul, cast.out[0]).def
	if s == nil || s.kind != "Mul" || s.in[0] != q.out[1] && s.in[1] != q.out[1] {
		return nil, nil, false
	}
	w := other(s, q.out[1])
	if w.konst == nil || !w.is(tensor.Float32) {
		return nil, nil, false
	}
	return mul, tensor.Of[float32](w.konst), true
}

// centredWeights returns the constant weights of n as int8 without their zero point, one for all.
func centredWeights(n *node) (*tensor.Tensor, bool) {
	w, zeros := n.in[1], []int{0}
	if w.konst == nil || w.dtype.Bits() != 8 || len(w.shape) < 2 {
		return nil, false
	}
	if z := n.input(3); z != nil {
		var ok bool
		if zeros, ok = intsOf(z); !ok || len(zeros) != 1 {
			return nil, false
		}
	}
	codes, err := w.konst.Ints()
	if err != nil {
		return nil, false
	}
	return centred(codes, zeros, w.shape, 0)
}

// spread repeats a single scale for n columns.
func spread(scale []float32, n int) []float32 {
	if len(scale) == n {
		return scale
	}
	if len(scale) != 1 {
		return nil
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = scale[0]
	}
	return out
}

func (g *net) dynamicConv(n, mul, q *node, w *tensor.Tensor, wscale []float32) {
	shape, ok := convShapeOf(n, w.Shape)
	s := &dynamicConv{convShape: shape, weight: w}
	if s.wscale = spread(wscale, shape.o); ok && s.wscale != nil && (len(wscale) == 1 || shape.o == len(wscale)) {
		mul.become("dynamic conv", s, q.out[0], q.out[1], q.out[2])
	}
}

func (g *net) dynamicGemm(n, mul, q *node, w *tensor.Tensor, wscale []float32) {
	if len(w.Shape) != 2 || len(n.in[0].shape) < 2 {
		return
	}
	s := &dynamicGemm{weight: w, k: w.Shape[0], n: w.Shape[1]}
	if s.wscale = spread(wscale, s.n); s.wscale != nil {
		mul.become("dynamic gemm", s, q.out[0], q.out[1], q.out[2])
	}
}
