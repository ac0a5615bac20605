package calib

import (
	"math"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
)

// TestStepError compares the running sums with the error of each bin's middle in turn.
func TestStepError(t *testing.T) {
	s := NewStats(true)
	x := make([]float32, 5000)
	for i := range x {
		x[i] = float32(math.Sinh(float64(i)/1000 - 2))
	}
	s.Add(kernel.Generic, x)
	m := s.masses()
	for _, f := range []*format.Format{format.FP8E4M3, format.FP8E5M2, format.FP4E2M1, format.Binary} {
		for _, scale := range []float32{0.01, 0.07, 1} {
			p := format.Params{Scale: scale}
			want := 0.0
			for i := range len(m.n) - 1 {
				want += m.error(i, i+1, f.Nearest(m.middle(i), p))
			}
			if got := m.squaredError(f, p); math.Abs(got-want) > 1e-6*(want+1) {
				t.Errorf("%s at %v: %v, want %v", f.Name, scale, got, want)
			}
		}
	}
}
