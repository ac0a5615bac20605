package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestSumRows holds every level to the definition, bit by bit.
func TestSumRows(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 400 {
		n, k := 1+r.IntN(300), r.IntN(10)
		x, w, off := newFloats(r, 2000, 0), newFloats(r, k, 0), make([]int32, k)
		for i := range off {
			off[i] = int32(r.IntN(len(x) - n + 1))
		}
		want := make([]float32, n)
		for i := range want {
			for j, o := range off {
				want[i] = fma32(w[j], x[int(o)+i], want[i])
			}
		}
		for _, l := range Levels() {
			got := newGuard[float32](n, 1, mark)
			l.SumRows(got.slice(), x, off, w)
			what := fmt.Sprintf("%v: %d elements of %d rows", l, n, k)
			equalFloats(t, what, got.slice(), want)
			got.check(t, what)
		}
	}
}
