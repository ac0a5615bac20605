package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// apart has Sum do what Add does behind products of codes, where the two are matrices: ONNX Runtime (1.32) makes one operator of a
// product of matrices and an Add, which computes on codes only if a bias is added: one of 32 bits where both matrices are codes. Sums of
// recurrent cells are such.
func apart(m *graph.Model) error {
	var adds []*graph.Node
	for g := range m.Graph.Graphs() {
		x := g.Index()
		for _, n := range g.Nodes {
			if op.QualifiedName(n) == "Add" && (addsTo(m, g, x, n, 0) || addsTo(m, g, x, n, 1)) {
				adds = append(adds, n)
			}
		}
	}
	if len(adds) == 0 {
		return nil
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		return err
	}
	for _, n := range adds {
		if f := facts[n.Out[0]]; len(f.Shape) == 2 && f.DType == tensor.Float32 {
			n.Op = "Sum"
		}
	}
	return nil
}

// loosen puts a Sum of one operand, which passes it on, between products of codes and a Relu or Clip behind which no codes are
// read. ONNX Runtime (1.32) takes either for part of the product, finds no QuantizeLinear behind the two, and decodes the
// weights in each run to multiply floats; without it the product gives floats.
func loosen(m *graph.Model) {
	used := namesOf(m)
	for g := range m.Graph.Graphs() {
		x := g.Index()
		var list []*graph.Node
		for _, n := range g.Nodes {
			if clampsFloats(m, g, x, n) {
				to := used.added(n.In[0] + "_apart")
				list = append(list, &graph.Node{Op: "Sum", Name: used.added(n.In[0] + "_Apart"), In: []string{n.In[0]}, Out: []string{to}})
				n.In[0] = to
			}
			list = append(list, n)
		}
		g.Nodes = list
	}
}

// clampsFloats says whether n is a Relu or Clip of what a product of codes gives, with or without a bias, and is read as floats.
func clampsFloats(m *graph.Model, g *graph.Graph, x *graph.Index, n *graph.Node) bool {
	if name := op.QualifiedName(n); name != "Relu" && name != "Clip" || len(x.Uses(n.Out[0])) == 0 {
		return false
	}
	if u := x.OnlyUse(n.Out[0]); u != nil && u.Op == "QuantizeLinear" || x.OnlyUse(n.In[0]) != n {
		return false
	}
	p := x.Producer(n.In[0])
	if p != nil && op.QualifiedName(p) == "Add" {
		for i, name := range p.In {
			if (decoded(x, p.In[1-i]) || constantOf(m, g, p.In[1-i]) != nil) && x.OnlyUse(name) == p {
				p = x.Producer(name)
				break
			}
		}
	}
	if p == nil || p.Op != "Gemm" && p.Op != "MatMul" || graph.CanonicalDomain(p.Domain) != "" {
		return false
	}
	if d := x.Producer(p.In[0]); d != nil && d.Op == "DequantizeLinear" && wide(g, x, d.In[0]) {
		return false // the product would make eight bits of sixteen
	}
	return decoded(x, p.In[1])
}

// addsTo says whether operand i of an Add is the result of a product of codes that it alone reads, and the other no bias.
func addsTo(m *graph.Model, g *graph.Graph, x *graph.Index, n *graph.Node, i int) bool {
	p := x.Producer(n.In[i])
	if p == nil || op.QualifiedName(p) != "MatMul" || x.OnlyUse(n.In[i]) != n || !decoded(x, p.In[1]) {
		return false
	}
	if t := constantOf(m, g, n.In[1-i]); t != nil && t.Rank() == 1 && !decoded(x, p.In[0]) {
		return false
	}
	return !decoded(x, n.In[1-i])
}

// decoded says whether a DequantizeLinear makes a value.
func decoded(x *graph.Index, name string) bool {
	d := x.Producer(name)
	return d != nil && d.Op == "DequantizeLinear"
}
