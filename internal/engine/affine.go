package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An affine says what a uint8 code means: (code − zero)·scale. Codes of int8 are kept as uint8 with 128
// added to code and zero point.
type affine struct {
	scale float32
	zero  int32 // 0 to 255
}

// code returns the code of a number, before it is confined to 0…255, at most ±2²⁰.
func (a affine) code(v float32) int32 {
	q := math.RoundToEven(float64(v / a.scale))
	return int32(min(max(q, -1<<20), 1<<20)) + a.zero
}

// bounds returns the codes between which a clamp to [lo, hi] keeps the codes of a.
func (a affine) bounds(lo, hi float32) (int32, int32) {
	l, h := int32(0), int32(255)
	if lo > -inf {
		l = min(max(a.code(lo), 0), 255)
	}
	if hi < inf {
		h = min(max(a.code(hi), 0), 255)
	}
	return l, h
}

// affineOf reads the scale and zero point of a QuantizeLinear or DequantizeLinear of 8-bit codes that are
// the same for the whole tensor; codes is the type of the codes.
func affineOf(n *node, codes tensor.DType) (affine, bool) {
	s, z := n.input(1), n.input(2)
	scale, ok := scalar(s)
	if !ok || !(scale > 0) || math.IsInf(float64(scale), 0) || codes != tensor.Uint8 && codes != tensor.Int8 {
		return affine{}, false
	}
	zero := 0
	if z != nil {
		list, ok := intsOf(z)
		if !ok || !zeroFits(z, s) || z.dtype != codes {
			return affine{}, false
		}
		zero = list[0]
	}
	return affine{scale, int32(zero + offsetOf(codes))}, true
}

// offsetOf is what is added to codes of a type for them to be those of uint8.
func offsetOf(codes tensor.DType) int {
	if codes == tensor.Int8 {
		return 128
	}
	return 0
}

// clampCodes takes Clip on codes, as tools write it between Q and DQ for codes of fewer bits than their type has. Where
// a product gives what is quantized, that is clamped instead: what a bound stands for is quantized to the bound again,
// and Q keeps the order of all but NaN.
func clampCodes(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind != "Clip" || !n.static() || !n.out[0].is(tensor.Uint8) && !n.out[0].is(tensor.Int8) || n.in[0].konst != nil {
			continue
		}
		lo, hi, ok := codeBounds(n)
		if !ok || lo > hi || g.clampQuantized(n, lo, hi) {
			continue
		}
		t, offset := new([256]uint8), offsetOf(n.out[0].dtype)
		for c := range 256 {
			t[uint8(c-offset)] = uint8(min(max(c-offset, lo), hi))
		}
		n.become("table", t, n.in[0])
	}
	g.sweep()
}

// clampQuantized makes n the Q node in front of it, of clamped numbers.
func (g *net) clampQuantized(n *node, lo, hi int) bool {
	q := n.in[0].def
	if q == nil || q.kind != "QuantizeLinear" || n.in[0].single() != n || lo == hi || !q.in[0].is(tensor.Float32) || !g.productGives(q.in[0]) {
		return false
	}
	a, ok := affineOf(q, n.out[0].dtype)
	if !ok {
		return false
	}
	zero := int(a.zero) - offsetOf(n.out[0].dtype)
	clamp := function{kernel.Clamp, float32(lo-zero) * a.scale, float32(hi-zero) * a.scale}
	in := slices.Clone(q.in)
	in[0] = g.newValue(q.in[0], tensor.Float32, q.in[0].shape)
	g.insert(newNode("function", q, clamp, []*value{q.in[0]}, []*value{in[0]}), q)
	n.onnx, n.version = q.onnx, q.version
	n.become("QuantizeLinear", nil, in...)
	return true
}

// codeBounds reads the bounds of a Clip on codes.
func codeBounds(n *node) (lo, hi int, ok bool) {
	lo, hi = 0, 255
	if n.out[0].is(tensor.Int8) {
		lo, hi = -128, 127
	}
	for i, at := range []*int{&lo, &hi} {
		if v := n.input(i + 1); v != nil {
			list, ok := intsOf(v)
			if !ok || len(list) != 1 {
				return 0, 0, false
			}
			*at = list[0]
		}
	}
	return lo, hi, n.version >= 11
}

// zeroFits says whether a zero point has as many elements as its scale; a single one may be a scalar or a vector.
func zeroFits(zero, scale *value) bool {
	return zero.elems() == scale.elems() && (len(zero.shape) < 2 || sameShape(zero.shape, scale.shape))
}

// findCodes turns the 8-bit Q and DQ nodes with one scale into "quantize" and "dequantize", which know
// uint8 codes only; "flip" nodes stand where int8 codes are wanted or given.
func findCodes(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if !n.static() {
			continue
		}
		switch n.kind {
		case "QuantizeLinear":
			g.findQuantize(n)
		case "DequantizeLinear":
			g.findDequantize(n)
		}
	}
	g.sweep()
}

func (g *net) findQuantize(n *node) {
	y := n.out[0]
	a, ok := affineOf(n, y.dtype)
	if !ok || !n.in[0].is(tensor.Float32) || !dividesFloats(n) {
		return
	}
	if y.dtype == tensor.Uint8 {
		n.become("quantize", a, n.in[0])
		return
	}
	u := g.newValue(y, tensor.Uint8, y.shape)
	g.insert(newNode("quantize", n, a, []*value{n.in[0]}, []*value{u}), n)
	n.become("flip", nil, u)
}

func (g *net) findDequantize(n *node) {
	x := n.in[0]
	a, ok := affineOf(n, x.dtype)
	if !ok || x.konst != nil || !n.out[0].is(tensor.Float32) {
		return
	}
	if x.dtype == tensor.Int8 {
		x = g.unsigned(x, n)
	}
	n.become("dequantize", a, x)
}

// unsigned returns the uint8 form of int8 codes, computed in front of n where it must be.
func (g *net) unsigned(x *value, n *node) *value {
	if x.def != nil && x.def.kind == "flip" {
		return x.def.in[0]
	}
	u := g.newValue(x, tensor.Uint8, x.shape)
	if x.konst != nil {
		u.konst = tensor.New(tensor.Uint8, x.shape...)
		kernel.Generic.FlipSign(u.konst.Raw, x.konst.Raw)
		return u
	}
	g.insert(newNode("flip", n, nil, []*value{x}, []*value{u}), n)
	return u
}

// codesOf returns the codes whose meaning v is, where v comes out of a "dequantize" or is a constant
// that a DQ node gives.
func (g *net) codesOf(v *value) (*value, affine, bool) {
	if v == nil || v.def == nil {
		return nil, affine{}, false
	}
	d := v.def
	switch d.kind {
	case "dequantize":
		return d.in[0], d.spec.(affine), true
	case "DequantizeLinear":
		if a, ok := affineOf(d, d.in[0].dtype); ok && d.in[0].konst != nil {
			if d.in[0].dtype == tensor.Int8 {
				return g.unsigned(d.in[0], d), a, true
			}
			return d.in[0], a, true
		}
	}
	return nil, affine{}, false
}

// A landing is the "quantize" node in which a chain of clamps behind a float value ends.
type landing struct {
	node   *node
	to     affine
	lo, hi int32 // codes
}

// landingOf follows v through clamps to the one quantize node that reads it.
func landingOf(v *value) (landing, bool) {
	q, clamp, ok := clampedInto(v)
	if !ok {
		return landing{}, false
	}
	l := landing{node: q, to: q.spec.(affine)}
	l.lo, l.hi = l.to.bounds(clamp.p, clamp.q)
	return l, true
}
