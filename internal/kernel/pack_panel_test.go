package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPackBytes holds bytes packed in fours against the packing of any elements.
func TestPackBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachLevel(t, func(t *testing.T, l Level) {
		for _, n := range []int{1, 5, 16, 63, 64, 70, 200} {
			for _, k := range []int{1, 3, 4, 62, 64, 65, 130, 260} {
				for _, taps := range []int{1, 3} {
					w := randS8(r, n*k*taps)
					orders := map[string]Order{"columns": {N: k * taps, Tap: k, K: 1}, "rows": {N: 1, Tap: n * k, K: n}, "strides": {N: k * taps, Tap: 1, K: taps}}
					for name, o := range orders {
						s := shape{n: n, k: k, taps: taps, lanes: 16, per: 4, kd: (k + 3) / 4}
						size := s.cut(single(4))
						got, want := make([]int8, size), make([]int8, size)
						packBytes(l, got, w, &s, o)
						packPanels(want, w, &s, o)
						if !slices.Equal(got, want) {
							t.Fatalf("%d columns, %d rows, %d taps by %s: other bytes", n, k, taps, name)
						}
					}
				}
			}
		}
	})
}
