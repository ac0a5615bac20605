package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// byColumn says whether operands of a product with one matrix w are single numbers, or one for each of its columns, as the
// bias has to be; the definition has to judge what else there may be.
func byColumn(w, bias *value, list ...*value) bool {
	row := func(v *value) bool { return sameShape(v.shape, w.shape[1:]) }
	return len(w.shape) == 2 && (bias == nil || row(bias)) && !slices.ContainsFunc(list, func(v *value) bool {
		return v != nil && !row(v) && (v.elems() != 1 || len(v.shape) > 1)
	})
}

// expandDynamic writes the products whose activations are quantized in each run, as ONNX Runtime's optimizer fuses them,
// in the operators that they stand for.
func expandDynamic(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if !n.static() || !n.out[0].is(tensor.Float32) || len(n.in[0].shape) < 2 {
			continue
		}
		switch n.kind {
		case "com.microsoft.MatMulIntegerToFloat":
			if z := n.input(4); n.in[2].elems() == 1 && (z == nil || z.elems() == 1) && byColumn(n.in[1], n.input(6), n.in[2], z, n.in[3], n.input(5)) {
				g.scaledCodes(n, n.in[0], n.in[2], z, n.in[1], n.in[3], n.input(5), n.input(6))
			}
		case "com.microsoft.DynamicQuantizeMatMul":
			if !byColumn(n.in[1], n.input(4), n.in[2], n.input(3)) {
				continue
			}
			codes := g.newValue(n.in[0], tensor.Uint8, n.in[0].shape)
			scale, zero := g.newValue(n.in[0], tensor.Float32, []int{}), g.newValue(n.in[0], tensor.Uint8, []int{})
			q := newNode("DynamicQuantizeLinear", n, nil, []*value{n.in[0]}, []*value{codes, scale, zero})
			q.onnx = &graph.Node{Op: q.kind, Name: n.onnx.Name, In: []string{n.in[0].name}, Out: []string{codes.name, scale.name, zero.name}}
			q.version = qdqVersion
			g.insert(q, n)
			g.scaledCodes(n, codes, scale, zero, n.in[1], n.in[2], n.input(3), n.input(4))
		}
	}
}

// scaledCodes makes n a product of codes times their scales, plus a bias for each column.
func (g *net) scaledCodes(n *node, x, xScale, xZero, w, wScale, wZero, bias *value) {
	g.insertScaled(n, n.out[0], x, xScale, xZero, w, wScale, wZero, bias)
	n.out = nil
	g.kill(n)
}

// insertScaled puts in front of n the nodes that give such a product y.
func (g *net) insertScaled(n *node, y, x, xScale, xZero, w, wScale, wZero, bias *value) {
	sums, floats := g.newValue(y, tensor.Int32, y.shape), g.newValue(y, tensor.Float32, y.shape)
	scale := g.newValue(wScale, tensor.Float32, wScale.shape)
	g.insertOp(n, "MatMulInteger", qdqVersion, nil, []*value{x, w, xZero, wZero}, sums)
	g.insertOp(n, "Cast", qdqVersion, []*graph.Attr{{Name: "to", Value: int64(tensor.Float32)}}, []*value{sums}, floats)
	g.insertOp(n, "Mul", qdqVersion, nil, []*value{xScale, wScale}, scale)
	if bias == nil {
		g.insertOp(n, "Mul", qdqVersion, nil, []*value{floats, scale}, y)
		return
	}
	product := g.newValue(y, tensor.Float32, y.shape)
	g.insertOp(n, "Mul", qdqVersion, nil, []*value{floats, scale}, product)
	g.insertOp(n, "Add", qdqVersion, nil, []*value{product, bias}, y)
}
