package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// fewLeast is how many weights a matrix has at least that is kept in few bits for float products: smaller
// ones stay in a core's cache as floats.
const fewLeast = 1 << 16

// noteFewBits notes which right sides of products the file spells in few bits. They are floats to all
// other passes.
func noteFewBits(g *net) {
	for _, n := range g.nodes {
		if n.kind != "MatMul" && n.kind != "Gemm" || len(n.in) < 2 || n.in[1] == nil || n.in[1].few != nil {
			continue
		}
		w := n.in[1]
		name := n.names[1]
		turned := turnedMatrix(w)
		if turned {
			name = w.def.onnx.In[0]
		}
		if w.def == nil || len(w.shape) != 2 || w.elems() < fewLeast || multipliesCodes(n) {
			continue
		}
		if d := w.dequantizer(); d != nil {
			w.few, w.fewTurned = &fewStored{from: &oneNode{operandsOf(d), d.onnx}}, turned
		} else if d := w.widener(); d != nil {
			w.few, w.fewTurned = fewHalves(d.in[0].konst), turned
		} else if c := readFew(weight.Read(known{g}, name)); c != nil {
			w.few, w.fewTurned = c, turned
		}
	}
}

// maker is the node that makes v, or what v is the transpose of; nil where there is none.
func (v *value) maker() *node {
	if v.def != nil && turnedMatrix(v) {
		return v.def.in[0].def
	}
	return v.def
}

// widener is the node that makes float32 of stored 16-bit floats for a matrix, or for one of which v is the transpose; nil where
// there is none.
func (v *value) widener() *node {
	if d := v.maker(); v.is(tensor.Float32) && widens(d) {
		return d
	}
	return nil
}

// widens says whether n makes float32 of a stored matrix of 16-bit floats that is worth keeping in them.
func widens(n *node) bool {
	if n == nil || n.kind != "Cast" || !n.static() || !n.out[0].is(tensor.Float32) {
		return false
	}
	x := n.in[0]
	return x.konst != nil && isHalf(x) && len(x.shape) == 2 && x.elems() >= fewLeast
}

// dequantizer is the node that gives the codes of a matrix of float32, or of one of which v is the transpose, their meaning:
// whole numbers that are stored with parameters as the operator wants them; nil where there is none.
func (v *value) dequantizer() *node {
	d := v.maker()
	if d == nil || d.kind != "DequantizeLinear" || !d.static() || !v.is(tensor.Float32) {
		return nil
	}
	codes, scale, zero := d.in[0], d.in[1], d.input(2)
	if codes.konst == nil || scale.konst == nil || !codes.dtype.IsInt() || codes.dtype.Bits() > 8 || !scale.is(tensor.Float32) {
		return nil
	}
	if zero != nil && (zero.konst == nil || zero.dtype != codes.dtype || !sameShape(zero.shape, scale.shape)) || !scalesFit(d) {
		return nil
	}
	return d
}

// scalesFit says whether a DequantizeLinear has a scale for all elements, for each index of an axis, or for each block along it.
func scalesFit(d *node) bool {
	x, scale, block := d.in[0].shape, d.in[1].shape, d.onnx.Int("block_size", 0)
	if len(scale) == 0 {
		return block == 0
	}
	axis, ok := quantizedAxis(d)
	if !ok {
		return false
	}
	if block == 0 {
		return len(scale) == 1 && scale[0] == x[axis]
	}
	want := slices.Clone(x)
	want[axis] = (x[axis] + block - 1) / max(block, 1)
	return block > 0 && sameShape(scale, want)
}

// keepStored makes products with stored matrices "gemm" nodes before these become float32, which takes two to eight times as
// much room. The codes are read when they are packed, which is once for all input shapes.
func keepStored(g *net) {
	for _, n := range g.nodes {
		if n.kind != "MatMul" && n.kind != "Gemm" || n.in[1] == nil || n.in[1].konst != nil || len(n.in[1].shape) != 2 || !n.in[1].isStored() {
			continue
		}
		if s, ok := constantGemm(n); ok {
			n.become("gemm", s, n.in[0])
		}
	}
	g.sweep()
}

// isStored says whether a node gives the matrix v, or its transpose, that is to be read when it is packed.
func (v *value) isStored() bool {
	return v.few != nil && v.few.from != nil && v.dequantizer() != nil || v.widener() != nil
}

// stored is the matrix of v, whose axis columns holds the output columns, as a node has it, which is gone when it is read.
func (v *value) stored(columns int) *storedMatrix {
	m, d := &storedMatrix{turned: turnedMatrix(v)}, v.maker()
	for _, x := range d.in {
		if x != nil {
			m.parts = append(m.parts, x.konst)
		}
	}
	if v.few != nil {
		m.few = func() *fewBits { return v.fewBits(columns) }
	}
	numbers := func() *tensor.Tensor { return numbersOf(d, m.parts) }
	if widens(d) {
		m.halves = m.parts[0]
		numbers = func() *tensor.Tensor { return widened(m.halves) }
	}
	m.dense = func() *tensor.Tensor {
		y := numbers()
		if y == nil || !m.turned {
			return y
		}
		t := tensor.New(tensor.Float32, v.shape...)
		flipped(tensor.Of[float32](t), tensor.Of[float32](y), v.shape[1], v.shape[0])
		return t
	}
	return m
}

// numbersOf computes what d gives, whose operands fit.
func numbersOf(d *node, in []*tensor.Tensor) *tensor.Tensor {
	o, err := op.Resolve(d.onnx, d.version)
	if err != nil {
		return nil
	}
	y, err := o.Eval(&op.Call{Node: d.onnx, Opset: d.version, In: in})
	if err != nil {
		return nil
	}
	return y[0]
}

// multipliesCodes says whether n becomes a product of integers: codes of eight bits by codes with one
// scale for each column at most.
func multipliesCodes(n *node) bool {
	x, w := n.in[0].def, n.in[1].def
	return x != nil && x.kind == "DequantizeLinear" && x.in[0].dtype.Bits() == 8 &&
		w.kind == "DequantizeLinear" && w.onnx.Int("block_size", 0) == 0
}

// turnedMatrix says whether v is the transpose of a matrix.
func turnedMatrix(v *value) bool {
	return v.def != nil && v.def.kind == "Transpose" && len(v.shape) == 2 && !slices.Equal(permOf(v.def), []int{0, 1})
}

// flipped writes the transpose of a matrix of some rows and columns.
func flipped[T any](dst, src []T, rows, cols int) {
	for i := range rows {
		for j := range cols {
			dst[j*rows+i] = src[i*cols+j]
		}
	}
}

// oneNode is a node and the constants that it reads.
type oneNode struct {
	operands
	node *graph.Node
}

// Producer returns the node where it gives the value.
func (o *oneNode) Producer(name string) *graph.Node {
	if name == o.node.Out[0] {
		return o.node
	}
	return nil
}

// known looks up what a network knows of values, by their names in the file.
type known struct{ *net }

// Producer returns the node that gives a value.
func (k known) Producer(name string) *graph.Node {
	if v := k.values[name]; v != nil && v.def != nil {
		return v.def.onnx
	}
	return nil
}

// ConstTensor returns a value that is known, or nil.
func (k known) ConstTensor(name string) *tensor.Tensor {
	if v := k.values[name]; v != nil {
		return v.konst
	}
	return nil
}
