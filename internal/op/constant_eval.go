package op

import (
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// EvalConstant evaluates one node on constants, outside any graph. A node that is random, has a
// subgraph, or whose result is not known to be of a bounded size is refused.
func EvalConstant(n *graph.Node, opset int, in []*tensor.Tensor) (out []*tensor.Tensor, err error) {
	o, err := Resolve(n, opset)
	if err != nil {
		return nil, err
	}
	if o.Random || len(n.Subgraphs()) > 0 {
		return nil, fault.Unsupportedf(n.Label(), "is not a constant")
	}
	if o.Infer != nil {
		facts := make([]Fact, len(in))
		for i, t := range in {
			if t != nil {
				facts[i] = factOf(t)
			}
		}
		types, err := o.Infer(&Inference{Node: n, Opset: opset, In: facts})
		if err != nil {
			return nil, err
		}
		for _, f := range types {
			if shape, ok := f.Static(); ok {
				if _, err := tensor.CheckedElements(shape); err != nil {
					return nil, fault.Invalidf(n.Label(), "%v", err)
				}
			}
		}
	}
	return o.Eval(&Call{Node: n, Opset: opset, In: in, run: &runner{model: &graph.Model{}, depth: new(int)}})
}
