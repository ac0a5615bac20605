package pass

import (
	"lowbit/internal/format"
	"lowbit/internal/graph"
)

// Dequantize makes a float network of one that is quantized with QuantizeLinear and
// DequantizeLinear, so that it can be quantized in another way: the pairs on activations go, and
// constants of few bits are stored as the numbers that their codes stand for.
// Operators on codes stay as they are.
func Dequantize(m *graph.Model) error {
	if _, err := Unquantize(m); err != nil {
		return err
	}
	decode(m, func(*format.Format) bool { return true })
	for g := range m.Graph.Graphs() {
		var rest []*graph.Node
		for _, n := range g.Nodes {
			if n.Op == "DequantizeLinear" {
				if out, _ := results(m, g, n); out != nil {
					setResults(g, n, out)
					continue
				}
			}
			rest = append(rest, n)
		}
		g.Nodes = rest
	}
	return Unused.Run(m)
}
