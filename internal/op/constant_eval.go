package op

import (
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// EvalConstant evaluates one node on constants, outside any graph. A node that is random or has a
// subgraph is refused.
func EvalConstant(n *graph.Node, opset int, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	o, err := Resolve(n, opset)
	if err != nil {
		return nil, fault.At(n.Label(), err)
	}
	if o.Random || len(n.Subgraphs()) > 0 {
		return nil, fault.Unsupportedf(n.Label(), "is not a constant")
	}
	if err := o.Schema(opset).CheckTypes(typesOf(in)); err != nil {
		return nil, fault.Invalidf(n.Label(), "%v", err)
	}
	out, err := o.Eval(&Call{Node: n, Opset: opset, In: in, run: &runner{model: &graph.Model{}, depth: new(int)}})
	return out, fault.At(n.Label(), err)
}
