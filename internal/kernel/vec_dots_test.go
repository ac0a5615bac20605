package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestDotRows holds every level to the definition, bit by bit.
func TestDotRows(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for range 400 {
		n, rows, vectors := 1+r.IntN(130), 1+r.IntN(50), 1+r.IntN(9)
		step, pitch := n+r.IntN(5), rows+r.IntN(5)
		x, q := newFloats(r, (rows-1)*step+n, 1), newFloats(r, vectors*n, 2)
		want := make([]float32, vectors*pitch)
		for i := range want {
			want[i] = mark
			if v, i2 := i/pitch, i%pitch; i2 < rows {
				var s [lanes]float32
				for j := range (n + lanes - 1) / lanes * lanes {
					var a, b float32
					if j < n {
						a, b = x[i2*step+j], q[v*n+j]
					}
					s[j%lanes] = fma32(a, b, s[j%lanes])
				}
				want[i] = foldSum(&s)
			}
		}
		for _, l := range Levels() {
			got := newGuard[float32](vectors*pitch, 1, mark)
			l.DotRows(got.slice(), pitch, x, step, rows, q, n)
			what := fmt.Sprintf("%v: %d rows by %d vectors of %d", l, rows, vectors, n)
			equalFloats(t, what, got.slice(), want)
			got.check(t, what)
		}
	}
}
