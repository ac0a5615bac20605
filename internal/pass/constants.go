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
	if len(n.In) == 0 || len(n.Subgraphs()) > 0 || quantizes(n) {
		return false
	}
	in := make([]*tensor.Tensor, len(n.In))
	bytes := 0
	for i, name := range n.In {
		if name == "" {
			continue
		}
		if g.Input(name) != nil || g.ConstTensor(name) == nil {
			return false
		}
		in[i] = g.ConstTensor(name)
		bytes += in[i].Bytes()
	}
	for _, name := range n.Out {
		if g.Output(name) != nil {
			return false
		}
	}
	out, err := op.EvalConstant(n, m.Opset(n.Domain), in)
	if err != nil || len(out) < len(n.Out) {
		return false
	}
	for _, t := range out[:len(n.Out)] {
		if t == nil || t.Kind != tensor.Dense {
			return false
		}
		bytes -= t.Bytes()
	}
	if -bytes > foldLimit {
		return false
	}
	for i, name := range n.Out {
		if name != "" {
			g.SetConst(name, out[i])
		}
	}
	return true
}

// quantizes says whether a node belongs to a network that is quantized already: folding would undo it.
func quantizes(n *graph.Node) bool { return n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear" }
