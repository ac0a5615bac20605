package kernel

// code is an element type of quantized tensors that QuantizeLinear writes.
type code interface {
	uint8 | int8 | uint16 | int16
}

// quantFn is an assembly body for n elements. After each block scale and zero advance by step bytes,
// which is blockBytes, or 0 where s and z hold throughout.
type quantFn[T code] func(dst *T, x, scale *float32, zero *int32, n, step int, s float32, z int32)

// dequantFn is an assembly body; arguments as in quantFn.
type dequantFn[T code] func(dst *float32, x *T, scale *float32, zero *int32, n, step int, s float32, z int32)

// QuantizeU8 sets dst[i] = saturate(RNE(x[i]/scale) + zero), a true division and half to even, as
// QuantizeLinear of ONNX has it. NaN becomes the smallest code. x has the length of dst.
func (l Level) QuantizeU8(dst []uint8, x []float32, scale float32, zero uint8) {
	quantize(l, quantU8Asm, dst, x, scale, int32(zero))
}

// QuantizeS8 is [Level.QuantizeU8] for int8.
func (l Level) QuantizeS8(dst []int8, x []float32, scale float32, zero int8) {
	quantize(l, quantS8Asm, dst, x, scale, int32(zero))
}

// QuantizeU16 is [Level.QuantizeU8] for uint16.
func (l Level) QuantizeU16(dst []uint16, x []float32, scale float32, zero uint16) {
	quantize(l, quantU16Asm, dst, x, scale, int32(zero))
}

// QuantizeS16 is [Level.QuantizeU8] for int16.
func (l Level) QuantizeS16(dst []int16, x []float32, scale float32, zero int16) {
	quantize(l, quantS16Asm, dst, x, scale, int32(zero))
}

// QuantizeU8Rows quantizes rows of len(scale) elements with a scale and a zero point for each
// column: per channel in NHWC. A nil zero is all zeros.
func (l Level) QuantizeU8Rows(dst []uint8, x, scale []float32, zero []uint8) {
	quantizeRows(l, quantU8Asm, dst, x, scale, zero)
}

// QuantizeS8Rows is [Level.QuantizeU8Rows] for int8.
func (l Level) QuantizeS8Rows(dst []int8, x, scale []float32, zero []int8) {
	quantizeRows(l, quantS8Asm, dst, x, scale, zero)
}

// QuantizeU16Rows is [Level.QuantizeU8Rows] for uint16.
func (l Level) QuantizeU16Rows(dst []uint16, x, scale []float32, zero []uint16) {
	quantizeRows(l, quantU16Asm, dst, x, scale, zero)
}

// QuantizeS16Rows is [Level.QuantizeU8Rows] for int16.
func (l Level) QuantizeS16Rows(dst []int16, x, scale []float32, zero []int16) {
	quantizeRows(l, quantS16Asm, dst, x, scale, zero)
}

// DequantizeU8 sets dst[i] = (x[i]−zero)·scale. x has the length of dst.
func (l Level) DequantizeU8(dst []float32, x []uint8, scale float32, zero uint8) {
	dequantize(l, dequantU8Asm, dst, x, scale, int32(zero))
}

// DequantizeS8 is [Level.DequantizeU8] for int8.
func (l Level) DequantizeS8(dst []float32, x []int8, scale float32, zero int8) {
	dequantize(l, dequantS8Asm, dst, x, scale, int32(zero))
}

// DequantizeU16 is [Level.DequantizeU8] for uint16.
func (l Level) DequantizeU16(dst []float32, x []uint16, scale float32, zero uint16) {
	dequantize(l, dequantU16Asm, dst, x, scale, int32(zero))
}

// DequantizeS16 is [Level.DequantizeU8] for int16.
func (l Level) DequantizeS16(dst []float32, x []int16, scale float32, zero int16) {
	dequantize(l, dequantS16Asm, dst, x, scale, int32(zero))
}

// DequantizeU8Rows dequantizes rows of len(scale) elements with a scale and a zero point for each
// column. A nil zero is all zeros.
func (l Level) DequantizeU8Rows(dst []float32, x []uint8, scale []float32, zero []uint8) {
	dequantizeRows(l, dequantU8Asm, dst, x, scale, zero)
}

// DequantizeS8Rows is [Level.DequantizeU8Rows] for int8.
func (l Level) DequantizeS8Rows(dst []float32, x []int8, scale []float32, zero []int8) {
	dequantizeRows(l, dequantS8Asm, dst, x, scale, zero)
}

// DequantizeU16Rows is [Level.DequantizeU8Rows] for uint16.
func (l Level) DequantizeU16Rows(dst []float32, x []uint16, scale []float32, zero []uint16) {
	dequantizeRows(l, dequantU16Asm, dst, x, scale, zero)
}

// DequantizeS16Rows is [Level.DequantizeU8Rows] for int16.
func (l Level) DequantizeS16Rows(dst []float32, x []int16, scale []float32, zero []int16) {
	dequantizeRows(l, dequantS16Asm, dst, x, scale, zero)
}

