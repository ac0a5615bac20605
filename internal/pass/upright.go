package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// Upright stores the weights of Gemm that are multiplied transposed, as PyTorch exports them, as they are multiplied, where nothing else
// reads them. ONNX Runtime (1.32) has a product of floats with codes for these alone (MatMulNBits), and else decodes the weights in
// each run.
func Upright(m *graph.Model) {
	used := namesOf(m)
	for g := range m.Graph.Graphs() {
		x := g.Index()
		for _, n := range g.Nodes {
			if op.QualifiedName(n) != "Gemm" || !transB(n) || transA(n) {
				continue
			}
			w := floatConst(g, n.In[1])
			if w == nil || w.Rank() != 2 || w.Len() == 0 || len(x.Uses(n.In[1])) > 1 || g.Const(n.In[0]) != nil {
				continue
			}
			name := used.fresh(n.In[1] + "_upright")
			g.SetConst(name, m.Shelved(turned(w)))
			m.Forget(w)
			n.In[1] = name
			n.SetAttr("transB", int64(0))
		}
	}
}
