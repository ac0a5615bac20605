package calib

import (
	"math"

	"lowbit/internal/format"
)

// The search of IFMR: shares of the range, in hundredths.
const (
	ifmrShare = 0.999999
	ifmrFrom  = 70
	ifmrTo    = 130
)

// IFMR starts from the range that covers all but a millionth of the values and takes that share of
// it, from 0.70 to 1.30 and not beyond what was seen, with the least squared error (input feature map
// reconstruction, Ascend).
var IFMR = &Observer{
	Name: "ifmr", Hist: true, Doc: "the share, 0.7 to 1.3, of the 99.9999 % range with the least squared error (Ascend)",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		m := s.masses()
		lo, hi = s.cover(ifmrShare, symmetric)
		best, least := 1.0, math.Inf(1)
		for i := ifmrFrom; i <= ifmrTo; i++ {
			k := float64(i) / 100
			if e := m.squaredError(f, f.Cover(k*lo, k*hi, symmetric)); e < least {
				best, least = k, e
			}
		}
		return math.Max(best*lo, min(0, float64(s.Min))), math.Min(best*hi, max(0, float64(s.Max)))
	},
}
