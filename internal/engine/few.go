package engine

import (
	"slices"

	"lowbit/internal/graph"
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
		if c := readFew(weight.Read(known{g}, name)); c != nil {
			w.few, w.fewTurned = c, turned
		}
	}
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
