package repair

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
)

// TestInfinite makes every repair of a network in which one channel is infinite, or as large as float32 goes: it may do nothing
// for the layers around it, but fails in none and tells of no gain that is no number, which no report could hold.
func TestInfinite(t *testing.T) {
	for _, v := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 3e38} {
		for _, r := range All {
			m, rnd := parse(t, header+`g (float[4,16] x) => (float[4,4] y) <float[16,8] w, float[8] b, float[8,4] v, float[4] c> {
  [one] h = Gemm (x, w, b)
  a = Relu (h)
  [two] y = Gemm (a, v, c)
}`), rand.New(rand.NewPCG(3, 9))
			one := func(int) float64 { return 1 }
			for name, shape := range map[string][]int{"w": {16, 8}, "b": {8}, "v": {8, 4}, "c": {4}} {
				fill(m, rand.New(rand.NewPCG(uint64(len(shape)), uint64(name[0]))), name, one, shape...)
			}
			floats(m, "b")[2] = v
			samples := images(rnd, m, 32)
			set := w8a8(t)
			set.Weights.Format = format.Int4
			j := jobFor(t, m, set, samples[:24], samples[24:])
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("%s beside %v: %v", r.Name, v, p)
					}
				}()
				if r.Stage == After {
					j.calibrate(t)
				}
				out, err := r.Run(context.Background(), j)
				if err != nil {
					t.Errorf("%s beside %v: %v", r.Name, v, err)
					return
				}
				for _, c := range out.Changes {
					if math.IsNaN(c.Gain) || math.IsInf(c.Gain, 0) {
						t.Errorf("%s beside %v: a gain of %v: %s", r.Name, v, c.Gain, c.What)
					}
				}
			}()
		}
	}
}
