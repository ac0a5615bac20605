package kernel

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// TestConcurrent runs the same products in many goroutines under constant
// garbage collection: each must give the bits of the first.
func TestConcurrent(t *testing.T) {
	const m, n, k, workers, rounds = 60, 150, 70, 6, 8
	r := rand.New(rand.NewPCG(21, 22))
	w := Window{H: 6, W: 10, Pitch: n, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: 1, Left: 1, OH: 6, OW: 10}
	a, x, ix := randU8(r, m*k), randU8(r, m*n), w.Indirect()
	wg, wd := randS8(r, n*k), randS8(r, n*9)
	af, wf := randFloats(r, m*k), randFloats(r, n*k)
	eachLevel(t, func(t *testing.T, l Level) {
		pi, pf := l.PackU8S8(wg, n, k, 1, Order{N: k, K: 1}), l.PackF32(wf, n, k, 1, Order{N: k, K: 1})
		d := l.PackDepthwiseU8S8(wd, n, 9, Order{N: 9, Tap: 1})
		scale := make([]float32, n)
		fill(scale, 1e-3)
		once := func() (i []int32, f []float32, q []uint8) {
			i, f, q = make([]int32, m*n), make([]float32, m*n), make([]uint8, m*n)
			pi.Gemm(a, k, &OutU8S8{I32: i, Ldc: n}, pi.All(m))
			pf.Gemm(af, k, &OutF32{C: f, Ldc: n}, pf.All(m))
			d.Run(x, 7, ix, &OutU8S8{U8: q, Ldc: n, Scale: scale, Zero: 99, Max: 255}, 0, m)
			return i, f, q
		}
		i, f, q := once()
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for range rounds {
					i2, f2, q2 := once()
					if !sameAll(i, i2) || !sameAll(f, f2) || !sameAll(q, q2) {
						t.Error("a result differs from the first")
						return
					}
					runtime.GC()
				}
			})
		}
		group.Wait()
	})
}

func sameAll[T comparable](a, b []T) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
