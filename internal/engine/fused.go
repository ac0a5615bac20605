package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// fusedVersion is the least opset of the operators that fused ones stand for.
const fusedVersion = 17

// expandFused writes operators that ONNX Runtime's optimizer fused as the standard ones that they stand for.
func expandFused(g *net) {
	version := max(fusedVersion, opsetVersion(g.model.Opsets, ""))
	var nodes []*node
	for _, n := range g.nodes {
		var parts []op.Part
		if n.kind == kindOf(n.onnx) && n.static() && n.out[0].is(tensor.Float32) {
			parts = op.Parts(n.onnx, version, func(i int) []int { return append([]int{}, n.in[i].shape...) })
		}
		if slices.ContainsFunc(parts, n.grows) {
			parts = nil // the definition has to judge it
		}
		if parts == nil {
			nodes = append(nodes, n)
			continue
		}
		nodes = append(nodes, g.unfused(n, parts, version)...)
	}
	g.nodes = nodes
}

// grows says whether a part would add to a result of n's shape what does not broadcast to it, or to one of a
// convolution what is not of its shape.
func (n *node) grows(p op.Part) bool {
	return p.Op == "Add" && slices.ContainsFunc(p.In, func(s op.Source) bool {
		if s.Input < 0 {
			return false
		}
		shape, out := n.in[s.Input].shape, n.out[0].shape
		return !broadcasts(shape, out) || n.onnx.Op == "FusedConv" && !sameShape(shape, out)
	})
}

// unfused makes the nodes that n stands for. Each result has n's shape but for transposed operands.
func (g *net) unfused(n *node, parts []op.Part, version int) []*node {
	in, out := n.in, n.out
	n.setIn()
	var list []*node
	for _, p := range parts {
		o := &graph.Node{Op: p.Op, Domain: p.Domain, Name: n.onnx.Name, Attrs: p.Attrs}
		var operands []*value
		for _, from := range p.In {
			var v *value
			switch {
			case from.Input >= 0:
				v = in[from.Input]
			case from.Part >= 0:
				v = list[from.Part].out[0]
			default:
				v = g.constant(out[0].name+"·number", tensor.Scalar(from.Number))
			}
			operands = append(operands, v)
			if v != nil {
				o.In = append(o.In, v.name)
			} else {
				o.In = append(o.In, "")
			}
		}
		var y *value
		switch {
		case p.Out >= 0 && out[p.Out] != nil:
			y = out[p.Out]
		case p.Op == "Transpose":
			var shape []int
			for _, axis := range o.Ints("perm") {
				shape = append(shape, operands[0].shape[axis])
			}
			y = g.newValue(operands[0], out[0].dtype, shape)
		default:
			y = g.newValue(out[0], out[0].dtype, out[0].shape)
		}
		o.Out = []string{y.name}
		m := newNode(op.QualifiedName(o), n, nil, operands, []*value{y})
		m.onnx, m.version = o, version
		if p.Domain != "" {
			m.version = opsetVersion(g.model.Opsets, p.Domain)
		}
		list = append(list, m)
	}
	n.dead = true
	return list
}
