package pass

import (
	"slices"

	"lowbit/internal/graph"
)

// Unused removes nodes whose results nothing reads, initializers likewise, and what the file says
// of the types of values that are gone.
var Unused = &Pass{
	Name: "unused", Doc: "remove what nothing reads",
	Run: func(m *graph.Model) error {
		dropDeadNodes(m.Graph)
		dropUnusedConsts(m.Graph)
		for g := range m.Graph.Graphs() {
			dropStaleTypes(g)
		}
		return nil
	},
}

// dropDeadNodes removes nodes without a reader, inner graphs first and last to first, so that
// chains go whole.
func dropDeadNodes(g *graph.Graph) {
	read := map[string]bool{}
	for _, v := range g.Out {
		read[v.Name] = true
	}
	var keep []*graph.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Out, func(o string) bool { return o != "" && read[o] }) {
			continue
		}
		keep = append(keep, n)
		for _, s := range n.Subgraphs() {
			dropDeadNodes(s)
		}
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

// dropUnusedConsts removes initializers that nothing reads, except defaults of inputs.
func dropUnusedConsts(g *graph.Graph) {
	read := readNames(g)
	for sub := range g.Graphs() {
		var gone []string
		for _, c := range sub.Consts() {
			if !read[c.Name] && sub.Input(c.Name) == nil {
				gone = append(gone, c.Name)
			}
		}
		sub.DropConst(gone...)
	}
}

// readNames returns every name that a node or an output of g or of a graph within reads.
func readNames(g *graph.Graph) map[string]bool {
	read := map[string]bool{}
	for sub := range g.Graphs() {
		for _, n := range sub.Nodes {
			for _, name := range n.In {
				read[name] = true
			}
		}
		for _, v := range sub.Out {
			read[v.Name] = true
		}
	}
	return read
}

// dropStaleTypes removes the types of values that g does not have.
func dropStaleTypes(g *graph.Graph) {
	have := map[string]bool{}
	for _, n := range g.Nodes {
		for _, o := range n.Out {
			have[o] = true
		}
	}
	g.Info = slices.DeleteFunc(g.Info, func(v *graph.Value) bool { return !have[v.Name] && g.Const(v.Name) == nil })
}
