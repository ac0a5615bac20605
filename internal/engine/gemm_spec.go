package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// A gemmSpec says what a "gemm" node computes: rows of operand 0 times a constant matrix. Operand 1,
// where there is one, is added to the sums before the activation.
type gemmSpec struct {
	weight *tensor.Tensor // two-dimensional; nil where it is stored and nobody wanted it so far
	order  kernel.Order   // how it is read
	k, n   int
	few    *fewBits      // the same in the few bits that the file has; nil: it has none
	stored *storedMatrix // where both are to be had from; nil: they are there
	tail

	eightBits bool // the file lets activations be rounded to eight bits, by blocks
}

// A storedMatrix is a matrix that an operator holds in codes. It is read when it is packed, not for each set of input shapes.
type storedMatrix struct {
	parts  []*tensor.Tensor // what the operator holds of it
	few    func() *fewBits  // nil: it is not in few bits
	dense  func() *tensor.Tensor
	halves *tensor.Tensor // the same in 16-bit floats; nil: it is not in them
	turned bool           // halves are its transpose
}

// dense makes the weight as numbers.
func (s *gemmSpec) dense() {
	if s.weight == nil {
		s.weight = s.stored.dense()
	}
}

// inFewBits says whether the weight is to be had in few bits.
func (s *gemmSpec) inFewBits() bool { return s.few != nil || s.stored != nil && s.stored.few != nil }

// source tells the weight from others.
func (s *gemmSpec) source() []*tensor.Tensor {
	if s.stored != nil {
		return s.stored.parts
	}
	return []*tensor.Tensor{s.weight}
}

// fewBits is the weight in few bits, nil where there are no kernels for it.
func (s *gemmSpec) fewBits() *fewBits {
	b := s.few
	if s.stored != nil && s.stored.few != nil {
		b = s.stored.few()
	}
	if b == nil || b.K != s.k || b.N != s.n {
		return nil
	}
	return b
}

func (s *gemmSpec) tailOf() *tail  { return &s.tail }
func (s *gemmSpec) operands() int  { return 1 }
func (s *gemmSpec) residual() bool { return true }
func (s *gemmSpec) late() bool     { return false }

func (s *gemmSpec) clone() product {
	c := *s
	c.tail = s.tail.clone()
	return &c
}

func (s *gemmSpec) channels() int            { return s.n }
func (s *gemmSpec) channelAxis(rank int) int { return rank - 1 }

func (s *gemmSpec) scale(by []float32) {
	if s.stored != nil {
		s.dense()
		s.few, s.stored = s.fewBits(), nil
	}
	s.weight = scaledBy(s.weight, func(i int) float32 { return by[i/s.order.N%s.n] })
	if s.few != nil {
		s.few = s.few.scaled(by)
	}
}

// findGemms turns the float products with a constant right side into "gemm" nodes.
func findGemms(g *net) {
	for _, n := range g.nodes {
		if _, ok := gemms[n.kind]; !ok || n.in[1] == nil || n.in[1].konst == nil {
			continue
		}
		if s, ok := constantGemm(n); ok {
			n.become("gemm", s, n.in[0])
		}
	}
}

// constantGemm is the product that n is with a right side that is constant or stored.
func constantGemm(n *node) (*gemmSpec, bool) {
	if !n.static() || !n.in[0].is(tensor.Float32) || n.in[0].elems() == 0 || n.out[0].elems() == 0 {
		return nil, false
	}
	return gemms[n.kind](n)
}

var gemms = map[string]func(n *node) (*gemmSpec, bool){
	"MatMul": gemmOfMatMul,
	"Gemm":   gemmOfGemm,

	"com.microsoft.MatMulNBits": gemmOfNBits,
	"com.microsoft.MatMulBnb4":  gemmOfBnb4,
}

func gemmOfMatMul(n *node) (*gemmSpec, bool) {
	x, w := n.in[0], n.in[1]
	if len(w.shape) != 2 || len(x.shape) < 2 {
		return nil, false
	}
	s := &gemmSpec{k: w.shape[0], n: w.shape[1], order: kernel.Order{N: 1, K: w.shape[1]}}
	s.hold(w, 1)
	return s, true
}

