package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Unfuse writes float operators that ONNX Runtime's optimizer fused as the standard ones that they stand for,
// so that models it saved are quantized as others are.
var Unfuse = &Pass{
	Name: "unfuse", Doc: "write ONNX Runtime's fused operators as standard ones",
	Run: func(m *graph.Model) error {
		used := namesOf(m)
		for g := range m.Graph.Graphs() {
			var out []*graph.Node
			for _, n := range g.Nodes {
				parts := op.Parts(n, m.Opset(""), func(i int) []int {
					if t := g.ConstTensor(n.In[i]); t != nil {
						return t.Shape
					}
					return nil
				})
				if parts == nil {
					out = append(out, n)
				}
				out = append(out, unfused(g, used, n, parts)...)
			}
			g.Nodes = out
		}
		return nil
	},
}

// unfused returns the nodes that n stands for, the first under its name.
func unfused(g *graph.Graph, used names, n *graph.Node, parts []op.Part) []*graph.Node {
	var list []*graph.Node
	for k, p := range parts {
		c := &graph.Node{Op: p.Op, Domain: p.Domain, Name: n.Name, Doc: n.Doc, Attrs: p.Attrs}
		if k > 0 {
			c.Name = used.added(n.Name + "_" + p.Op)
		}
		for _, o := range p.In {
			switch {
			case o.Input >= 0:
				c.In = append(c.In, n.In[o.Input])
			case o.Part >= 0:
				c.In = append(c.In, list[o.Part].Out[0])
			default:
				name := used.added(n.Out[0] + "_constant")
				g.AddConst(&graph.Const{Name: name, Tensor: tensor.Scalar(o.Number)})
				c.In = append(c.In, name)
			}
		}
		if p.Out >= 0 {
			c.Out = []string{n.Out[p.Out]}
		} else {
			c.Out = []string{used.added(n.Out[0] + "_" + p.Op)}
		}
		list = append(list, c)
	}
	return list
}
