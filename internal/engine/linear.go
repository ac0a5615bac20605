package engine

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// What is left of QuantizeLinear and DequantizeLinear once the islands are found: codes of other than 8 bits, several
// scales, and scales that are computed.

// A codec quantizes and dequantizes elements from to to-1 of one type by the scale and the zero point at k; those by rows
// have one of each for every column, from k on.
type codec struct {
	quantize       func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale float32, zero *tensor.Tensor, k int)
	dequantize     func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale float32, zero *tensor.Tensor, k int)
	quantizeRows   func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale []float32, zero *tensor.Tensor, k int)
	dequantizeRows func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale []float32, zero *tensor.Tensor, k int)
}

// codecOf makes a codec of the kernels for one type.
func codecOf[T uint8 | int8 | uint16 | int16](
	q func(l kernel.Level, dst []T, x []float32, scale float32, zero T), d func(l kernel.Level, dst []float32, x []T, scale float32, zero T),
	qr func(l kernel.Level, dst []T, x, scale []float32, zero []T), dr func(l kernel.Level, dst []float32, x []T, scale []float32, zero []T),
) codec {
	return codec{
		quantize: func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale float32, zero *tensor.Tensor, k int) {
			q(l, tensor.Of[T](dst)[from:to], x[from:to], scale, tensor.Of[T](zero)[k])
		},
		dequantize: func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale float32, zero *tensor.Tensor, k int) {
			d(l, dst[from:to], tensor.Of[T](x)[from:to], scale, tensor.Of[T](zero)[k])
		},
		quantizeRows: func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale []float32, zero *tensor.Tensor, k int) {
			qr(l, tensor.Of[T](dst)[from:to], x[from:to], scale, tensor.Of[T](zero)[k:])
		},
		dequantizeRows: func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale []float32, zero *tensor.Tensor, k int) {
			dr(l, dst[from:to], tensor.Of[T](x)[from:to], scale, tensor.Of[T](zero)[k:])
		},
	}
}

// float8Codec makes a codec of the conversions of a float of eight bits, whose zero point is zero.
func float8Codec(d tensor.DType) codec {
	v := format.Float8Of(d)
	return codec{
		quantize: func(_ kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale float32, _ *tensor.Tensor, _ int) {
			v.Encode(dst.Raw[from:to], x[from:to], scale)
		},
		dequantize: func(_ kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale float32, _ *tensor.Tensor, _ int) {
			y := dst[from:to]
			for i, c := range x.Raw[from:to] {
				y[i] = v.Values[c] * scale
			}
		},
		quantizeRows: func(_ kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale []float32, _ *tensor.Tensor, _ int) {
			for at := from; at < to; at += len(scale) {
				for i, s := range scale {
					v.Encode(dst.Raw[at+i:][:1], x[at+i:][:1], s)
				}
			}
		},
		dequantizeRows: func(_ kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale []float32, _ *tensor.Tensor, _ int) {
			for at := from; at < to; at += len(scale) {
				y := dst[at:][:len(scale)]
				for i, c := range x.Raw[at:][:len(scale)] {
					y[i] = v.Values[c] * scale[i]
				}
			}
		},
	}
}

var codecs = map[tensor.DType]codec{
	tensor.Uint8:  codecOf(kernel.Level.QuantizeU8, kernel.Level.DequantizeU8, kernel.Level.QuantizeU8Rows, kernel.Level.DequantizeU8Rows),
	tensor.Int8:   codecOf(kernel.Level.QuantizeS8, kernel.Level.DequantizeS8, kernel.Level.QuantizeS8Rows, kernel.Level.DequantizeS8Rows),
	tensor.Uint16: codecOf(kernel.Level.QuantizeU16, kernel.Level.DequantizeU16, kernel.Level.QuantizeU16Rows, kernel.Level.DequantizeU16Rows),
	tensor.Int16:  codecOf(kernel.Level.QuantizeS16, kernel.Level.DequantizeS16, kernel.Level.QuantizeS16Rows, kernel.Level.DequantizeS16Rows),

	tensor.Float8E4M3FN: float8Codec(tensor.Float8E4M3FN), tensor.Float8E5M2: float8Codec(tensor.Float8E5M2),
}

