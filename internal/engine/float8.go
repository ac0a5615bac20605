package engine

import (
	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// A float8 is what "to float8" and "from float8" nodes convert by: x ≈ code·scale.
type float8 struct {
	*format.Float8
	scale float32
}

// findFloat8 turns Q and DQ between float32 and a float of eight bits, with one scale, into nodes of
// the engine's own.
func findFloat8(g *net) {
	for _, n := range g.nodes {
		if !n.static() || n.kind != "QuantizeLinear" && n.kind != "DequantizeLinear" {
			continue
		}
		x, y := n.in[0], n.out[0]
		scale, ok := scalar(n.input(1))
		if z := n.input(2); !ok || !(scale > 0) || scale == inf || z != nil && !(isZeroFloat8(z) && sameShape(z.shape, n.in[1].shape)) || x.konst != nil {
			continue
		}
		switch {
		case n.kind == "QuantizeLinear" && x.is(tensor.Float32) && n.onnx.Bool("saturate", true) && n.onnx.Int("precision", 0) == 0:
			if f := format.Float8Of(y.dtype); f != nil {
				n.become("to float8", float8{f, scale}, x)
			}
		case n.kind == "DequantizeLinear" && y.is(tensor.Float32):
			if f := format.Float8Of(x.dtype); f != nil {
				n.become("from float8", float8{f, scale}, x)
			}
		}
	}
	g.sweep()
}

// isZeroFloat8 says whether a zero point is the zero that a float has to have.
func isZeroFloat8(z *value) bool {
	return z.konst != nil && len(z.konst.Raw) == 1 && z.konst.Raw[0] == 0
}

func lowerToFloat8(lw *lowerer, n *node) bool {
	s := n.spec.(float8)
	lw.elementwise(n, "f32 to "+n.out[0].dtype.String(), func(f *frame, dst, x *slot, from, to int) {
		s.Encode(f.u8(dst)[from:to], f.f32(x)[from:to], s.scale)
	})
	return true
}

func lowerFromFloat8(lw *lowerer, n *node) bool {
	s := n.spec.(float8)
	var table [256]float32
	for c, v := range s.Values {
		table[c] = v * s.scale
	}
	lw.elementwise(n, n.in[0].dtype.String()+" to f32", func(f *frame, dst, x *slot, from, to int) {
		y := f.f32(dst)[from:to]
		for i, c := range f.u8(x)[from:to] {
			y[i] = table[c]
		}
	})
	return true
}
