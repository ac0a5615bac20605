package engine

import (
	"lowbit/internal/kernel"
)

// joinTables turns operations on two functions of the same codes, such as x·sigmoid(x), and functions of
// functions, into one table.
func joinTables(g *net) {
	for _, n := range g.nodes {
		switch s := n.spec.(type) {
		case *intBinary:
			x, tx := tableOf(n.in[0])
			y, ty := tableOf(n.in[1])
			if x == y && x.konst == nil && sameShape(x.shape, n.out[0].shape) {
				n.become("table", s.tabulate(tx, ty), x)
			}
		case *[256]uint8:
			if x, t := tableOf(n.in[0]); x != n.in[0] && sameShape(x.shape, n.out[0].shape) {
				joined := new([256]uint8)
				kernel.Generic.LUT8(joined[:], t[:], s)
				n.become("table", joined, x)
			}
		}
	}
	g.sweep()
}

// tabulate computes the operation for every code of the value that both operands are functions of.
func (s *intBinary) tabulate(x, y *[256]uint8) *[256]uint8 {
	t := new([256]uint8)
	if s.op == "Mul" {
		kernel.Generic.QMulU8(&s.q, t[:], x[:], y[:])
	} else {
		kernel.Generic.QAddU8(&s.q, t[:], x[:], y[:])
	}
	return t
}

// tableOf returns the codes that v is a function of, going back over tables, and the function.
func tableOf(v *value) (*value, *[256]uint8) {
	t := new([256]uint8)
	for i := range t {
		t[i] = uint8(i)
	}
	for v.def != nil {
		switch s := v.def.spec.(type) {
		case *[256]uint8:
			t = composed(s, t)
		default:
			if v.def.kind != "flip" {
				return v, t
			}
			t = composed(signFlip, t)
		}
		v = v.def.in[0]
	}
	return v, t
}

// composed is the function that looks up in t what inner gives.
func composed(inner, t *[256]uint8) *[256]uint8 {
	c := new([256]uint8)
	kernel.Generic.LUT8(c[:], inner[:], t)
	return c
}

// signFlip is the function of a "flip" node.
var signFlip = func() *[256]uint8 {
	t := new([256]uint8)
	for i := range t {
		t[i] = uint8(i) ^ 0x80
	}
	return t
}()