// lowerLinear emits QuantizeLinear and DequantizeLinear.
func lowerLinear(lw *lowerer, n *node) bool {
	codes := n.in[0]
	if n.kind == "QuantizeLinear" {
		codes = n.out[0]
	}
	c, ok := codecs[codes.dtype]
	if !ok || !takesScales(n) || codes.dtype.IsFloat() && !scalesFloat8(n) {
		return false
	}
	if scalesAlike(n) {
		lw.linearTensor(n, c)
	} else {
		lw.linearStretches(n, c)
	}
	return true
}

// scalesAlike says whether all elements have one scale.
func scalesAlike(n *node) bool {
	return n.in[1].elems() == 1 && (len(n.in[1].shape) < 2 || n.onnx.Int("block_size", 0) == 0)
}

// takesScales says whether Q or DQ is between float32 and codes with scales of float32 that fit.
func takesScales(n *node) bool {
	codes, floats, scale, zero := n.in[0], n.out[0], n.in[1], n.input(2)
	if n.kind == "QuantizeLinear" {
		codes, floats = floats, codes
	}
	if !floats.is(tensor.Float32) || !scale.is(tensor.Float32) || codes.elems() == 0 || scale.elems() == 0 || !dividesFloats(n) ||
		zero != nil && (zero.dtype != codes.dtype || !zeroFits(zero, scale)) {
		return false
	}
	_, ok := stretchesOf(n, rowMajor)
	return ok || scalesAlike(n)
}

// dividesFloats says whether QuantizeLinear of float32 divides as such.
func dividesFloats(n *node) bool {
	d := n.onnx.Int("precision", 0)
	return d == 0 || d == int(tensor.Float32)
}

// scalesFloat8 says whether Q or DQ of a float of eight bits converts as [format.Float8] does.
func scalesFloat8(n *node) bool {
	scale := n.in[1].konst
	if scale == nil || !n.onnx.Bool("saturate", true) || slices.ContainsFunc(tensor.Of[float32](scale), func(s float32) bool { return !(s > 0) || s == inf }) {
		return false
	}
	z := n.input(2)
	return z == nil || z.konst != nil && !slices.ContainsFunc(z.konst.Raw, func(b byte) bool { return b != 0 })
}

// A linear is the operands of Q or DQ as its steps see them.
type linear struct {
	codec
	level       kernel.Level
	x, dst      *slot
	scale, zero *slot
	none        *tensor.Tensor // the zero point where zero is nil
	quantizes   bool
}

func (lw *lowerer) newLinear(n *node, c codec, l layout) *linear {
	s := &linear{codec: c, level: lw.level, x: lw.use(n.in[0], l), dst: lw.make(n.out[0], l), scale: lw.use(n.in[1], rowMajor), quantizes: n.kind == "QuantizeLinear"}
	if z := n.input(2); z != nil {
		s.zero = lw.use(z, rowMajor)
		return s
	}
	codes := n.in[0]
	if s.quantizes {
		codes = n.out[0]
	}
	s.none = tensor.New(codes.dtype, n.in[1].elems())
	return s
}

// operands lists the slots that a step reads.
func (s *linear) operands() []*slot {
	if s.zero == nil {
		return []*slot{s.x, s.scale}
	}
	return []*slot{s.x, s.scale, s.zero}
}

// run takes elements from to to-1, with one scale, or with as many as there are columns, from k on.
func (s *linear) run(f *frame, from, to, k, columns int) {
	zero, scale := s.none, f.f32(s.scale)[k:][:columns]
	if s.zero != nil {
		zero = f.vals[s.zero.id]
	}
	x, dst := f.vals[s.x.id], f.vals[s.dst.id]
	switch {
	case s.quantizes && columns == 1:
		s.quantize(s.level, dst, tensor.Of[float32](x), from, to, scale[0], zero, k)
	case s.quantizes:
		s.quantizeRows(s.level, dst, tensor.Of[float32](x), from, to, scale, zero, k)
	case columns == 1:
		s.dequantize(s.level, tensor.Of[float32](dst), x, from, to, scale[0], zero, k)
	default:
		s.dequantizeRows(s.level, tensor.Of[float32](dst), x, from, to, scale, zero, k)
	}
}

