package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Biases writes what Gemm, and Add behind MatMul, add to each column as a vector, as which a bias is stored in codes. Converters of
// classical models write matrices of one row, with which runtimes have no product of codes either.
var Biases = &Pass{
	Name: "biases", Doc: "write biases of products of matrices as vectors",
	Run: func(m *graph.Model) error {
		var facts op.Facts
		used := namesOf(m)
		for g := range m.Graph.Graphs() {
			x := g.Index()
			for _, n := range g.Nodes {
				i := rowBias(g, x, n)
				if i < 0 {
					continue
				}
				t := g.ConstTensor(n.In[i])
				if n.Op == "Add" {
					if facts == nil {
						var err error
						if facts, err = op.Infer(m, nil); err != nil {
							return nil // what does not fit is told where it matters
						}
					}
					if len(facts[n.In[1-i]].Shape) < t.Rank() {
						continue // the sum has the axes of the constant
					}
				}
				name := used.fresh(n.In[i] + "_row")
				g.SetConst(name, t.Reshape(t.Len()))
				n.In[i] = name
			}
		}
		return nil
	},
}

// rowBias returns the operand of n that is a bias whose axes but the last are all of one; -1 where there is none.
func rowBias(g *graph.Graph, x *graph.Index, n *graph.Node) int {
	row := func(i int) bool {
		if i >= len(n.In) {
			return false
		}
		t := floatConst(g, n.In[i])
		return t != nil && t.Rank() > 1 && t.Len() > 0 && t.Len() == t.Shape[t.Rank()-1]
	}
	switch op.QualifiedName(n) {
	case "Gemm":
		if row(2) {
			return 2
		}
	case "Add":
		for i := range n.In {
			if p := x.Producer(n.In[1-i]); p != nil && op.QualifiedName(p) == "MatMul" && row(i) {
				return i
			}
		}
	}
	return -1
}

// foldFactors multiplies the constants of a Gemm by the numbers by which it multiplies its operands.
func foldFactors(g *graph.Graph, x *graph.Index, used names, n *graph.Node) {
	if op.QualifiedName(n) != "Gemm" {
		return
	}
	if len(x.Uses(n.In[1])) == 1 {
		foldFactor(g, used, n, 1, "alpha")
	}
	foldFactor(g, used, n, 2, "beta")
}

// foldFactor multiplies operand i of n by the number that an attribute holds, which is 1 then, if the operand is a constant or left out.
func foldFactor(g *graph.Graph, used names, n *graph.Node, i int, attr string) {
	f := n.Float(attr, 1)
	if f == 1 || f-f != 0 {
		return
	}
	if i < len(n.In) && n.In[i] != "" {
		t := floatConst(g, n.In[i])
		if t == nil {
			return
		}
		y := slices.Clone(tensor.Of[float32](t))
		for k := range y {
			y[k] *= f
		}
		name := used.folded(n.In[i])
		g.SetConst(name, tensor.Float32s(y, t.Shape...))
		n.In[i] = name
	}
	n.SetAttr(attr, float32(1))
}
