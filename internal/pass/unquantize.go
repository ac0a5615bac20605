package pass

import "lowbit/internal/graph"

// Unquantize removes the pairs Q→DQ, so that activations flow in float; constants behind
// DequantizeLinear stay codes. What it leaves is the network that the quantized one was made from,
// except for clamps that quantization took over. It returns how many pairs went.
func Unquantize(m *graph.Model) (pairs int, err error) {
	for g := range m.Graph.Graphs() {
		x := g.Index()
		var rest []*graph.Node
		for _, n := range g.Nodes {
			if q := quantizerOf(x, n); q == nil || !bypass(g, &graph.Node{In: q.In[:1], Out: n.Out}) {
				rest = append(rest, n)
			} else {
				pairs++
			}
		}
		g.Nodes = rest
	}
	return pairs, Unused.Run(m)
}

// quantizerOf returns the QuantizeLinear that the DequantizeLinear n reads from, or nil.
func quantizerOf(x *graph.Index, n *graph.Node) *graph.Node {
	if n.Op != "DequantizeLinear" || len(n.In) == 0 {
		return nil
	}
	if q := x.Producer(n.In[0]); q != nil && q.Op == "QuantizeLinear" && len(q.In) > 0 {
		return q
	}
	return nil
}
