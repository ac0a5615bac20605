package kernel

import (
	"bytes"
	"math"
	"sync"
)

// QSum adds two tensors of uint8 codes in 16 bits:
// out = clamp(((((x·a + y·b − Offset)·Factor) >> 16) · Round + 2¹⁴) >> 15 + Zero, Lo, Hi).
// Weights holds a in its low and b in its high byte, whose sum is at most 128.
type QSum struct {
	Weights, Offset, Factor, Round, Zero int16
	Lo, Hi                               uint8
}

type qsumFn func(dst, x, y *uint8, n int, q *QSum)

// mostWeights keeps 255·(a + b) within 16 bits.
const mostWeights = 128

// Sum returns the sum in 16 bits that gives the codes of [Level.QAddU8], which divides. There is one where
// the scales have few significant bits and no quotient is a tie: all 65,536 pairs of codes are tried.
func (l Level) Sum(q *QBinary) (*QSum, bool) {
	s, ok := q.sum()
	return s, ok && l.adds(q, func(dst, x, y []uint8) { l.QSumU8(s, dst, x, y) })
}

// adds says whether sum gives the codes of [Level.QAddU8] for every pair.
func (l Level) adds(q *QBinary, sum func(dst, x, y []uint8)) bool {
	x, y := everyPair()
	want, got := make([]uint8, len(x)), make([]uint8, len(x))
	l.QAddU8(q, want, x, y)
	sum(got, x, y)
	return bytes.Equal(got, want)
}

// sum takes the scales of the operands for whole multiples of a power of two, and 15 bits of its quotient
// by the scale of the result.
func (q *QBinary) sum() (*QSum, bool) {
	mx, ex := wholeOf(q.XScale)
	my, ey := wholeOf(q.YScale)
	e := min(ex, ey)
	if max(mx, my, 1<<min(ex-e, 30), 1<<min(ey-e, 30)) > mostWeights {
		return nil, false
	}
	a, b := mx<<(ex-e), my<<(ey-e)
	for a+b <= mostWeights/2 && a+b > 0 {
		a, b, e = 2*a, 2*b, e-1
	}
	f, shift := math.Frexp(math.Ldexp(1/float64(q.OutScale), e)) // 2^e/OutScale = f·2^shift
	factor := int(math.Round(f * 0x1p15))
	shift = -1 - shift // factor/2^(16+shift) stands for it
	if factor == 1<<15 {
		factor, shift = 1<<14, shift-1
	}
	if a+b > mostWeights || shift < 1 || shift > 15 || q.Lo < 0 || q.Hi > 255 {
		return nil, false
	}
	return &QSum{
		Weights: int16(b<<8 | a), Offset: int16(a*int(q.XZero) + b*int(q.YZero)), Factor: int16(factor), Round: 1 << (15 - shift),
		Zero: int16(q.OutZero), Lo: uint8(q.Lo), Hi: uint8(q.Hi),
	}, true
}

// wholeOf gives x = m·2^e with odd m.
func wholeOf(x float32) (m, e int) {
	f, e := math.Frexp(float64(x))
	for m = int(f * 0x1p24); m != 0 && m%2 == 0; m /= 2 {
		e++
	}
	return m, e - 24
}

// everyPair lists the pairs of 8-bit codes.
var everyPair = sync.OnceValues(func() (x, y []uint8) {
	x, y = make([]uint8, 1<<16), make([]uint8, 1<<16)
	for i := range x {
		x[i], y[i] = uint8(i), uint8(i>>8)
	}
	return x, y
})

// QSumU8 computes q of each pair. x and y have the length of dst, which may be one of them.
func (l Level) QSumU8(q *QSum, dst, x, y []uint8) {
	x, y = x[:len(dst)], y[:len(dst)]
	fn, m := qsumU8Asm.part(l, len(dst))
	if m > 0 {
		fn(&dst[0], &x[0], &y[0], m, q)
	}
	a, b := int32(q.Weights&0xff), int32(q.Weights>>8)
	for i := m; i < len(dst); i++ {
		v := (int32(x[i])*a + int32(y[i])*b - int32(q.Offset)) * int32(q.Factor) >> 16
		v = (v*int32(q.Round)+1<<14)>>15 + int32(q.Zero)
		dst[i] = uint8(min(max(v, int32(q.Lo)), int32(q.Hi)))
	}
}

// QSumRowsU8 computes q of each row of len(v) codes and v.
func (l Level) QSumRowsU8(q *QSum, dst, x, v []uint8) {
	byRows(dst, x, v, func(dst, x, v []uint8) { l.QSumU8(q, dst, x, v) })
}

// byRows calls run for rows of v, which it repeats where they are short.
func byRows(dst, x, v []uint8, run func(dst, x, v []uint8)) {
	x = x[:len(dst)]
	t := getScratch()
	defer t.free()
	v = tile(t.bytes[:tileLen], v, len(dst))
	spans(len(dst), len(v), func(i, n int) { run(dst[i:i+n], x[i:i+n], v[:n]) })
}
