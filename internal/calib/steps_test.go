package calib

import (
	"math"
	"math/rand/v2"
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

// TestNoZeroPointIsSymmetric gives formats without a zero point the same parameters whether symmetry is asked for or
// not: they have no other, so that percentiles are of magnitudes, and rectified values have only the half of the marks
// above zero to be told apart by.
func TestNoZeroPointIsSymmetric(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, oneSided := range []bool{true, false} {
		x := make([]float32, 1<<16)
		for i := range x {
			if x[i] = float32(r.NormFloat64() * r.ExpFloat64()); oneSided {
				x[i] = max(0, x[i])
			}
		}
		s := NewStats(true)
		s.Add(kernel.Generic, x)
		for _, o := range All {
			for _, f := range format.All {
				if f.Zero {
					continue
				}
				free, err := o.Fit(s, f, false)
				asked, err2 := o.Fit(s, f, true)
				if err != nil || err2 != nil || free != asked {
					t.Errorf("%s, %s, one-sided %v: %v, where symmetry is asked for %v (%v, %v)", o.Name, f.Name, oneSided, free, asked, err, err2)
				}
			}
		}
	}
}
