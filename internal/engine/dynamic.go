package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Products of codes whose scale is found in each run: DynamicQuantizeLinear → ConvInteger or
// MatMulInteger → Cast → Mul by both scales [→ Add]. The nodes that stand for them read the codes, their
// scale and their zero point. Where something else follows the sums, they read no scale and yield the sums.

// A dynamicScale is what both kinds of product have in common.
type dynamicScale struct {
	cols   int
	wscale []float32 // of the weights, by column; nil: the result is the int32 sums
	tail
}

func (d *dynamicScale) tailOf() *tail  { return &d.tail }
func (d *dynamicScale) operands() int  { return 3 }
func (d *dynamicScale) residual() bool { return false }
func (d *dynamicScale) late() bool     { return false }

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
	weight *tensor.Tensor // int8
	order  kernel.Order
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
	for _, n := range slices.Clone(g.nodes) {
		if n.kind != "ConvInteger" && n.kind != "MatMulInteger" || !n.static() || n.out[0].elems() == 0 {
			continue
		}
		parts, ok := centredWeights(n)
		if !ok {
			continue
		}
		if q := dynamicCodes(n); q == nil || !g.scaledProduct(n, q, parts) {
			g.plainProduct(n, parts)
		}
	}
	g.sweep()
}

// scaledProduct makes n and the Cast and Mul behind it one node, or several and their sum where the weights are the sum
// of parts.
func (g *net) scaledProduct(n, q *node, parts []*tensor.Tensor) bool {
	mul, wscale, ok := scaledSums(n, q)
	if !ok {
		return false
	}
	kind, spec := integerProduct(n, parts[0])
	if spec == nil {
		return false
	}
	d := spec.scaleOf()
	if d.wscale = spread(wscale, d.cols); d.wscale == nil {
		return false
	}
	if len(parts) == 1 {
		mul.become(kind, spec, q.out[0], q.out[1], q.out[2])
		return true
	}
	var sums []*value
	for _, w := range parts {
		_, s := integerProduct(n, w)
		s.scaleOf().wscale = d.wscale
		y := g.newValue(mul.out[0], tensor.Float32, mul.out[0].shape)
		g.insert(newNode(kind, n, s, []*value{q.out[0], q.out[1], q.out[2]}, []*value{y}), mul)
		sums = append(sums, y)
	}
	mul.version = opsetVersion(g.model.Opsets, "")
	g.becomeSum(mul, sums)
	return true
}

// plainProduct makes n a node that yields its sums, of uint8 codes, or several such nodes and their sum
// where the weights are the sum of parts.
func (g *net) plainProduct(n *node, parts []*tensor.Tensor) {
	x, z := n.in[0], n.input(2)
	switch {
	case z == nil && x.dtype == tensor.Int8:
		z = g.constant(x.name+"·zero", &tensor.Tensor{DType: tensor.Uint8, Raw: []byte{128}})
	case z == nil:
		z = g.constant(x.name+"·zero", tensor.New(tensor.Uint8))
	case z.elems() != 1:
		return
	case z.dtype == tensor.Int8:
		z = g.unsigned(z, n)
	}
	kind, spec := integerProduct(n, parts[0])
	if spec == nil {
		return
	}
	if x.dtype == tensor.Int8 {
		x = g.unsigned(x, n)
	}
	if len(parts) == 1 {
		n.become(kind, spec, x, nil, z)
		return
	}
	sum := func() *value { return g.newValue(n.out[0], tensor.Int32, n.out[0].shape) }
	var all *value
	for i, w := range parts {
		_, s := integerProduct(n, w)
		y := sum()
		g.insert(newNode(kind, n, s, []*value{x, nil, z}, []*value{y}), n)
		switch {
		case i == 0:
			all = y
		case i == len(parts)-1:
			n.become("add sums", nil, all, y)
		default:
			both := sum()
			g.insert(newNode("add sums", n, nil, []*value{all, y}, []*value{both}), n)
			all = both
		}
	}
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

// centredWeights returns the constant weights of n without their zero points, one for all or one for
// each column, as the sum of as few int8 tensors as make it.
func centredWeights(n *node) ([]*tensor.Tensor, bool) {
	v, zeros, axis := n.in[1], []int{0}, 0
	if v.konst == nil || v.dtype.Bits() != 8 || len(v.shape) < 2 {
		return nil, false
	}
	if n.kind == "MatMulInteger" {
		axis = len(v.shape) - 1
	}
	if z := n.input(3); z != nil {
		var ok bool
		if zeros, ok = intsOf(z); !ok || len(zeros) != 1 && (len(zeros) != v.shape[axis] || z.shape[len(z.shape)-1] != len(zeros)) {
			return nil, false
		}
	}
	if w, ok := centred(v.konst, zeros, axis); ok {
		return []*tensor.Tensor{w}, true
	}
	parts, err := planes(v.konst, zeros, axis)
	return parts, err == nil
}

// planes writes the differences of 8-bit codes and zero points as sums of int8 numbers: two, and three
// where there is a difference of 255.
func planes(codes *tensor.Tensor, zeros []int, axis int) ([]*tensor.Tensor, error) {
	list, err := codes.Ints()
	if err != nil {
		return nil, err
	}
	left := make([]int, len(list))
	eachZero(codes.Shape, zeros, axis, func(at, n, zero int) {
		for i := at; i < at+n; i++ {
			left[i] = int(list[i]) - zero
		}
	})
	var parts []*tensor.Tensor
	for more := true; more; {
		more = false
		p := tensor.New(tensor.Int8, codes.Shape...)
		for i, v := range left {
			near := min(max(v, -128), 127)
			tensor.Of[int8](p)[i] = int8(near)
			left[i] = v - near
			more = more || left[i] != 0
		}
		parts = append(parts, p)
	}
	return parts, nil
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

// integerProduct returns n as a product of codes with the weights w, nil where it has no such form.
func integerProduct(n *node, w *tensor.Tensor) (kind string, spec dynamicProduct) {
	if n.kind == "ConvInteger" {
		if shape, ok := convShapeOf(n, w.Shape); ok {
			return "dynamic conv", &dynamicConv{convShape: shape, weight: w, dynamicScale: dynamicScale{cols: shape.o}}
		}
		return "", nil
	}
	if len(w.Shape) != 2 || len(n.in[0].shape) < 2 {
		return "", nil
	}
	return "dynamic gemm", &dynamicGemm{weight: w, order: kernel.Order{N: 1, K: w.Shape[1]}, k: w.Shape[0], n: w.Shape[1], dynamicScale: dynamicScale{cols: w.Shape[1]}}
}

type dynamicProduct interface{ scaleOf() *dynamicScale }

func (d *dynamicScale) scaleOf() *dynamicScale { return d }
