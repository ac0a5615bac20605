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
	if f, m := histAsm.part(l, len(x)); m > 0 && len(pos) > 0 {
		spans(m, callMax, func(i, n int) { outside += f(&neg[0], &pos[0], &x[i], n, inv, float32(len(pos))) })
		x = x[m:]
	}
	return outside + histRef(neg, pos, x, inv)
}

// histFn is an assembly body of [Level.HistF32].
type histFn func(neg, pos *uint64, x *float32, n int, inv, limit float32) (outside int)

func histRef(neg, pos []uint64, x []float32, inv float32) (outside int) {
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

// scanFn is an assembly body of [Level.Scan]. It takes and leaves the lanes of the least and the
// greatest value, as float32 bits, and of the numbers of zeros, NaNs and infinities.
type scanFn func(x *float32, n int, out *[5][lanes]uint32)

// Scan looks at all values of x.
func (l Level) Scan(x []float32) Scan {
	s := Scan{Min: float32(math.Inf(1)), Max: float32(math.Inf(-1))}
	if f, ok := scanAsm.pick(l); ok {
		t := getScratch()
		defer t.free()
		spans(len(x), callMax, func(i, n int) {
			clear(t.scan[:])
			for j := range lanes {
				t.scan[0][j], t.scan[1][j] = math.Float32bits(s.Min), math.Float32bits(s.Max)
			}
			f(&x[i], n, &t.scan)
			s.join(&t.scan)
		})
	} else {
		scanRef(&s, x)
	}
	s.Finite = len(x) - s.NaNs - s.Infs
	s.Min, s.Max = s.Min+0, s.Max+0
	return s
}

func (s *Scan) join(out *[5][lanes]uint32) {
	for j := range lanes {
		s.Min = min(s.Min, math.Float32frombits(out[0][j]))
		s.Max = max(s.Max, math.Float32frombits(out[1][j]))
		s.Zeros += int(out[2][j])
		s.NaNs += int(out[3][j])
		s.Infs += int(out[4][j])
	}
}

func scanRef(s *Scan, x []float32) {
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
		s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	}
}
