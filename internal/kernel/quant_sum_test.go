package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestSum tries sums whose scales have few bits, and some that 16 bits cannot give.
func TestSum(t *testing.T) {
	for name, c := range map[string]struct {
		q  QBinary
		ok bool
	}{
		"few bits":  {QBinary{XScale: 0x1.2p-5, YScale: 0x1.ap-5, OutScale: 0x1.6p-5, XZero: 120, YZero: 7, OutZero: 99, Hi: 255}, true},
		"a clamp":   {QBinary{XScale: 0x1.2p-5, YScale: 0x1.ap-5, OutScale: 0x1.6p-5, XZero: 3, OutZero: 20, Lo: 20, Hi: 200}, true},
		"unlike":    {QBinary{XScale: 0x1p-3, YScale: 0x1.cp-7, OutScale: 0x1.ap-6, XZero: 255, YZero: 255, OutZero: 255, Hi: 255}, true},
		"powers":    {QBinary{XScale: 0x1p-3, YScale: 0x1p-4, OutScale: 0x1.ep-5, OutZero: 1, Hi: 255}, true},
		"ties":      {QBinary{XScale: 0x1.2p-5, YScale: 0x1.ap-6, OutScale: 0x1.6p-4, XZero: 120, YZero: 7, OutZero: 99, Hi: 255}, false},
		"many bits": {QBinary{XScale: 0.021, YScale: 0.034, OutScale: 0.047, XZero: 120, YZero: 7, OutZero: 99, Hi: 255}, false},
		"too far":   {QBinary{XScale: 1, YScale: 0x1p-8, OutScale: 1, Hi: 255}, false},
		"overflow":  {QBinary{XScale: 0x1p120, YScale: 1, OutScale: 0x1p-120, XZero: 3, OutZero: 20, Hi: 255}, false},
		"tiny":      {QBinary{XScale: 1, YScale: 1, OutScale: 0x1p100, Hi: 255}, false},
	} {
		for _, l := range Levels() {
			s, ok := l.Sum(&c.q)
			if ok != c.ok {
				t.Errorf("%s, %v: %t", name, l, ok)
			} else if ok {
				sameSums(t, l, &c.q, bind(l.QSumU8, s), bind(l.QSumRowsU8, s), name)
			}
		}
	}
}

type sumFn func(dst, x, y []uint8)

func bind[Q any](f func(q Q, dst, x, y []uint8), q Q) sumFn {
	return func(dst, x, y []uint8) { f(q, dst, x, y) }
}

func sameSums(t *testing.T, l Level, q *QBinary, all, byRows sumFn, name string) {
	t.Helper()
	x, y := everyPair()
	want, got := make([]uint8, len(x)), make([]uint8, len(x))
	Generic.QAddU8(q, want, x, y)
	all(got, x, y)
	equal(t, l.String()+" "+name, got, want)
	const row, rows = 768, 80
	v := y[300:][:row]
	byRows(got[:row*rows], x[:row*rows], v)
	for i := range row * rows {
		Generic.QAddU8(q, want[i:i+1], x[i:i+1], v[i%row:][:1])
	}
	equal(t, l.String()+" rows "+name, got[:row*rows], want[:row*rows])
}

func TestQSum(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		s := &QSum{Weights: 0x1a12, Offset: 2160, Factor: int16(r.IntN(1 << 15)), Round: 1 << r.IntN(15), Zero: int16(r.IntN(256)), Lo: 3, Hi: 250}
		x, y := bytesOf[uint8](r, n, off), bytesOf[uint8](r, n, 1)
		got, want := newGuard[uint8](n, off, 77), make([]uint8, n)
		l.QSumU8(s, got.slice(), x, y)
		Generic.QSumU8(s, want, x, y)
		equal(t, l.String(), got.slice(), want)
		got.check(t, l.String())
	})
}
