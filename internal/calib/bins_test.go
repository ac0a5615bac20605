package calib

import (
	"slices"
	"testing"

	"lowbit/internal/kernel"
)

func TestBins(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	s := NewStats(true)
	s.Add(level, []float32{-1, -0.75, -0.2, 0, 0, 0.3, 0.9, 5})
	if got, want := s.Bins(-1, 1, 4), []uint64{2, 1, 3, 2}; !slices.Equal(got, want) {
		t.Errorf("bins %v, want %v", got, want)
	}
	if got := NewStats(false).Bins(0, 1, 2); !slices.Equal(got, []uint64{0, 0}) {
		t.Errorf("without a histogram: %v", got)
	}
}

// TestBinsFarFromZero counts values where they are when these are close together, a long way from zero or nearly zero: there the
// bins of the histogram are wider than those asked for.
func TestBinsFarFromZero(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lo, hi float32 }{{1000, 1001}, {-1001, -1000}, {0.9956, 0.9987}, {-1e-41, 3e-41}, {-3, 1000}} {
		const n, count = 40, 4000
		x, want := make([]float32, count), make([]uint64, n)
		for i := range x {
			x[i] = c.lo + (c.hi-c.lo)*float32(i)/(count-1)
			want[min(n-1, int((float64(x[i])-float64(c.lo))/(float64(c.hi)-float64(c.lo))*n))]++
		}
		s := NewStats(true)
		s.Add(level, x)
		got, moved, sum := s.Bins(float64(s.Min), float64(s.Max), n), 0, uint64(0)
		for i, v := range got {
			sum += v
			moved += max(0, int(v)-int(want[i]))
		}
		if sum != count || moved > count/20 {
			t.Errorf("from %g to %g: %d values, %d in other bins: %v", c.lo, c.hi, sum, moved, got)
		}
	}
}
