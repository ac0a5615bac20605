package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Branches puts the branch of an If in its place where constants, or the shapes that the inputs are declared with, decide
// its condition: exporters write out whole layers for inputs of another rank, and no calibration sees what is in a branch.
// Names have to be unique over all graphs.
var Branches = &Pass{
	Name: "branches", Doc: "replace each If whose condition is known by its branch",
	Run: func(m *graph.Model) error {
		t := &brancher{used: namesOf(m)}
		for slices.ContainsFunc(m.Graph.Nodes, isIf) {
			var err error
			if t.facts, err = op.Infer(undeclared(m), nil); err != nil || !t.graph(m.Graph) {
				break // what is wrong with a network is told where its types are needed
			}
		}
		return nil
	},
}

func isIf(n *graph.Node) bool {
	return n.Op == "If" && graph.CanonicalDomain(n.Domain) == "" && len(n.In) == 1
}

// undeclared returns a copy of a model that says nothing of its values but the types of its inputs: a runtime holds
// only these against what it is fed.
func undeclared(m *graph.Model) *graph.Model {
	c := Clone(m)
	for _, v := range c.Graph.In {
		c.Graph.DropConst(v.Name) // a default
	}
	for g := range c.Graph.Graphs() {
		g.Info = nil
		for _, v := range g.Out {
			v.Type = graph.Type{}
		}
	}
	return c
}

type brancher struct {
	used  names
	facts op.Facts
}

// graph replaces the decided Ifs of g and of branches within, and says whether there were any. Bodies of loops are
// left alone: what is known of their values changes from turn to turn.
func (t *brancher) graph(g *graph.Graph) (found bool) {
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		if b := t.decided(n); b != nil {
			nodes, found = append(nodes, t.body(g, n, b)...), true
			continue
		}
		nodes = append(nodes, n)
		if isIf(n) {
			for _, b := range n.Subgraphs() {
				found = t.graph(b) || found
			}
		}
	}
	g.Nodes = nodes
	return found
}

// decided returns the branch that an If always takes, or nil.
func (t *brancher) decided(n *graph.Node) *graph.Graph {
	if !isIf(n) {
		return nil
	}
	c := t.facts[n.In[0]].Value
	if c == nil || c.DType != tensor.Bool || c.Len() != 1 {
		return nil
	}
	b := n.Graph("else_branch")
	if c.Raw[0] != 0 {
		b = n.Graph("then_branch")
	}
	if b == nil || len(b.In) > 0 || len(b.Out) < len(n.Out) {
		return nil
	}
	return b
}

// body returns the nodes of a branch of n as they stand in g, which takes the constants over.
func (t *brancher) body(g *graph.Graph, n *graph.Node, b *graph.Graph) []*graph.Node {
	for _, c := range b.Consts() {
		g.AddConst(c)
	}
	g.Info = append(g.Info, b.Info...)
	nodes := b.Nodes
	for i, name := range n.Out {
		if name != "" {
			nodes = append(nodes, &graph.Node{Op: "Identity", Name: t.used.fresh(name), In: []string{b.Out[i].Name}, Out: []string{name}})
		}
	}
	return nodes
}
