package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Constants turns Constant nodes into initializers.
var Constants = &Pass{
	Name: "constants", Doc: "turn Constant nodes into initializers",
	Run: func(m *graph.Model) error {
		for g := range m.Graph.Graphs() {
			var rest []*graph.Node
			for _, n := range g.Nodes {
				t := constantValue(m, n)
				if t == nil || g.Output(n.Out[0]) != nil {
					rest = append(rest, n)
					continue
				}
				g.SetConst(n.Out[0], t)
			}
			g.Nodes = rest
		}
		return nil
	},
}

// constantValue returns what a Constant node yields, nil where n is none.
func constantValue(m *graph.Model, n *graph.Node) *tensor.Tensor {
	if n.Op != "Constant" || graph.CanonicalDomain(n.Domain) != "" || len(n.Out) != 1 {
		return nil
	}
	out, err := op.EvalConstant(n, m.Opset(""), nil)
	if err != nil || len(out) != 1 || out[0].Kind != tensor.Dense {
		return nil
	}
	return out[0]
}

// foldLimit is the most bytes that a folded node may add to a file beyond those of the
// constants it reads: Expand and ConstantOfShape would write out what the file only mentions.
const foldLimit = 1 << 12

// Fold evaluates nodes whose inputs are all constants.
var Fold = &Pass{
	Name: "fold", Doc: "evaluate nodes whose inputs are constants",
	Run: func(m *graph.Model) error {
		for g := range m.Graph.Graphs() {
			foldGraph(m, g)
		}
		return nil
	},
}

func foldGraph(m *graph.Model, g *graph.Graph) {
	var rest []*graph.Node
	for _, n := range g.Nodes {
		if !foldNode(m, g, n) {
			rest = append(rest, n)
		}
	}
	g.Nodes = rest
}

// foldNode replaces a node by initializers, and says whether it did.
func foldNode(m *graph.Model, g *graph.Graph, n *graph.Node) bool {
	if quantizes(n) {
		return false
	}
	out, grown := results(m, g, n)
	if out == nil || grown > foldLimit {
		return false
	}
	setResults(g, n, out)
	return true
}

// results evaluates a node of constants, and returns how many bytes more than its inputs its outputs
// take. It returns nil where n is none, or one whose outputs cannot be initializers.
func results(m *graph.Model, g *graph.Graph, n *graph.Node) (out []*tensor.Tensor, grown int) {
	if len(n.In) == 0 || len(n.Subgraphs()) > 0 {
		return nil, 0
	}
	in := make([]*tensor.Tensor, len(n.In))
	for i, name := range n.In {
		if name == "" {
			continue
		}
		if g.Input(name) != nil || g.ConstTensor(name) == nil {
			return nil, 0
		}
		in[i] = g.ConstTensor(name)
		grown -= in[i].Bytes()
	}
	for _, name := range n.Out {
		if g.Output(name) != nil {
			return nil, 0
		}
	}
	out, err := op.EvalConstant(n, m.Opset(n.Domain), in)
	if err != nil || len(out) < len(n.Out) {
		return nil, 0
	}
	for _, t := range out[:len(n.Out)] {
		if t == nil || t.Kind != tensor.Dense {
			return nil, 0
		}
		grown += t.Bytes()
	}
	return out, grown
}

// setResults stores what a node gives as initializers.
func setResults(g *graph.Graph, n *graph.Node, out []*tensor.Tensor) {
	for i, name := range n.Out {
		if name != "" {
			g.SetConst(name, out[i])
		}
	}
}

// quantizes says whether a node belongs to a network that is quantized already: folding would undo it.
func quantizes(n *graph.Node) bool { return n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear" }
