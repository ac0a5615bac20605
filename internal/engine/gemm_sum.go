package engine

import (
	"slices"

	"lowbit/internal/graph"
)

// splitSums turns a Gemm that adds a computed matrix into a Gemm without one and an Add, so that the
// product takes the ways of products with constants.
func splitSums(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		c := n.input(2)
		if n.kind != "Gemm" || c == nil || !n.static() || !broadcasts(c.shape, n.out[0].shape) || c.isConstant() || n.onnx.Float("beta", 1) != 1 {
			continue
		}
		y := g.newValue(n.out[0], n.out[0].dtype, n.out[0].shape)
		g.insert(newNode("Gemm", n, nil, []*value{n.in[0], n.in[1]}, []*value{y}), n)
		n.onnx = &graph.Node{Op: "Add", Name: n.onnx.Name, In: []string{y.name, c.name}, Out: n.onnx.Out}
		n.become("Add", nil, y, c)
	}
}

// isConstant says whether v is known before a run, as a number or as codes behind DQ.
func (v *value) isConstant() bool {
	if d := v.def; d != nil && d.kind == "DequantizeLinear" {
		return d.in[0] != nil && d.in[0].konst != nil
	}
	return v.konst != nil
}
