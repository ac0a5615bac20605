package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// InitInputs takes initializers off the list of inputs that nobody means to feed: all of them where
// the file's IR version is below 4, which had to list them there, and else those that are only ever
// read as a weight, a bias or another parameter of an operator. Others are defaults of real inputs. The
// branches of an If, which feeds them nothing, lose all: what they list are values from outside.
var InitInputs = &Pass{
	Name: "init-inputs", Doc: "take weights off the inputs, and what is not fed off branches",
	Run: func(m *graph.Model) error {
		x := m.Graph.Index()
		before := len(m.Graph.In)
		m.Graph.In = slices.DeleteFunc(m.Graph.In, func(v *graph.Value) bool {
			return m.Graph.Const(v.Name) != nil && (m.IR < 4 || isParameter(x.Uses(v.Name)))
		})
		if len(m.Graph.In) < before {
			m.IR = max(m.IR, 4)
		}
		for _, n := range m.Graph.AllNodes() {
			if n.Op == "If" {
				for _, g := range n.Subgraphs() {
					g.In = nil
				}
			}
		}
		return nil
	},
}

// isParameter says whether a value is used, and every time as a parameter of an operator.
func isParameter(uses []graph.Use) bool {
	for _, u := range uses {
		o := op.Lookup(u.Node.Domain, u.Node.Op)
		if u.In < 1 || o == nil {
			return false
		}
		if r := o.Quant.Role(u.In); r != op.Weight && r != op.Bias && u.In > parameterOps[u.Node.Op] {
			return false
		}
	}
	return len(uses) > 0
}

// parameterOps are operators without a weight in the table whose further inputs, up to the one
// given, are trained constants.
var parameterOps = map[string]int{"BatchNormalization": 4, "InstanceNormalization": 2, "LayerNormalization": 2, "PRelu": 1, "LSTM": 3, "GRU": 3, "RNN": 3}
