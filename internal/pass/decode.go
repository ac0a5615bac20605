package pass

import (
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// Halves stores constants as float32 that are kept as 16-bit floats behind a Cast.
var Halves = &Pass{
	Name: "halves", Doc: "store constants as float32 that are cast from 16-bit floats",
	Run: func(m *graph.Model) error {
		decode(m, func(f *format.Format) bool { return !f.Scaled() })
		return nil
	},
}

// decode stores the constants of few bits, of the formats that want picks, as the floats that they mean.
func decode(m *graph.Model, want func(f *format.Format) bool) {
	values, made := map[string]*tensor.Tensor{}, map[string]bool{}
	for _, n := range m.Graph.AllNodes() {
		for _, name := range n.Out {
			made[name] = true
		}
	}
	for _, c := range weight.Find(m) {
		if want(c.Format) && graph.CanonicalDomain(c.Node.Domain) == "" && made[c.Name] && values[c.Name] == nil {
			values[c.Name] = m.Shelved(c.Load().Decode())
		}
	}
	for g := range m.Graph.Graphs() {
		var rest []*graph.Node
		for _, n := range g.Nodes {
			if len(n.Out) == 1 && values[n.Out[0]] != nil && g.Output(n.Out[0]) == nil {
				g.SetConst(n.Out[0], values[n.Out[0]])
				continue
			}
			rest = append(rest, n)
		}
		g.Nodes = rest
	}
}
