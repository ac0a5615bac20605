package op

import (
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// CheckTypes holds the types of a node's inputs against the signature: each is one that its
// parameter allows, and operands that share a type variable agree. What is not known passes.
func (s *Schema) CheckTypes(in []graph.Type) error {
	bound := map[string]graph.Type{}
	for i, t := range in {
		if t.Kind == graph.NoType || len(s.In) == 0 {
			continue
		}
		p := s.In[min(i, len(s.In)-1)]
		allowed, isVar := s.Vars[p.Type]
		if !isVar {
			allowed = []string{p.Type}
		}
		if !slices.ContainsFunc(allowed, func(name string) bool { return matchesType(t, name) }) {
			return fmt.Errorf("input %d (%s) may not be %s", i, p.Name, t)
		}
		if !isVar || p.Mixed || t.DType == tensor.Undefined {
			continue
		}
		if b, ok := bound[p.Type]; ok && b.Kind == t.Kind && b.DType != t.DType {
			return fmt.Errorf("input %d (%s) is %s where another input is %s", i, p.Name, t, b)
		}
		bound[p.Type] = t
	}
	return nil
}

// matchesType says whether t may be what a signature calls name: "float", "seq(tensor(float))".
func matchesType(t graph.Type, name string) bool {
	switch t.Kind {
	case graph.TensorType:
		return t.DType.String() == name || t.DType == tensor.Undefined && !strings.Contains(name, "(")
	case graph.SequenceType:
		return strings.HasPrefix(name, "seq(")
	case graph.OptionalType:
		return strings.HasPrefix(name, "optional(")
	}
	return true
}

// typesOf returns the types of values; the zero Type where one is absent.
func typesOf(in []*tensor.Tensor) []graph.Type {
	out := make([]graph.Type, len(in))
	for i, t := range in {
		if t != nil {
			out[i] = graph.TypeOf(t)
		}
	}
	return out
}

// typesOfFacts returns the types of facts.
func typesOfFacts(in []Fact) []graph.Type {
	out := make([]graph.Type, len(in))
	for i, f := range in {
		out[i] = f.Type
	}
	return out
}

// Allows says whether operand p of the signature may be a tensor of type d.
func (s *Schema) Allows(p Param, d tensor.DType) bool {
	if set, ok := s.Vars[p.Type]; ok {
		return slices.Contains(set, d.String())
	}
	return p.Type == d.String() || p.Type == "tensor("+d.String()+")"
}

// Operand returns operand i of a list of parameters, the last of which may repeat; false where the
// list is shorter.
func Operand(list []Param, i int) (Param, bool) {
	switch n := len(list); {
	case i < n:
		return list[i], true
	case n > 0 && list[n-1].Variadic:
		return list[n-1], true
	}
	return Param{}, false
}