// DynamicQuantizeU8 is DynamicQuantizeLinear of ONNX: the range of x widened to hold 0 is spread
// over 0…255. All-zero input has scale 1.
func (l Level) DynamicQuantizeU8(dst []uint8, x []float32) (scale float32, zero uint8) {
	scale, zero = l.DynamicParamsU8(x)
	l.QuantizeU8(dst, x, scale, zero)
	return scale, zero
}

// DynamicParamsU8 is the scale and the zero point that [Level.DynamicQuantizeU8] takes for x.
func (l Level) DynamicParamsU8(x []float32) (scale float32, zero uint8) {
	lo, hi := l.MinMax(x)
	lo, hi = min(lo, 0), max(hi, 0)
	scale = (hi - lo) / 255
	if scale == 0 {
		return 1, 0
	}
	return scale, uint8(quantOne(-lo, scale, 0, 0, 255))
}

// quantBound keeps quotients within int32; no code is as large.
const quantBound = 1 << 20

// quantOne is one code within [lo, hi].
func quantOne(x, scale float32, zero, lo, hi int32) int32 {
	v := x / scale
	if !(v > -quantBound) {
		v = -quantBound
	}
	if v > quantBound {
		v = quantBound
	}
	return min(max(int32(float32(v+magic)-magic)+zero, lo), hi)
}

// limits are the smallest and the largest code.
func limits[T code]() (lo, hi int32) {
	var z T
	switch any(z).(type) {
	case uint8:
		return 0, 255
	case int8:
		return -128, 127
	case uint16:
		return 0, 65535
	}
	return -32768, 32767
}

func quantize[T code](l Level, asm variants[quantFn[T]], dst []T, x []float32, scale float32, zero int32) {
	x = x[:len(dst)]
	f, m := asm.part(l, len(dst))
	spans(m, callMax, func(i, n int) { f(&dst[i], &x[i], nil, nil, n, 0, scale, zero) })
	lo, hi := limits[T]()
	for i := m; i < len(dst); i++ {
		dst[i] = T(quantOne(x[i], scale, zero, lo, hi))
	}
}

func quantizeRows[T code](l Level, asm variants[quantFn[T]], dst []T, x, scale []float32, zero []T) {
	x = x[:len(dst)]
	lo, hi := limits[T]()
	eachRows(len(dst), scale, zero, func(i, n int, s []float32, z []int32) {
		d, x := dst[i:i+n], x[i:i+n]
		f, m := asm.part(l, n)
		if m > 0 {
			f(&d[0], &x[0], &s[0], &z[0], m, blockBytes, 0, 0)
		}
		for j := m; j < n; j++ {
			d[j] = T(quantOne(x[j], s[j], z[j], lo, hi))
		}
	})
}

func dequantize[T code](l Level, asm variants[dequantFn[T]], dst []float32, x []T, scale float32, zero int32) {
	x = x[:len(dst)]
	f, m := asm.part(l, len(dst))
	spans(m, callMax, func(i, n int) { f(&dst[i], &x[i], nil, nil, n, 0, scale, zero) })
	for i := m; i < len(dst); i++ {
		dst[i] = float32(int32(x[i])-zero) * scale
	}
}

func dequantizeRows[T code](l Level, asm variants[dequantFn[T]], dst []float32, x []T, scale []float32, zero []T) {
	x = x[:len(dst)]
	eachRows(len(dst), scale, zero, func(i, n int, s []float32, z []int32) {
		d, x := dst[i:i+n], x[i:i+n]
		f, m := asm.part(l, n)
		if m > 0 {
			f(&d[0], &x[0], &s[0], &z[0], m, blockBytes, 0, 0)
		}
		for j := m; j < n; j++ {
			d[j] = float32(int32(x[j])-z[j]) * s[j]
		}
	})
}

// eachRows calls f for spans of n elements at i that together cover total elements in rows of
// len(scale), with the scales and zero points of these elements. Short rows are taken several
// at a time, long ones in pieces.
func eachRows[T code](total int, scale []float32, zero []T, f func(i, n int, s []float32, z []int32)) {
	cols := len(scale)
	if zero != nil {
		zero = zero[:cols]
	}
	t := getScratch()
	defer t.free()
	clear(t.zeros[:])
	if 2*cols <= tileLen {
		z := tile(t.zeros[:], widenZeros(t.zeros[:cols], zero), total)
		s := tile(t.x[:], scale, total)
		spans(total, len(s), func(i, n int) { f(i, n, s[:n], z[:n]) })
		return
	}
	spans(cols, tileLen, func(c, n int) {
		z := widenZeros(t.zeros[:n], zero[min(c, len(zero)):min(c+n, len(zero))])
		for i := c; i < total; i += cols {
			f(i, n, scale[c:c+n], z)
		}
	})
}

// widenZeros copies zero points; of nil it leaves dst as it is.
func widenZeros[T code](dst []int32, zero []T) []int32 {
	for i, v := range zero {
		dst[i] = int32(v)
	}
	return dst
}
