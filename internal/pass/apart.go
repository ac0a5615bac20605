package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// apart has Sum do what Add does behind products of codes, where the two are matrices: ONNX Runtime (1.32) makes one operator of a
// product of matrices and an Add, which computes on codes only if a bias of 32 bits is added. Sums of recurrent cells are such.
func apart(m *graph.Model) error {
	var adds []*graph.Node
	for g := range m.Graph.Graphs() {
		x := g.Index()
		for _, n := range g.Nodes {
			if op.QualifiedName(n) == "Add" && (addsTo(x, n, 0) || addsTo(x, n, 1)) {
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

// addsTo says whether operand i of an Add is the result of a product of codes that it alone reads, and the other no bias.
func addsTo(x *graph.Index, n *graph.Node, i int) bool {
	p := x.Producer(n.In[i])
	if p == nil || op.QualifiedName(p) != "MatMul" || x.OnlyUse(n.In[i]) != n {
		return false
	}
	return decoded(x, p.In[0]) && decoded(x, p.In[1]) && !decoded(x, n.In[1-i])
}

// decoded says whether a DequantizeLinear makes a value.
func decoded(x *graph.Index, name string) bool {
	d := x.Producer(name)
	return d != nil && d.Op == "DequantizeLinear"
}
