package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestFused tries sums of any scales: nearly all have factors, whose codes are those of the division.
func TestFused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const tries = 100
	found := 0
	for i := range tries {
		q := QBinary{
			XScale: 0.01 + r.Float32(), YScale: 0.01 + r.Float32(), OutScale: 0.5 + r.Float32(),
			XZero: r.Int32N(256), YZero: r.Int32N(256), OutZero: r.Int32N(256), Hi: 255,
		}
		if i%3 == 0 {
			q.Lo = q.OutZero // a Relu
		}
		s, ok := q.fused(q.nearTies())
		if !ok {
			continue
		}
		found++
		sameSums(t, Generic, &q, bind(Generic.QFusedU8, s), bind(Generic.QFusedRowsU8, s), "fused")
		for _, l := range Levels() {
			if s, ok := l.Fused(&q); ok {
				sameSums(t, l, &q, bind(l.QFusedU8, s), bind(l.QFusedRowsU8, s), "fused")
			} else if l.use(AVX2) {
				t.Errorf("%v finds no factors for %+v", l, q)
			}
		}
	}
	if found < tries*9/10 {
		t.Errorf("%d of %d sums have factors", found, tries)
	}
}

func TestFusedRefuses(t *testing.T) {
	for name, q := range map[string]QBinary{
		"ties":         {XScale: 0.5, YScale: 0.5, OutScale: 1, OutZero: 1, Hi: 255},
		"overflow":     {XScale: 0x1p100, YScale: 1, OutScale: 0x1p-100, Hi: 255},
		"large":        {XScale: 1, YScale: 1, OutScale: 0x1p-23, Hi: 255},
		"signed codes": {XScale: 0.3, YScale: 0.2, OutScale: 0.41, Lo: -128, Hi: 127},
	} {
		for _, l := range Levels() {
			if s, ok := l.Fused(&q); ok {
				t.Errorf("%s, %v: %+v", name, l, s)
			}
		}
	}
}

func TestQFused(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		s := &QFused{X: r.Float32() * 3, Y: -r.Float32(), Offset: r.Float32() * 256, Lo: 3, Hi: 250}
		if n%5 == 0 {
			s.X = 0x1p21 // saturates in each step
		}
		x, y := bytesOf[uint8](r, n, off), bytesOf[uint8](r, n, 1)
		got, want := newGuard[uint8](n, off, 77), make([]uint8, n)
		l.QFusedU8(s, got.slice(), x, y)
		Generic.QFusedU8(s, want, x, y)
		equal(t, l.String(), got.slice(), want)
		got.check(t, l.String())
	})
}
