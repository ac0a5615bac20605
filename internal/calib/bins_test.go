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
