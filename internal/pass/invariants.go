package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// Invariants lets the bodies of loops read what they only carry round from outside, weights above all.
var Invariants = &Pass{
	Name: "invariants", Doc: "read what loops carry round unchanged from outside them",
	Run: func(m *graph.Model) error {
		for g := range m.Graph.Graphs() {
			var nodes []*graph.Node
			for _, n := range g.Nodes {
				list := op.Invariants(n)
				if list == nil {
					list = []*graph.Node{n}
				}
				nodes = append(nodes, list...)
			}
			g.Nodes = nodes
		}
		return nil
	},
}
