package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestLogCodes(t *testing.T) {
	nan := float32(math.NaN())
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(51, 52))
		for n := range 150 {
			at := [Exponents]float32{0.75, 1.5, 3, 6, 12, 24}
			for i := r.IntN(Exponents + 1); i < Exponents; i++ {
				at[i] = nan
			}
			x := randFloats(r, n+1)[1:]
			for i := range x {
				x[i] *= 8
				switch r.IntN(4) {
				case 0:
					x[i] = at[r.IntN(Exponents)]
				case 1:
					x[i] = -math.Nextafter32(at[r.IntN(Exponents)], 0)
				}
			}
			for _, v := range []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, float32(math.Inf(1)), float32(math.Inf(-1)), nan} {
				if n > 0 {
					x[r.IntN(n)] = v
				}
			}
			got := make([]uint8, n+1)
			got[n] = 77
			l.LogCodes(got[:n], x, &at)
			for i, v := range x {
				if want := logCode(v, &at); got[i] != want || got[n] != 77 {
					t.Fatalf("%d elements: %g gives %d, not %d; guard %d", n, v, got[i], want, got[n])
				}
			}
		}
	})
	for x, want := range map[float32]uint8{0: 64, 0.1: 65, -0.1: 63, 0.75: 66, -1.49: 62, 23.9: 96, 24: 128, -1e30: 0} {
		if got := logCode(x, &[Exponents]float32{0.75, 1.5, 3, 6, 12, 24}); got != want {
			t.Errorf("%g gives %d, not %d", x, got, want)
		}
	}
}
