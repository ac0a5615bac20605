package plan

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// offsets returns the quantized product behind which n adds a constant to each channel, which is how biases of
// products of matrices are exported, and the operand that holds it; nil where n is no such Add. Runtimes compute the
// two as one operator on codes, provided that the bias is stored as that of a convolution is: behind one in float
// ONNX Runtime (1.32) decodes the weights in each run and multiplies floats.
func (d *decider) offsets(n *graph.Node) (layer *graph.Node, at int) {
	if op.QualifiedName(n) != "Add" || d.set.Mode != Static || d.set.Codes {
		return nil, 0
	}
	for i, name := range n.In {
		p := d.x.Producer(n.In[1-i])
		if p == nil || op.QualifiedName(p) != "MatMul" || !d.in[p] || d.x.OnlyUse(p.Out[0]) != n {
			continue
		}
		if w := d.constant(p.In[1]); w != nil && w.Rank() == 2 && d.summed(p, d.quant(p), name) && d.constant(name).Len() == w.Shape[1] {
			return p, i
		}
	}
	return nil, 0
}

// offset stores what n adds to the sums of layer as the layer's bias.
func (d *decider) offset(n *graph.Node, row *Node, layer *graph.Node, at int) {
	row.Inputs = make([]string, len(n.In))
	row.Inputs[at] = d.bias(layer, d.quant(layer), n.In[at])
	if row.Quantized {
		row.Reason = "adds the bias of " + layer.Label()
	}
}
