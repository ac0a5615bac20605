package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestLerp holds every level against the formula, rounded after each operation.
func TestLerp(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x, y, w := newFloats(r, n, off), newFloats(r, n, off), r.Float32()
		got, want := newGuard[float32](n, off, mark), make([]float32, n)
		l.Lerp(got.slice(), x, y, w)
		for i := range want {
			d := y[i] - x[i]
			p := d * w
			want[i] = x[i] + p
		}
		equalFloats(t, l.String(), got.slice(), want)
		got.check(t, l.String())
	})
}
