package engine

import (
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// gemmOfBnb4 takes a matrix of four-bit codes, with its scales by blocks, as the floats that it means.
func gemmOfBnb4(n *node) (*gemmSpec, bool) {
	c := weight.ReadProduct(operandsOf(n), n.onnx)
	if c == nil {
		return nil, false
	}
	w := c.Decode()
	return &gemmSpec{weight: w, k: w.Shape[1], n: w.Shape[0], order: kernel.Order{N: w.Shape[1], K: 1}, few: fewBitsOf(c, 0)}, true
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
