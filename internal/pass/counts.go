package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// Counts takes count_include_pad from AveragePool without padding, where it changes nothing. ONNX Runtime's
// integer form counts with it what ceil_mode adds beyond the input (QLinearAveragePool, 1.32).
var Counts = &Pass{
	Name: "counts", Doc: "drop count_include_pad of AveragePool without padding",
	Run: func(m *graph.Model) error {
		for g := range m.Graph.Graphs() {
			for _, n := range g.Nodes {
				if n.Op == "AveragePool" && graph.CanonicalDomain(n.Domain) == "" && n.Bool("count_include_pad", false) && !op.Pads(n) {
					n.SetAttr("count_include_pad", int64(0))
				}
			}
		}
		return nil
	},
}
