package kernel

import "math"

// HistF32 counts each x ≠ 0 in pos or, if negative, in neg at index ⌊|x|·2^−exp⌋, for |exp| ≤ 126.
// Both tables have the same length. Bins of a power of two nest: a table of width 2^exp, with
// neighbours added, is the table of width 2^(exp+1), so the counts depend on the multiset of values
// alone. Zeros and NaN are not counted. outside is how many values, ±∞ among them, lay beyond the
// tables, which then lack them.
func (l Level) HistF32(neg, pos []uint64, x []float32, exp int) (outside int) {
	neg = neg[:len(pos)]
	inv := pow2(int32(-exp))
	for _, v := range x {
		a := absOne(v) * inv
		switch {
		case v == 0 || v != v:
		case !(a < float32(len(pos))):
			outside++
		case v < 0:
			neg[int(a)]++
		default:
			pos[int(a)]++
		}
	}
	return outside
}

// Scan is what a pass over values finds.
type Scan struct {
	Min, Max float32 // of the finite values; +∞ and −∞ where there are none; zeros are +0
	Zeros    int     // ±0
	Finite   int     // finite values, zeros among them
	NaNs     int
	Infs     int // ±∞
}

// Scan looks at all values of x.
func (l Level) Scan(x []float32) Scan {
	s := Scan{Min: float32(math.Inf(1)), Max: float32(math.Inf(-1))}
	for _, v := range x {
		switch b := math.Float32bits(v) &^ signBit; {
		case b > 0x7f800000:
			s.NaNs++
			continue
		case b == 0x7f800000:
			s.Infs++
			continue
		case b == 0:
			s.Zeros++
		}
		s.Finite++
		if v < s.Min {
			s.Min = v
		}
		if v > s.Max {
			s.Max = v
		}
	}
	s.Min, s.Max = s.Min+0, s.Max+0
	return s
}
