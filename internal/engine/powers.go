package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// findPowers turns the powers that have a function of their own into "function" nodes, third powers into products, and
// LeakyRelu into PRelu with a constant slope.
func findPowers(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if !n.static() || !n.in[0].is(tensor.Float32) {
			continue
		}
		switch n.kind {
		case "Pow":
			floatExponents(g, n)
			e, ok := scalar(n.in[1])
			i := slices.IndexFunc(powers, func(p power) bool { return p.exponent == e })
			if !ok || !sameShape(n.in[0].shape, n.out[0].shape) {
				continue
			}
			if i >= 0 {
				n.become("function", function{op: powers[i].op}, n.in[0])
			} else if e == 3 {
				square := g.newValue(n.in[0], tensor.Float32, n.in[0].shape)
				g.insert(newNode("function", n, function{op: kernel.Square}, []*value{n.in[0]}, []*value{square}), n)
				n.become("Mul", nil, square, n.in[0])
			}
		case "LeakyRelu":
			slope := g.constant(n.out[0].name+"·slope", tensor.Scalar(n.onnx.Float("alpha", 0.01)))
			n.become("PRelu", nil, n.in[0], slope)
		}
	}
}

// floatExponents spells constant whole exponents in float32, where that holds them.
func floatExponents(g *net, n *node) {
	y := n.in[1]
	if y.konst == nil || !y.dtype.IsInt() {
		return
	}
	whole, err := y.konst.Ints()
	if err != nil {
		return
	}
	e := make([]float32, len(whole))
	for i, v := range whole {
		if e[i] = float32(v); max(v, -v) > 1<<24 {
			return
		}
	}
	n.become("Pow", nil, n.in[0], g.constant(y.name+"·float", tensor.Float32s(e, y.shape...)))
}

type power struct {
	exponent float32
	op       kernel.Unary
}

var powers = []power{{2, kernel.Square}, {0.5, kernel.Sqrt}, {-1, kernel.Reciprocal}}