// linearTensor takes one scale for all.
func (lw *lowerer) linearTensor(n *node, c codec) {
	l, _ := lw.natural(n.in[0])
	s, size := lw.newLinear(n, c, l), n.in[0].elems()
	parts := lw.partsFor(float64(size)*byteNanos, size/64)
	lw.emit(&step{node: n, kernel: n.kind, parts: parts, in: s.operands(), out: []*slot{s.dst}, run: func(f *frame, part int) error {
		if from, to := span(size, part, parts); from < to {
			s.run(f, from, to, 0, 1)
		}
		return nil
	}})
}

// Stretches are elements that lie beside each other and share scales: one, or one for each column. The operand is seen as
// (outer,n,inner) around the axis of the scales, and cut along it.
type stretches struct {
	outer, n, inner int
	each            int // positions along the axis in a stretch
	columns         int // scales of a stretch
	scales          int // in all
}

// linearStretches takes scales along an axis, or for blocks along one.
func (lw *lowerer) linearStretches(n *node, c codec) {
	l := rowMajor
	if len(n.in[1].shape) == 1 {
		l, _ = lw.natural(n.in[0])
	}
	s, _ := stretchesOf(n, l)
	name := n.kind + " by channel"
	if n.onnx.Int("block_size", 0) != 0 {
		name = n.kind + " by block"
	}
	nanos := float64(n.in[0].elems()) * byteNanos
	if s.n > 1 && s.outer == 1 && s.columns == s.scales {
		s.each = (s.n + lw.partsFor(nanos, s.n) - 1) / lw.partsFor(nanos, s.n)
	}
	along := (s.n + s.each - 1) / s.each
	count, op := s.outer*along, lw.newLinear(n, c, l)
	parts := lw.partsFor(nanos, count)
	lw.emit(&step{node: n, kernel: name, parts: parts, in: op.operands(), out: []*slot{op.dst}, run: func(f *frame, part int) error {
		for i := count * part / parts; i < count*(part+1)/parts; i++ {
			from := (i/along*s.n + i%along*s.each) * s.inner
			op.run(f, from, from+min(s.each, s.n-i%along*s.each)*s.inner, i*s.columns%s.scales, s.columns)
		}
		return nil
	}})
}

// stretchesOf reads how the scales of Q or DQ lie, the operand in a layout.
func stretchesOf(n *node, l layout) (*stretches, bool) {
	x, scale, size := n.in[0].shape, n.in[1].shape, n.onnx.Int("block_size", 0)
	axis, ok := quantizedAxis(n)
	if !ok {
		return nil, false
	}
	if len(scale) == 1 && size == 0 {
		shape, at := l.physical(x), l.axis(axis, len(x))
		s := &stretches{outer: tensor.Elements(shape[:at]), n: shape[at], inner: tensor.Elements(shape[at+1:]), each: 1, columns: 1, scales: scale[0]}
		if s.inner == 1 { // a row of one scale for each column
			s = &stretches{outer: 1, n: s.outer, inner: s.n, each: s.outer, columns: s.n, scales: s.n}
		}
		return s, scale[0] == x[axis]
	}
	if len(scale) != len(x) || size <= 0 {
		return nil, false
	}
	want := slices.Clone(x)
	want[axis] = (x[axis] + size - 1) / size
	inner := tensor.Elements(x[axis+1:])
	return &stretches{outer: tensor.Elements(x[:axis]), n: x[axis], inner: inner, each: min(size, x[axis]), columns: inner, scales: tensor.Elements(scale)}, sameShape(scale, want)
}
