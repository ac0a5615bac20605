package engine

import (
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// gemmOfBnb4 takes a matrix of four-bit codes, with its scales by blocks, which is read when it is packed.
func gemmOfBnb4(n *node) (*gemmSpec, bool) {
	src := operandsOf(n)
	if !weight.HoldsBnb4(src, n.onnx) {
		return nil, false
	}
	s := &gemmSpec{k: n.onnx.Int("K", 0), n: n.onnx.Int("N", 0), stored: n.storedMatrix()}
	s.order = kernel.Order{N: s.k, K: 1}
	s.stored.dense = func() *tensor.Tensor { return weight.ReadProduct(src, n.onnx).Decode() }
	return s, true
}

// operands are the constants that a node reads, by their names in the file.
type operands map[string]*tensor.Tensor

func operandsOf(n *node) operands {
	o := operands{}
	for i, v := range n.in {
		if v != nil && i < len(n.names) {
			o[n.names[i]] = v.konst
		}
	}
	return o
}

// Producer knows no node.
func (operands) Producer(string) *graph.Node { return nil }

// ConstTensor returns the constant that the node reads under a name, or nil.
func (o operands) ConstTensor(name string) *tensor.Tensor { return o[name] }
