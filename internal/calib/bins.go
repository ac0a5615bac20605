package calib

// Bins counts the finite values in n bins of equal width over [lo, hi]; those of one bin of the histogram
// lie in its middle, values beyond an end in the bin there.
func (s *Stats) Bins(lo, hi float64, n int) []uint64 {
	h := make([]uint64, n)
	if s.Neg == nil || n == 0 || !(hi > lo) {
		return h
	}
	add := func(v float64, count uint64) {
		h[max(0, min(n-1, int((v-lo)/(hi-lo)*float64(n))))] += count
	}
	add(0, s.Zeros)
	for i := range s.Neg {
		v := (float64(i) + 0.5) * s.width()
		if s.Neg[i] > 0 {
			add(-v, s.Neg[i])
		}
		if s.Pos[i] > 0 {
			add(v, s.Pos[i])
		}
	}
	return h
}
