package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
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
	h := &halves{net: g, wide: map[*value]*value{}, stored: map[*value]*value{}}
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
	wide   map[*value]*value // the float32 form of 16-bit values
	stored map[*value]*value // that of matrices that stay as they are until they are packed
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
	if n.kind == "Gather" && n.in[0].konst != nil && n.in[0].elems() >= fewLeast {
		return false // rows of a table are few: they are made float32 behind it
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
		switch {
		case !isHalf(v) || !v.known || slices.Contains(kept, v):
		case i == 1 && (n.kind == "MatMul" || n.kind == "Gemm") && h.stays(v):
			in[i] = h.storedLong(v, n)
		default:
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
		w = h.constant(v.name+"·f32", widened(v.konst))
		w.few = fewHalves(v.konst)
	} else {
		w = h.newValue(v, tensor.Float32, v.shape)
		h.insert(newNode("widen", n, half{dtype: v.dtype}, []*value{v}, []*value{w}), n)
	}
	h.wide[v] = w
	return w
}

// stays says whether v is a matrix whose float32 form is made when it is packed, if at all.
func (h *halves) stays(v *value) bool {
	return v.konst != nil && len(v.shape) == 2 && v.elems() >= fewLeast && h.wide[v] == nil
}

// storedLong returns the float32 form of a constant matrix that node n multiplies by, as the result of a Cast.
func (h *halves) storedLong(v *value, n *node) *value {
	if w := h.stored[v]; w != nil {
		return w
	}
	w := h.newValue(v, tensor.Float32, v.shape)
	h.insertOp(n, "Cast", n.version, []*graph.Attr{{Name: "to", Value: int64(tensor.Float32)}}, []*value{v}, w)
	w.few = fewHalves(v.konst)
	h.stored[v] = w
	return w
}

// widened is a tensor of 16-bit floats in float32.
func widened(t *tensor.Tensor) *tensor.Tensor {
	level, err := kernel.Best()
	if err != nil {
		level = kernel.Generic
	}
	y := tensor.New(tensor.Float32, t.Shape...)
	decodeHalf(level, t.DType, tensor.Of[float32](y), tensor.Of[uint16](t))
	return y
}

// widenedConstant is the float32 that a Cast makes of constant 16-bit floats; nil for other nodes.
func widenedConstant(n *node) *tensor.Tensor {
	if n.kind != "Cast" || !isHalf(n.in[0]) || n.in[0].konst == nil || !n.out[0].is(tensor.Float32) {
		return nil
	}
	return widened(n.in[0].konst)
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