// hold sets the matrix to w, whose axis columns holds the output columns.
func (s *gemmSpec) hold(w *value, columns int) {
	if w.konst == nil {
		s.stored = w.stored(columns)
		return
	}
	s.weight, s.few = w.konst, w.fewBits(columns)
}

// gemmOfGemm takes alpha·A·B + beta·C with C a row, alpha and beta multiplied in.
func gemmOfGemm(n *node) (*gemmSpec, bool) {
	alpha, beta := n.onnx.Float("alpha", 1), n.onnx.Float("beta", 1)
	if n.onnx.Bool("transA", false) || !finite(alpha) || !finite(beta) {
		return nil, false
	}
	w := n.in[1]
	s := &gemmSpec{k: w.shape[0], n: w.shape[1], order: kernel.Order{N: 1, K: w.shape[1]}}
	axis := 1 // of the columns
	if n.onnx.Bool("transB", false) {
		s.k, s.n, s.order, axis = s.n, s.k, kernel.Order{N: w.shape[1], K: 1}, 0
	}
	switch {
	case alpha == 1:
		s.hold(w, axis)
	case w.konst == nil:
		return nil, false
	default:
		s.weight = scaled(w.konst, alpha)
	}
	if c := n.input(2); c != nil {
		bias, ok := rowOf(c, s.n)
		if !ok {
			return nil, false
		}
		s.bias = tensor.Of[float32](scaled(tensor.Float32s(bias, s.n), beta))
	}
	return s, true
}

// gemmOfNBits takes a weight of few bits, with its scales by blocks, as the floats that it means.
func gemmOfNBits(n *node) (*gemmSpec, bool) {
	in := make([]*tensor.Tensor, len(n.in))
	for i, v := range n.in[1:] {
		if v != nil && v.konst == nil {
			return nil, false
		} else if v != nil {
			in[i+1] = v.konst
		}
	}
	if op.CheckWeight(n.onnx, in) != nil {
		return nil, false
	}
	s := &gemmSpec{k: n.onnx.Int("K", 0), n: n.onnx.Int("N", 0), eightBits: n.onnx.Int("accuracy_level", 0) == 4}
	s.order = kernel.Order{N: 1, K: s.n}
	s.stored = n.storedMatrix()
	s.stored.dense = func() *tensor.Tensor {
		w, _ := op.DenseWeight(n.onnx, in) // it was checked
		return w
	}
	if b := n.input(5); b != nil {
		row, ok := rowOf(b, s.n)
		if s.bias = row; !ok {
			return nil, false
		}
	}
	return s, true
}

// storedMatrix is the matrix that an operator of [weight.ReadStoredProduct] multiplies by; dense remains to be set.
func (n *node) storedMatrix() *storedMatrix {
	m, src := &storedMatrix{}, operandsOf(n)
	for _, v := range n.in[1:] {
		if v != nil {
			m.parts = append(m.parts, v.konst)
		}
	}
	m.few = func() *fewBits { return fewOf(weight.ReadStoredProduct(src, n.onnx)).matrix(0) }
	return m
}

// scaled returns a float tensor times a number; the tensor itself for 1.
func scaled(t *tensor.Tensor, by float32) *tensor.Tensor {
	if by == 1 {
		return t
	}
	return scaledBy(t, func(int) float32 { return by })
}

// scaledBy returns a float tensor with element i multiplied by by(i).
func scaledBy(t *tensor.Tensor, by func(i int) float32) *tensor.Tensor {
	c := tensor.New(tensor.Float32, t.Shape...)
	dst := tensor.Of[float32](c)
	for i, v := range tensor.Of[float32](t) {
		dst[i] = v * by(i)
	}
	return c
}

// rowOf reads a constant that is broadcast to all rows of n columns: n numbers, or one.
func rowOf(v *value, n int) ([]float32, bool) {
	if v == nil || v.konst == nil || !v.is(tensor.Float32) {
		return nil, false
	}
	src := tensor.Of[float32](v.konst)
	if len(src) == n && (len(v.shape) == 0 || v.shape[len(v.shape)-1] == n) {
		return src, true
	}
	if len(src) != 1 {
		return nil, false
	}
	row := make([]float32, n)
	for i := range row {
		row[i] = src[0]
	}
	return row, true
}
