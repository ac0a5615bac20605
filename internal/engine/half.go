package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// A half is what a "narrow" or a "widen" node converts to, or from. An explicit one stands where the
// file rounds a value; others stand around nodes that compute on 16-bit floats.
type half struct {
	dtype    tensor.DType
	explicit bool
}

func isHalf(v *value) bool {
	return v != nil && (v.dtype == tensor.Float16 || v.dtype == tensor.BFloat16)
}

// findHalves lets nodes on 16-bit floats compute in float32. From one such node to the next values
// stay in float32: their rounding in between, which the file's types would have, is left out.
func findHalves(g *net) {
	h := &halves{net: g, wide: map[*value]*value{}}
	for _, n := range slices.Clone(g.nodes) {
		switch {
		case n.kind == "Cast":
			h.cast(n)
		case h.computes(n):
			h.widen(n)
		}
	}
	for _, n := range g.nodes {
		if rounded[n.kind] && len(n.in) > 1 && n.in[0] != nil && n.in[0].fromBF16() {
			g.markBF16(n)
		}
	}
	g.sweep()
}

// rounded lists the products that may take their operands as bfloat16 where the file rounds them to it and
// back: products of such numbers are exact, so that their sums stay those of float32.
var rounded = map[string]bool{"MatMul": true, "Gemm": true, "Conv": true}

func (v *value) fromBF16() bool {
	return v.def != nil && v.def.kind == "widen" && v.def.spec.(half).dtype == tensor.BFloat16
}

type halves struct {
	*net
	wide map[*value]*value // the float32 form of 16-bit values
}

// cast turns conversions between float32 and a 16-bit float into nodes of the engine's own. What codes stand for is not
// rounded, so that products meet the codes.
func (h *halves) cast(n *node) {
	x, y := n.in[0], n.out[0]
	coded := x.def != nil && x.def.kind == "DequantizeLinear" && x.def.in[0].dtype.Bits() <= 8
	switch {
	case !n.static() || y == nil || x.konst != nil && !coded:
	case x.dtype == tensor.Float32 && isHalf(y):
		n.become("narrow", half{y.dtype, !coded}, x)
	case isHalf(x) && y.dtype == tensor.Float32:
		if d := x.def; d != nil && d.kind == "narrow" && !d.spec.(half).explicit && !y.pinned {
			h.replace(y, d.in[0])
			return
		}
		n.become("widen", half{x.dtype, true}, x)
	}
}

// computes says whether n takes 16-bit floats, of known shapes, and would give float32 for float32.
func (h *halves) computes(n *node) bool {
	if attentionReaders[n.kind] != nil {
		return len(n.in) == n.formal && n.in[0] != nil && n.in[0].known && isHalf(n.in[0]) && attends(n)
	}
	if len(n.in) != n.formal || !slices.ContainsFunc(n.in, isHalf) || !n.static() {
		return false
	}
	if n.kind == "QuantizeLinear" || n.kind == "DequantizeLinear" {
		return n.in[1].konst != nil && !n.onnx.Has("precision") && (n.kind == "QuantizeLinear" || !n.onnx.Has("output_dtype"))
	}
	o := op.Lookup(n.onnx.Domain, n.onnx.Op)
	return o != nil && !o.Random && (!o.Quantized() || blockwise[n.kind]) && n.onnx.Attr("dtype") == nil && n.onnx.Op != "CastLike"
}

// blockwise lists operators on weights of a few bits that give floats of the type that their scales have.
var blockwise = map[string]bool{"com.microsoft.MatMulNBits": true, "com.microsoft.MatMulBnb4": true, "com.microsoft.GatherBlockQuantized": true}

// widen makes n compute in float32. Where its first two operands are bfloat16, the lowering of a product
// may round them to it again.
func (h *halves) widen(n *node) {
	in := slices.Clone(n.in)
	if len(in) > 1 && in[0].is(tensor.BFloat16) && in[1].is(tensor.BFloat16) {
		h.markBF16(n)
	}
	kept := keptBy(n)
	for i, v := range in {
		if isHalf(v) && v.known && !slices.Contains(kept, v) {
			in[i] = h.long(v, n)
		}
	}
	n.setIn(in...)
	for i, v := range n.out {
		if !isHalf(v) || slices.Contains(kept, v) {
			continue
		}
		y := h.newValue(v, tensor.Float32, v.shape)
		y.def, n.out[i] = n, y
		m := newNode("narrow", n, half{dtype: v.dtype}, []*value{y}, []*value{v})
		h.nodes = slices.Insert(h.nodes, slices.Index(h.nodes, n)+1, m)
	}
}

func (g *net) markBF16(n *node) {
	if g.bf16 == nil {
		g.bf16 = map[*graph.Node]bool{}
	}
	g.bf16[n.onnx] = true
}

// long returns the float32 form of v, which node n reads.
func (h *halves) long(v *value, n *node) *value {
	if w := h.wide[v]; w != nil {
		return w
	}
	if d := v.def; d != nil && d.kind == "narrow" && !d.spec.(half).explicit {
		return d.in[0]
	}
	var w *value
	if v.konst != nil {
		t := tensor.New(tensor.Float32, v.shape...)
		decodeHalf(kernel.Generic, v.dtype, tensor.Of[float32](t), tensor.Of[uint16](v.konst))
		w = h.constant(v.name+"·f32", t)
		w.few = readFew(weight.Halves(v.konst))
	} else {
		w = h.newValue(v, tensor.Float32, v.shape)
		h.insert(newNode("widen", n, half{dtype: v.dtype}, []*value{v}, []*value{w}), n)
	}
	h.wide[v] = w
	return w
}

func decodeHalf(l kernel.Level, d tensor.DType, dst []float32, src []uint16) {
	if d == tensor.BFloat16 {
		l.DecodeBF16(dst, src)
	} else {
		l.DecodeF16(dst, src)
	}
}

func encodeHalf(l kernel.Level, d tensor.DType, dst []uint16, src []float32) {
	if d == tensor.BFloat16 {
		l.EncodeBF16(dst, src)
	} else {
		l.EncodeF16(dst, src)
	}
}

func lowerWiden(lw *lowerer, n *node) bool {
	d, level := n.spec.(half).dtype, lw.level
	lw.elementwise(n, d.String()+" to f32", func(f *frame, dst, x *slot, from, to int) {
		decodeHalf(level, d, f.f32(dst)[from:to], tensor.Of[uint16](f.vals[x.id])[from:to])
	})
	return true
}

func lowerNarrow(lw *lowerer, n *node) bool {
	d, level := n.spec.(half).dtype, lw.level
	lw.elementwise(n, "f32 to "+d.String(), func(f *frame, dst, x *slot, from, to int) {
		encodeHalf(level, d, tensor.Of[uint16](f.vals[dst.id])[from:to], f.f32(x)[from:to])
	})
	return true
}
