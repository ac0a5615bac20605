package engine

import (
	"slices"

	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// expandFolds writes Sum, Min, Max and Mean of any number of operands as operators on two.
func expandFolds(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if pair, ok := map[string]string{"Sum": "Add", "Mean": "Add", "Min": "Min", "Max": "Max"}[n.kind]; ok && n.static() && len(n.in) == n.formal && n.formal > 0 && (n.formal != 2 || n.kind == "Mean") {
			g.expandFold(n, pair)
		}
	}
	g.sweep()
}

func (g *net) expandFold(n *node, pair string) {
	if slices.ContainsFunc(n.in, func(v *value) bool { return !v.is(tensor.Float32) }) || !n.out[0].is(tensor.Float32) {
		return
	}
	var shapes [][]int
	for i, v := range n.in {
		shape, err := op.BroadcastShape(append(shapes, v.shape)...)
		if err != nil || i == len(n.in)-1 && !sameShape(shape, n.out[0].shape) {
			return
		}
		shapes = append(shapes[:0], shape)
	}
	e := &expander{g: g, n: n}
	y := n.in[0]
	for _, v := range n.in[1:] {
		shape, _ := op.BroadcastShape(y.shape, v.shape)
		y = e.put(pair, shape, nil, y, v)
	}
	if n.kind == "Mean" && n.formal > 1 {
		y = e.put("Div", y.shape, nil, y, e.number(float64(n.formal)))
	}
	e.end(y)
}
