package kernel

// QBinary describes an operation on two tensors of 8-bit codes:
// out = clamp(RNE(((x−XZero)·XScale op (y−YZero)·YScale) / OutScale) + OutZero, Lo, Hi).
// All float operations are float32 in this order, so the codes are those of
// DequantizeLinear → op → QuantizeLinear. Lo and Hi are codes: 0 and 255, or narrower for a Relu or a
// Clip, which a larger Lo or a smaller Hi expresses exactly.
type QBinary struct {
	XScale, YScale, OutScale float32
	XZero, YZero, OutZero    int32
	Lo, Hi                   int32
}

// qbinaryFn is an assembly body for n elements. After each block y advances by ystep bytes:
// blockLen, or 0 for a block that repeats one code.
type qbinaryFn func(dst, x, y *uint8, n, ystep int, q *QBinary)

// QAddU8 adds codes. x and y have the length of dst, which may be one of them.
func (l Level) QAddU8(q *QBinary, dst, x, y []uint8) { qbinary(l, qaddU8Asm, addOne, q, dst, x, y) }

// QMulU8 multiplies codes. x and y have the length of dst, which may be one of them.
func (l Level) QMulU8(q *QBinary, dst, x, y []uint8) { qbinary(l, qmulU8Asm, mulOne, q, dst, x, y) }

// QAddRowsU8 adds v to each row of len(v) codes: a broadcast along the last axis.
func (l Level) QAddRowsU8(q *QBinary, dst, x, v []uint8) {
	qbinaryRows(l, qaddU8Asm, addOne, q, dst, x, v)
}

// QMulRowsU8 multiplies each row of len(v) codes by v: a broadcast along the last axis, as in a
// squeeze-and-excitation block.
func (l Level) QMulRowsU8(q *QBinary, dst, x, v []uint8) {
	qbinaryRows(l, qmulU8Asm, mulOne, q, dst, x, v)
}

func addOne(x, y float32) float32 { return x + y }
func mulOne(x, y float32) float32 { return x * y }

func qbinary(l Level, asm variants[qbinaryFn], op func(x, y float32) float32, q *QBinary, dst, x, y []uint8) {
	x, y = x[:len(dst)], y[:len(dst)]
	f, m := asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &x[0], &y[0], m, blockLen, q)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = q.one(op, x[i], y[i])
	}
}

func (q *QBinary) one(op func(x, y float32) float32, x, y uint8) uint8 {
	a := float32(int32(x)-q.XZero) * q.XScale
	b := float32(int32(y)-q.YZero) * q.YScale
	return uint8(quantOne(op(float32(a), float32(b)), q.OutScale, q.OutZero, q.Lo, q.Hi))
}

func qbinaryRows(l Level, asm variants[qbinaryFn], op func(x, y float32) float32, q *QBinary, dst, x, v []uint8) {
	byRows(dst, x, v, func(dst, x, v []uint8) { qbinary(l, asm, op, q, dst, x, v) })
}
