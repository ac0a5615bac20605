package pass

import (
	"slices"

	"lowbit/internal/graph"
)

// InitInputs takes initializers out of the list of inputs where the file's IR version is below 4:
// that version had to list them there, although nobody meant them to be fed.
var InitInputs = &Pass{
	Name: "init-inputs", Doc: "take initializers off the inputs of old files",
	Run: func(m *graph.Model) error {
		if m.IR < 4 {
			m.Graph.In = slices.DeleteFunc(m.Graph.In, func(v *graph.Value) bool { return m.Graph.Const(v.Name) != nil })
		}
		return nil
	},
}

// Unused removes nodes whose results nothing reads, and initializers likewise.
var Unused = &Pass{
	Name: "unused", Doc: "remove what nothing reads",
	Run: func(m *graph.Model) error {
		for g := range m.Graph.Graphs() {
			dropDeadNodes(g)
		}
		dropUnusedConsts(m.Graph)
		return nil
	},
}

// dropDeadNodes removes nodes without a reader, last to first so that chains go whole.
func dropDeadNodes(g *graph.Graph) {
	read := map[string]bool{}
	for _, v := range g.Out {
		read[v.Name] = true
	}
	var keep []*graph.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Out, func(o string) bool { return read[o] }) {
			continue
		}
		keep = append(keep, n)
		for _, name := range n.In {
			read[name] = true
		}
		for _, name := range n.Captures() {
			read[name] = true
		}
	}
	slices.Reverse(keep)
	g.Nodes = keep
}
