package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// Unfuse writes float operators that ONNX Runtime's optimizer fused as the standard ones that they stand for,
// so that models it saved are quantized as others are.
var Unfuse = &Pass{
	Name: "unfuse", Doc: "write ONNX Runtime's fused operators as standard ones",
	Run: func(m *graph.Model) error {
		if !uses(m, weight.Microsoft) {
			return nil
		}
		u := &unfuser{used: namesOf(m), opset: m.Opset("")}
		u.facts, _ = op.Infer(m, nil) // what is wrong with the model is told where it is quantized
		for g := range m.Graph.Graphs() {
			var out []*graph.Node
			for _, n := range g.Nodes {
				out = append(out, u.node(g, n)...)
			}
			g.Nodes = out
		}
		return nil
	},
}

// uses says whether a model has nodes of a domain.
func uses(m *graph.Model, domain string) bool {
	for _, n := range m.Graph.AllNodes() {
		if n.Domain == domain {
			return true
		}
	}
	return false
}

type unfuser struct {
	used  names
	opset int
	facts op.Facts
}

// node returns the nodes that n stands for, the first under its name, or n.
func (u *unfuser) node(g *graph.Graph, n *graph.Node) []*graph.Node {
	parts := op.Parts(n, u.opset, func(i int) []int {
		shape, ok := u.facts[n.In[i]].Static()
		if !ok {
			return nil
		}
		return append([]int{}, shape...)
	})
	number := func(p op.Part) bool { return slices.ContainsFunc(p.In, op.Source.IsNumber) }
	if parts == nil || slices.ContainsFunc(parts, number) && u.facts[n.Out[0]].DType != tensor.Float32 {
		return []*graph.Node{n}
	}
	var list []*graph.Node
	for k, p := range parts {
		c := &graph.Node{Op: p.Op, Domain: p.Domain, Name: n.Name, Doc: n.Doc, Attrs: p.Attrs}
		if k > 0 {
			c.Name = u.used.added(n.Name + "_" + p.Op)
		}
		for _, s := range p.In {
			switch {
			case s.IsNumber():
				name := u.used.added(n.Out[0] + "_constant")
				g.AddConst(&graph.Const{Name: name, Tensor: tensor.Scalar(s.Number)})
				c.In = append(c.In, name)
			case s.Input >= 0:
				c.In = append(c.In, n.In[s.Input])
			default:
				c.In = append(c.In, list[s.Part].Out[0])
			}
		}
		if p.Out >= 0 {
			c.Out = []string{n.Out[p.Out]}
		} else {
			c.Out = []string{u.used.added(n.Out[0] + "_" + p.Op)}
		}
		list = append(list, c)
	}
	return list
}
