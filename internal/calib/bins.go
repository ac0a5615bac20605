package calib

import "math"

// Bins counts the finite values in n bins of equal width over [lo, hi], values beyond an end in the bin there. Where one bin of
// the histogram lies across several of these, its values are taken to lie evenly over the part that has any.
func (s *Stats) Bins(lo, hi float64, n int) []uint64 {
	h := make([]uint64, n)
	if s.Neg == nil || n == 0 || !(hi > lo) {
		return h
	}
	at := func(v float64) float64 {
		v = max(float64(s.Min), min(v, float64(s.Max)))
		return max(0, min(float64(n), (v-lo)/(hi-lo)*float64(n)))
	}
	spread(h, at(0), at(0), s.Zeros)
	for i := range s.Neg {
		from, to := float64(i)*s.width(), float64(i+1)*s.width()
		if s.Neg[i] > 0 {
			spread(h, at(-to), at(-from), s.Neg[i])
		}
		if s.Pos[i] > 0 {
			spread(h, at(from), at(to), s.Pos[i])
		}
	}
	return h
}

// spread adds so many values that lie evenly between two places, in bins from the first.
func spread(h []uint64, from, to float64, count uint64) {
	first := min(int(from), len(h)-1)
	last := max(first, min(int(math.Ceil(to))-1, len(h)-1))
	done := uint64(0)
	for i := first; i < last; i++ {
		upTo := uint64(math.Round(float64(count) * (float64(i+1) - from) / (to - from)))
		h[i] += upTo - done
		done = upTo
	}
	h[last] += count - done
}
