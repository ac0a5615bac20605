package engine

import (
	"context"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// An evaluator computes a node by its reference definition.
type evaluator struct {
	node   *node
	op     *op.Op
	hosted *graph.Model // a model of this one node, where the operator needs a runner around it
	seed   uint64
}

// evaluator prepares the reference evaluation of n. Operators with subgraphs, random ones and the
// model's own functions run inside a model that holds nothing else.
func (g *net) evaluator(n *node, seed uint64) (*evaluator, error) {
	e := &evaluator{node: n, seed: seed}
	f := g.model.Function(n.onnx.Domain, n.onnx.Op, n.onnx.Overload)
	if f == nil {
		o, err := op.Resolve(n.onnx, n.version)
		if err != nil {
			return nil, err
		}
		e.op = o
		if !o.Random && len(n.onnx.Subgraphs()) == 0 {
			return e, nil
		}
	}
	h := &graph.Graph{Name: n.onnx.Name, Nodes: []*graph.Node{n.onnx}}
	seen := map[string]bool{}
	for i, v := range n.in {
		if v != nil && !seen[n.names[i]] {
			seen[n.names[i]] = true
			h.In = append(h.In, &graph.Value{Name: n.names[i]})
		}
	}
	for i, v := range n.out {
		if v != nil {
			h.Out = append(h.Out, &graph.Value{Name: n.onnx.Out[i]})
		}
	}
	e.hosted = &graph.Model{IR: g.model.IR, Opsets: g.model.Opsets, Functions: g.model.Functions, Graph: h}
	return e, nil
}

// run computes the results for the given operands, one for each entry of node.in.
func (e *evaluator) run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	var out []*tensor.Tensor
	var err error
	if e.hosted != nil {
		out, err = e.runHosted(ctx, in)
	} else {
		out, err = e.op.Eval(&op.Call{Node: e.node.onnx, Opset: e.node.version, In: in})
	}
	if err != nil {
		return nil, fault.At(e.node.onnx.Label(), err)
	}
	for i, v := range e.node.out {
		if v != nil && (i >= len(out) || out[i] == nil) {
			return nil, fault.Unsupportedf(e.node.onnx.Label(), "output %d %q is not computed", i, v.name)
		}
	}
	return out, nil
}

func (e *evaluator) runHosted(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	args := map[string]*tensor.Tensor{}
	for i, v := range e.node.in {
		if v != nil {
			args[e.node.names[i]] = in[i]
		}
	}
	res, err := op.Run(e.hosted, args, op.Options{Context: ctx, Seed: e.seed})
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(e.node.out))
	for i, v := range e.node.out {
		if v != nil {
			out[i] = res[e.node.onnx.Out[i]]
		}
	}
	return out, nil
}
