package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Gather writes products of values behind DynamicQuantizeLinear with weights of 8 bits on integers, as
// Dynamic does: what Spread did to them, undone.
func Gather(m *graph.Model) error {
	used := namesOf(m)
	for g := range m.Graph.Graphs() {
		s := &spreader{m: m, g: g, x: g.Index(), used: used}
		for _, n := range g.Nodes {
			if !s.gather(n) {
				s.out = append(s.out, n)
			}
		}
		g.Nodes = s.out
	}
	return Unused.Run(m)
}

// gather writes n on integers, and says whether it could.
func (s *spreader) gather(n *graph.Node) bool {
	form := dynamicForms[n.Op]
	if form == nil || form.turned != nil || len(n.In) < 2 {
		return false
	}
	x, d := s.x.Producer(n.In[0]), s.x.Producer(n.In[1])
	if x == nil || d == nil || x.Op != "DequantizeLinear" || d.Op != "DequantizeLinear" {
		return false
	}
	q := s.x.Producer(x.In[0])
	codes, scale, zero := s.constant(d.In[0]), s.constant(d.In[1]), s.constant(input(d, 2))
	if q == nil || q.Op != "DynamicQuantizeLinear" || codes == nil || scale == nil || scale.Rank() > 1 || codes.DType != tensor.Int8 && codes.DType != tensor.Uint8 {
		return false
	}
	if r := codes.Rank(); r < 2 || scale.Len() > 1 && (d.Int("axis", 1)+r)%r != integerForms[form.integer].axis(n, r) {
		return false
	}
	one := tensor.New(codes.DType)
	if zero != nil {
		one.Raw[0] = zero.Raw[0]
		if slices.ContainsFunc(zero.Raw, func(z byte) bool { return z != one.Raw[0] }) {
			return false
		}
	}
	bias := ""
	if b := s.constant(input(n, 2)); b != nil {
		bias = s.newConst(n.In[2]+"_along", b.Reshape(form.along(codes, b.Len())...))
	} else if input(n, 2) != "" {
		return false
	}
	if scale.Rank() == 1 {
		scale = scale.Reshape(form.along(codes, scale.Len())...)
	}
	p := &product{dynamicForm: form, node: n, at: 1}
	w := operand{d.In[0], s.newConst(d.In[1]+"_along", scale), s.newConst(d.In[0]+"_zero", one)}
	s.out = append(s.out, p.write(s.used, operand{q.Out[0], q.Out[1], q.Out[2]}, w, bias, false)...)
	return true
}
