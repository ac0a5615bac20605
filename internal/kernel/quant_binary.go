package kernel

import "unsafe"

// QBinary describes an operation on two tensors of 8-bit codes:
// out = clamp(RNE(((x−XZero)·XScale op (y−YZero)·YScale) / OutScale) + OutZero, Lo, Hi).
// All float operations are float32 in this order, so the codes are those of
// DequantizeLinear → op → QuantizeLinear. Lo and Hi are codes: 0 and 255 for uint8, −128 and 127
// for int8, or narrower for a Relu or a Clip, which a larger Lo or a smaller Hi expresses exactly.
type QBinary struct {
	XScale, YScale, OutScale float32
	XZero, YZero, OutZero    int32
	Lo, Hi                   int32
}

// qbinaryFn is an assembly body for n elements. After each block y advances by ystep bytes:
// blockLen, or 0 for a block that repeats one code.
type qbinaryFn[T uint8 | int8] func(dst, x, y *T, n, ystep int, q *QBinary)

// QAddU8 adds codes. x and y have the length of dst, which may be one of them.
func (l Level) QAddU8(q *QBinary, dst, x, y []uint8) { qbinary(l, qaddU8Asm, addOne, q, dst, x, y) }

// QAddS8 adds codes. x and y have the length of dst, which may be one of them.
func (l Level) QAddS8(q *QBinary, dst, x, y []int8) { qbinary(l, qaddS8Asm, addOne, q, dst, x, y) }

// QMulU8 multiplies codes. x and y have the length of dst, which may be one of them.
func (l Level) QMulU8(q *QBinary, dst, x, y []uint8) { qbinary(l, qmulU8Asm, mulOne, q, dst, x, y) }

// QMulS8 multiplies codes. x and y have the length of dst, which may be one of them.
func (l Level) QMulS8(q *QBinary, dst, x, y []int8) { qbinary(l, qmulS8Asm, mulOne, q, dst, x, y) }

// QAddRowsU8 adds v to each row of len(v) codes: a broadcast along the last axis.
func (l Level) QAddRowsU8(q *QBinary, dst, x, v []uint8) {
	qbinaryRows(l, qaddU8Asm, addOne, q, dst, x, v)
}

// QAddRowsS8 is [Level.QAddRowsU8] for int8.
func (l Level) QAddRowsS8(q *QBinary, dst, x, v []int8) {
	qbinaryRows(l, qaddS8Asm, addOne, q, dst, x, v)
}

// QMulRowsU8 multiplies each row of len(v) codes by v: a broadcast along the last axis, as in a
// squeeze-and-excitation block.
func (l Level) QMulRowsU8(q *QBinary, dst, x, v []uint8) {
	qbinaryRows(l, qmulU8Asm, mulOne, q, dst, x, v)
}

// QMulRowsS8 is [Level.QMulRowsU8] for int8.
func (l Level) QMulRowsS8(q *QBinary, dst, x, v []int8) {
	qbinaryRows(l, qmulS8Asm, mulOne, q, dst, x, v)
}

func addOne(x, y float32) float32 { return x + y }
func mulOne(x, y float32) float32 { return x * y }

func qbinary[T uint8 | int8](l Level, asm variants[qbinaryFn[T]], op func(x, y float32) float32, q *QBinary, dst, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	f, m := asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &x[0], &y[0], m, blockLen, q)
	}
	for i := m; i < len(dst); i++ {
		a := float32(int32(x[i])-q.XZero) * q.XScale
		b := float32(int32(y[i])-q.YZero) * q.YScale
		dst[i] = T(quantOne(op(float32(a), float32(b)), q.OutScale, q.OutZero, q.Lo, q.Hi))
	}
}

func qbinaryRows[T uint8 | int8](l Level, asm variants[qbinaryFn[T]], op func(x, y float32) float32, q *QBinary, dst, x, v []T) {
	x = x[:len(dst)]
	t := getScratch()
	defer t.free()
	v = tile(unsafe.Slice((*T)(unsafe.Pointer(&t.bytes)), tileLen), v, len(dst))
	spans(len(dst), len(v), func(i, n int) { qbinary(l, asm, op, q, dst[i:i+n], x[i:i+n], v[:n]) })
}
