package doctor

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Products of matrices have no operand for a bias: an Add behind one does its work. The two are one layer here.

// biases finds where each layer reads its bias.
func (n *net) biases() {
	byNode := map[*graph.Node]*unit{}
	for _, u := range n.nodes {
		byNode[u.node] = u
	}
	for _, u := range n.nodes {
		switch {
		case u.bias != nil:
			u.adder, u.added = u.node, operandOf(u, u.bias)
		case u.weights == nil:
		case op.Lookup(u.node.Domain, u.node.Op).Quant.Role(biasAt) == op.Bias && len(u.node.In) > biasAt:
			u.adder, u.added = u.node, biasAt
		case u.node.Op == "MatMul":
			n.addedBehind(u, byNode)
		}
	}
}

// addedBehind takes the Add behind a product as part of its layer, where that adds a constant to each channel.
func (n *net) addedBehind(u *unit, byNode map[*graph.Node]*unit) {
	sum := n.x.OnlyUse(u.node.Out[0])
	if sum == nil || sum.Op != "Add" && sum.Op != "Sum" || len(sum.In) != 2 || len(u.weights.coded.Shape) < 2 {
		return
	}
	i := 1 - slices.Index(sum.In, u.node.Out[0])
	shape := u.weights.coded.Shape
	t := n.m.Graph.ConstTensor(sum.In[i])
	if s := byNode[sum]; s != nil && s.bias != nil {
		u.bias, s.bias = s.bias, nil
	} else if t == nil || t.DType != tensor.Float32 || !slices.Equal(t.Shape, shape[len(shape)-1:]) {
		return
	}
	u.adder, u.added = sum, i
}

// last is the node that makes a layer's result, which its bias is part of.
func (u *unit) last() *graph.Node {
	if u.adder != nil {
		return u.adder
	}
	return u.node
}

// biasBeside is the node of the float network that reads a layer's bias, and the operand; -1 where it is not known.
func (n *net) biasBeside(u *unit) (f *graph.Node, at int) {
	f = n.twin[u.node]
	switch {
	case f != nil && u.adder == u.node && u.added < len(f.In):
		return f, u.added
	case f != nil && f.Op == "Gemm" && len(f.In) > biasAt:
		return f, biasAt
	case u.adder != u.node:
		f = n.twin[u.adder]
	case f != nil:
		f = n.fx.OnlyUse(f.Out[0])
	}
	if f == nil || f.Op != "Add" {
		return nil, -1
	}
	return f, slices.IndexFunc(f.In, func(name string) bool { return n.float.Graph.ConstTensor(name) != nil })
}
