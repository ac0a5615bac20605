package kernel

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestFourier holds transforms of all lengths to 70 and some longer ones against the sums that define them.
func TestFourier(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	lengths := []int{96, 101, 127, 128, 243, 256, 289, 320, 400, 441, 509, 512, 768, 1000, 1018, 1024}
	for n := 1; n <= 70; n++ {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		for _, sign := range []float64{-1, 1} {
			f := NewFourier(n, sign)
			for _, lanes := range []int{1, 3} {
				room := make([]complex128, f.Room()*lanes)
				for i := range room {
					room[i] = complex(math.NaN(), math.NaN())
				}
				x := make([]complex128, n*lanes)
				for i := range x {
					x[i] = complex(rng.NormFloat64(), rng.NormFloat64())
				}
				copy(room, x)
				got := f.Transform(room, lanes)
				for i := range lanes {
					for k := range n {
						var want complex128
						for j := range n {
							want += x[j*lanes+i] * unity(sign, j*k%n, n)
						}
						if d := cmplx.Abs(got[k*lanes+i] - want); !(d <= 2e-15*float64(n)) {
							t.Fatalf("length %d of %d lanes, sign %g: [%d] is %v, not %v", n, lanes, sign, k, got[k*lanes+i], want)
						}
					}
				}
			}
		}
	}
}

func BenchmarkFourier(b *testing.B) {
	for _, n := range []int{256, 400, 509, 512, 768} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f := NewFourier(n, -1)
			room := make([]complex128, f.Room())
			for b.Loop() {
				f.Transform(room, 1)
			}
		})
	}
}
