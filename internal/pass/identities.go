package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Identities removes nodes that pass their input on: Identity, Clip without bounds, Sum of one operand, Casts to the type that is
// there, and Dropout outside training.
var Identities = &Pass{
	Name: "identities", Doc: "remove Identity, Clip without bounds, Sum of one operand, Casts to the same type and inference-time Dropout",
	Run: func(m *graph.Model) error {
		same := sameCasts(m)
		for g := range m.Graph.Graphs() {
			var rest []*graph.Node
			for _, n := range g.Nodes {
				if !same[n] && !passesOn(g, n) || !bypass(g, n) {
					rest = append(rest, n)
				}
			}
			g.Nodes = rest
		}
		return nil
	},
}

// sameCasts returns the Casts of tensors to the type that they have.
func sameCasts(m *graph.Model) map[*graph.Node]bool {
	var casts []*graph.Node
	for _, n := range m.Graph.AllNodes() {
		if n.Op == "Cast" && graph.CanonicalDomain(n.Domain) == "" && len(n.In) == 1 && len(n.Out) == 1 {
			casts = append(casts, n)
		}
	}
	if len(casts) == 0 {
		return nil
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		return nil // what does not fit is told where it matters
	}
	same := map[*graph.Node]bool{}
	for _, n := range casts {
		f := facts[n.In[0]]
		same[n] = f.IsTensor() && f.DType != 0 && f.DType == tensor.DType(n.Int("to", 0))
	}
	return same
}

// passesOn says whether output 0 of n is its input 0 and nothing else is asked of it.
func passesOn(g *graph.Graph, n *graph.Node) bool {
	if graph.CanonicalDomain(n.Domain) != "" || len(n.In) == 0 || len(n.Out) == 0 {
		return false
	}
	switch n.Op {
	case "Identity":
		return true
	case "Sum":
		return len(n.In) == 1
	case "Clip":
		return len(n.Attrs) == 0 && !slices.ContainsFunc(n.In[1:], func(bound string) bool { return bound != "" })
	case "Dropout":
		if len(n.Out) > 1 && n.Out[1] != "" {
			return false
		}
		if len(n.In) < 3 || n.In[2] == "" {
			return true
		}
		t := g.ConstTensor(n.In[2])
		return t != nil && g.Input(n.In[2]) == nil && t.DType == tensor.Bool && t.Len() == 1 && t.Raw[0] == 0
	}
	return false
}

// bypass makes the readers of n's output read its input. A graph's output cannot take another
// name, so there the producer has to write to it; where that is impossible the node stays.
func bypass(g *graph.Graph, n *graph.Node) bool {
	in, out := n.In[0], n.Out[0]
	if g.Output(out) == nil {
		rename(g, out, in)
		return true
	}
	x := g.Index()
	p := x.Producer(in)
	if p == nil || x.IsOutput(in) {
		return false
	}
	for i, o := range p.Out {
		if o == in {
			p.Out[i] = out
		}
	}
	rename(g, in, out)
	return true
}
