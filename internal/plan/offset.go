package plan

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// offsets returns the quantized product behind which n adds a constant to each channel, which is how biases of
// products of matrices are exported, and the operand that holds it; nil where n is no such Add. Runtimes compute the
// two as one operator on codes, provided that the bias is stored as that of a convolution is: behind one in float
// ONNX Runtime (1.32) decodes the weights in each run and multiplies floats. Of formats whose sums are in no whole steps the
// bias is in float, as that of Gemm is.
func (d *decider) offsets(n *graph.Node) (layer *graph.Node, at int) {
	if op.QualifiedName(n) != "Add" || d.set.Mode != Static || d.set.Codes {
		return nil, 0
	}
	for i, name := range n.In {
		p := d.x.Producer(n.In[1-i])
		if p == nil || op.QualifiedName(p) != "MatMul" || !d.in[p] || d.x.OnlyUse(p.Out[0]) != n {
			continue
		}
		w, t := d.constant(p.In[1]), d.constant(name)
		if w != nil && w.Rank() == 2 && t != nil && t.DType == tensor.Float32 && t.Rank() == 1 && t.Len() == w.Shape[1] && d.finite(name, t) {
			return p, i
		}
	}
	return nil, 0
}

// offset stores what n adds to the sums of layer as the layer's bias, or leaves it in float.
func (d *decider) offset(n *graph.Node, row *Node, layer *graph.Node, at int) {
	row.Inputs = make([]string, len(n.In))
	row.Inputs[at] = d.bias(layer, d.quant(layer), n.In[at])
	if row.Quantized {
		row.Reason = "adds the bias of " + layer.Label()
	}
}

// spare leaves what an Add adds to the sums of a layer in float where the one scale of all its weights would have to grow for it:
// where a mask is added, next to nothing would be left of them. Those of a Gemm have no such choice.
func (p *Plan) spare(consts map[string]*tensor.Tensor, byAs map[string]*Value) {
	for _, n := range p.Nodes {
		for i, as := range n.Inputs {
			if v := byAs[as]; n.Op == "Add" && v != nil && v.Role == RoleBias && v.crowds(consts[v.Name], byAs[v.Input], byAs[v.Weight]) {
				n.Inputs[i] = ""
				n.Reason += "; in float, for 32 bits do not hold it at the one scale of the weights"
			}
		}
	}
	p.Values = slices.DeleteFunc(p.Values, func(v *Value) bool {
		return v.Role == RoleBias && !slices.ContainsFunc(p.Nodes, func(n *Node) bool { return slices.Contains(n.Inputs, v.As) })
	})
}

// crowds says whether a bias makes the one scale of all weights grow.
func (v *Value) crowds(t *tensor.Tensor, in, w *Value) bool {
	if t == nil || in == nil || w == nil || len(in.Params) != 1 || len(w.Params) != 1 {
		return false
	}
	return slices.ContainsFunc(tensor.Of[float32](t), func(e float32) bool {
		return leastFor(e, float64(in.Params[0].Scale)) > float64(w.Params[0].Scale)
	})
}
