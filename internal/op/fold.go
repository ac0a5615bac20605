package op

import (
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// EvalConstant evaluates one node on constants, outside any graph. A node that is random or has a
// subgraph is refused, and one of which inference tells that its results take more than most bytes.
func EvalConstant(n *graph.Node, opset int, in []*tensor.Tensor, most int) ([]*tensor.Tensor, error) {
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
	if exceeds(o, n, opset, in, most) {
		return nil, fault.Limitf(n.Label(), "its results take more than %d bytes", most)
	}
	out, err := o.Eval(&Call{Node: n, Opset: opset, In: in, run: &runner{model: &graph.Model{}, depth: new(int)}})
	return out, fault.At(n.Label(), err)
}

// exceeds says whether inference tells that the results of a node take more than most bytes.
func exceeds(o *Op, n *graph.Node, opset int, in []*tensor.Tensor, most int) bool {
	facts := make([]Fact, len(in))
	for i, t := range in {
		if t != nil {
			facts[i] = factOf(t)
		}
	}
	types, err := o.Infer(&Inference{Node: n, Opset: opset, In: facts})
	if err != nil {
		return false // the evaluation says so too
	}
	for i, f := range types {
		if shape, ok := f.Static(); ok && most >= 0 && i < len(n.Out) && n.Out[i] != "" {
			size, err := tensor.CheckedElements(shape)
			if err != nil {
				return true
			}
			most -= f.DType.ByteLen(size)
		}
	}
	return most < 0
}

// foldLimit is the largest number of elements that inference computes ahead: enough for
// shape arithmetic, too little to evaluate weights.
const foldLimit = 1 << 12

// fold evaluates a node whose inputs are all small constants.
func (inf *inferer) fold(o *Op, n *graph.Node, version int, in []Fact) ([]Fact, bool) {
	if o.Random || len(n.Subgraphs()) > 0 || len(in) == 0 && n.Op != "Constant" {
		return nil, false
	}
	args := make([]*tensor.Tensor, len(in))
	for i, f := range in {
		if n.In[i] == "" {
			continue
		}
		if f.Value == nil || f.Value.Len() > foldLimit {
			return nil, false
		}
		args[i] = f.Value
	}
	// a small constant may still ask for a huge result
	types, err := o.Infer(&Inference{Node: n, Opset: version, In: in})
	if err != nil || !allSmall(types) {
		return nil, false
	}
	out, err := o.Eval(&Call{Node: n, Opset: version, In: args, run: &runner{model: inf.model, depth: new(int)}})
	if err != nil {
		return nil, false
	}
	facts := make([]Fact, len(out))
	for i, t := range out {
		if t != nil {
			facts[i] = factOf(t)
		}
	}
	return facts, true
}

func allSmall(types []Fact) bool {
	for _, f := range types {
		shape, ok := f.Static()
		if !ok {
			return false
		}
		if n, err := tensor.CheckedElements(shape); err != nil || n > foldLimit {
			return false
		}
	}
	return true
}
