package pass

import (
	"maps"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/weight"
)

// Contrib writes a plan with ONNX Runtime's own operators for products with matrices in groups of
// few bits, MatMulNBits and MatMulBnb4, and everything else as QDQ does.
func Contrib(m *graph.Model, p *plan.Plan) error {
	q := newQDQ(m, p)
	found := false
	for g := range m.Graph.Graphs() {
		for _, n := range g.Nodes {
			if row := q.nodes[plan.NodeName(n)]; row != nil && q.product(n, row) {
				found = true
			}
		}
		if err := q.weave(g); err != nil {
			return err
		}
	}
	if found {
		m.SetOpset(weight.Microsoft, 1)
	}
	dropUnusedConsts(m.Graph)
	return nil
}

// product turns n into a contrib operator, where one takes its weight, and says whether it did.
func (q *qdq) product(n *graph.Node, row *plan.Node) bool {
	bias, ok := multiplies(n)
	if !ok || len(row.Inputs) < 2 || q.values[row.Inputs[1]] == nil {
		return false
	}
	v := q.values[row.Inputs[1]]
	t := q.find(v.Name)
	if v.Role != plan.RoleWeight || t == nil || t.Rank() != 2 {
		return false
	}
	c, err := q.inFormat(v)
	if err != nil {
		return false
	}
	if b := q.find(bias); bias != "" && (c.Format.Kind != format.Linear || b == nil || b.Rank() != 1 || b.Len() == 1) {
		return false // the operator has no such operand
	}
	p, ok := q.writer.Product(c, v.As)
	if !ok {
		return false
	}
	q.nodes[row.Name] = &plan.Node{Name: row.Name, Op: row.Op, Quantized: true, Inputs: row.Inputs[:1]}
	n.Domain, n.Op, n.Attrs = weight.Microsoft, p.Op, nil
	n.In = append([]string{n.In[0]}, p.In...)
	if bias != "" {
		n.In = append(n.In, slices.Repeat([]string{""}, p.Bias-len(n.In))...)
		n.In = append(n.In, bias)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Attrs)) {
		n.SetAttr(name, p.Attrs[name])
	}
	return true
}

// multiplies says whether n is a plain product of rows with a matrix, and what bias it adds.
func multiplies(n *graph.Node) (bias string, ok bool) {
	switch {
	case graph.CanonicalDomain(n.Domain) != "":
		return "", false
	case n.Op == "MatMul":
		return "", true
	case n.Op != "Gemm" || !plainGemm(n):
		return "", false
	case len(n.In) > 2:
		return n.In[2], true
	}
	return "", true
}
