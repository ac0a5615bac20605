package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
)

// Lower takes the opset of m, whose functions are inlined, back to the newest whose QuantizeLinear and DequantizeLinear
// a target has, where every node means the same there.
func Lower(m *graph.Model, t *plan.Target) error {
	from := m.Opset("")
	to := min(t.Newest("QuantizeLinear", from), t.Newest("DequantizeLinear", from))
	if to == from || len(m.Functions) > 0 {
		return nil
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		return err
	}
	for _, n := range m.Graph.AllNodes() {
		if graph.CanonicalDomain(n.Domain) == "" && !sameAt(n, from, to, facts) {
			return nil
		}
	}
	m.SetOpset("", to)
	return nil
}

// sameAt says whether a node means the same at an earlier opset: its operator has not changed, or but for
// types and attributes that the node does without.
func sameAt(n *graph.Node, from, to int, facts op.Facts) bool {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil {
		return false
	}
	is, was := o.Schema(from), o.Schema(to)
	if is == nil || was == nil || is.Since == was.Since {
		return is != nil && was != nil
	}
	for _, a := range n.Attrs {
		if !slices.ContainsFunc(was.Attrs, func(s op.AttrSpec) bool { return s.Name == a.Name }) {
			return false
		}
	}
	allowed := func(names []string, params []op.Param) bool {
		for i, name := range names {
			p, ok := op.Operand(params, i)
			if name != "" && (!ok || !facts[name].IsTensor() || !was.Allows(p, facts[name].DType)) {
				return false
			}
		}
		return true
	}
	return allowed(n.In, was.In) && allowed(n.Out, was.Out)
}
