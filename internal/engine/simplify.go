package engine

import "lowbit/internal/tensor"

// simplify takes out the nodes that only pass their operand on.
func simplify(g *net) {
	for _, n := range g.nodes {
		test, ok := passing[n.kind]
		if !ok || n.in[0] == nil || n.out[0] == nil || n.out[0].pinned || len(n.out) > 1 && n.out[1] != nil || !test(n) {
			continue
		}
		g.replace(n.out[0], n.in[0])
	}
	g.sweep()
}

// passing lists the operators that may pass their operand on, and when they do.
var passing = map[string]func(n *node) bool{
	"Identity": func(n *node) bool { return true },
	"Dropout":  func(n *node) bool { return n.version < 12 || n.input(2) == nil || isFalse(n.input(2)) },
	"Clip":     func(n *node) bool { return n.version >= 11 && n.input(1) == nil && n.input(2) == nil },
	"Cast":     func(n *node) bool { return n.in[0].known && n.out[0].is(n.in[0].dtype) || n.in[0].sameOpen(n.out[0]) },
	"Concat":   func(n *node) bool { return len(n.in) == 1 },
}

func isFalse(v *value) bool {
	return v.konst != nil && v.is(tensor.Bool) && v.elems() == 1 && !tensor.Of[bool](v.konst)[0]
}

// sameOpen says whether v and u are tensors of one element type, whatever their shapes.
func (v *value) sameOpen(u *value) bool {
	return v.typ.IsTensor() && u.typ.IsTensor() && v.typ.DType == u.typ.DType && v.typ.DType != tensor.Undefined
}
