package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// What is left of QuantizeLinear and DequantizeLinear once the islands are found: 16-bit codes, and 8-bit
// codes with a scale for each channel.

// A codec quantizes and dequantizes the codes of one type. Those by rows have a scale and a zero point for
// each column; they are nil where the kernels lack them.
type codec struct {
	quantize       func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale float32, zero int)
	dequantize     func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale float32, zero int)
	quantizeRows   func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale []float32, zero *tensor.Tensor)
	dequantizeRows func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale []float32, zero *tensor.Tensor)
}

// codecOf makes a codec of the kernels for one type.
func codecOf[T uint8 | int8 | uint16 | int16](
	q func(l kernel.Level, dst []T, x []float32, scale float32, zero T), d func(l kernel.Level, dst []float32, x []T, scale float32, zero T),
	qr func(l kernel.Level, dst []T, x, scale []float32, zero []T), dr func(l kernel.Level, dst []float32, x []T, scale []float32, zero []T),
) codec {
	c := codec{
		quantize: func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale float32, zero int) {
			q(l, tensor.Of[T](dst)[from:to], x[from:to], scale, T(zero))
		},
		dequantize: func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale float32, zero int) {
			d(l, dst[from:to], tensor.Of[T](x)[from:to], scale, T(zero))
		},
	}
	if qr != nil {
		c.quantizeRows = func(l kernel.Level, dst *tensor.Tensor, x []float32, from, to int, scale []float32, zero *tensor.Tensor) {
			qr(l, tensor.Of[T](dst)[from:to], x[from:to], scale, tensor.Of[T](zero))
		}
		c.dequantizeRows = func(l kernel.Level, dst []float32, x *tensor.Tensor, from, to int, scale []float32, zero *tensor.Tensor) {
			dr(l, dst[from:to], tensor.Of[T](x)[from:to], scale, tensor.Of[T](zero))
		}
	}
	return c
}

var codecs = map[tensor.DType]codec{
	tensor.Uint8:  codecOf(kernel.Level.QuantizeU8, kernel.Level.DequantizeU8, kernel.Level.QuantizeU8Rows, kernel.Level.DequantizeU8Rows),
	tensor.Int8:   codecOf(kernel.Level.QuantizeS8, kernel.Level.DequantizeS8, kernel.Level.QuantizeS8Rows, kernel.Level.DequantizeS8Rows),
	tensor.Uint16: codecOf(kernel.Level.QuantizeU16, kernel.Level.DequantizeU16, nil, nil),
	tensor.Int16:  codecOf(kernel.Level.QuantizeS16, kernel.Level.DequantizeS16, nil, nil),
}

// lowerLinear emits QuantizeLinear and DequantizeLinear with constant scales.
func lowerLinear(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	q := n.kind == "QuantizeLinear"
	codes, floats := x, y
	if q {
		codes, floats = y, x
	}
	c, ok := codecs[codes.dtype]
	if !ok || !floats.is(tensor.Float32) || n.in[1].konst == nil || !n.in[1].is(tensor.Float32) || n.onnx.Int("block_size", 0) != 0 {
		return false
	}
	scale, zero := tensor.Of[float32](n.in[1].konst), tensor.New(codes.dtype, n.in[1].elems())
	if z := n.input(2); z != nil {
		if z.konst == nil || z.dtype != codes.dtype || !zeroFits(z, n.in[1]) {
			return false
		}
		zero = z.konst
	}
	if len(scale) == 1 {
		lw.linearTensor(n, q, c, scale[0], zero)
		return true
	}
	return c.quantizeRows != nil && lw.linearRows(n, q, c, scale, zero)
}

func (lw *lowerer) linearTensor(n *node, q bool, c codec, scale float32, zero *tensor.Tensor) {
	level := lw.level
	list, _ := zero.Ints()
	z := int(list[0])
	lw.elementwise(n, n.kind, func(f *frame, dst, x *slot, from, to int) {
		if q {
			c.quantize(level, f.vals[dst.id], f.f32(x), from, to, scale, z)
		} else {
			c.dequantize(level, f.f32(dst), f.vals[x.id], from, to, scale, z)
		}
	})
}

// linearRows takes scales along an axis that is last in some layout.
func (lw *lowerer) linearRows(n *node, q bool, c codec, scale []float32, zero *tensor.Tensor) bool {
	v := n.in[0]
	axis, ok := scaledAxis(n)
	if !ok || v.shape[axis] != len(scale) {
		return false
	}
	l := rowMajor
	switch {
	case tensor.Elements(v.shape[axis+1:]) == 1:
	case axis == 1:
		l = channelsLast
	default:
		return false
	}
	x, dst := lw.use(v, l), lw.make(n.out[0], l)
	cols, level := len(scale), lw.level
	rows := v.elems() / cols
	parts := lw.partsFor(float64(v.elems())*byteNanos, rows)
	lw.emit(&step{node: n, kernel: n.kind + " by channel", parts: parts, in: []*slot{x}, out: []*slot{dst}, run: func(f *frame, part int) error {
		from, to := rows*part/parts*cols, rows*(part+1)/parts*cols
		if q {
			c.quantizeRows(level, f.vals[dst.id], f.f32(x), from, to, scale, zero)
		} else {
			c.dequantizeRows(level, f.f32(dst), f.vals[x.id], from, to, scale, zero)
		}
		return nil
	}})
	return true
}
