package engine

import (
	"slices"

	"lowbit/internal/tensor"
)

// Codes of signs: 0 means −1, 2 means 1, and padding, which is zero, lies between.
const signZero = 1

// findSigns turns choices between a number and its negative, by the sign of each element, into
// "signs" nodes, which write codes, and what these mean.
func findSigns(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		x, scale, ok := signOf(n)
		if !ok {
			continue
		}
		y := n.out[0]
		u := g.newValue(y, tensor.Uint8, y.shape)
		g.insert(newNode("signs", n, nil, []*value{x}, []*value{u}), n)
		n.become("dequantize", affine{scale, signZero}, u)
	}
	g.sweep()
}

// signOf reads Where(x < 0, −scale, scale).
func signOf(n *node) (x *value, scale float32, ok bool) {
	if n.kind != "Where" || !n.static() || n.in[0].def == nil || n.in[0].def.kind != "Less" || !n.in[0].def.static() {
		return nil, 0, false
	}
	less := n.in[0].def
	x = less.in[0]
	zero, okZero := scalar(less.in[1])
	minus, okMinus := scalar(n.in[1])
	plus, okPlus := scalar(n.in[2])
	ok = okZero && okMinus && okPlus && zero == 0 && plus > 0 && plus < inf && minus == -plus
	return x, plus, ok && x.is(tensor.Float32) && x.konst == nil && n.out[0].is(tensor.Float32) && sameShape(x.shape, n.out[0].shape)
}

func lowerSigns(lw *lowerer, n *node) bool {
	level := lw.level
	lw.elementwise(n, "f32 to signs", func(f *frame, dst, x *slot, from, to int) {
		level.Signs(f.u8(dst)[from:to], f.f32(x)[from:to])
	})
	return true
}

// isSigns says whether the codes of v are those of signs.
func isSigns(v *value) bool { return v.def != nil && v.def.kind == "signs" }

// areSigns says whether all weights are 1 or −1.
func areSigns(w *tensor.Tensor) bool {
	for _, v := range tensor.Of[int8](w) {
		if v != 1 && v != -1 {
			return false
		}
	}
	return true
}
