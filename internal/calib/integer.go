package calib

import (
	"math"

	"lowbit/internal/format"
)

// IntegerLength takes dynamic fixed point with an integer length of ⌈log2 max⌉ bits, the sign among them: the largest
// values of a layer, up to half of which the format then holds, are saturated (Gysel et al., Ristretto, 2016, section III,
// and its code). It gives the fraction a bit more than [MinMax].
var IntegerLength = &Observer{
	Name: "integer-length", Of: format.FixedPoint, Doc: "cover half of the power of two that is not below the largest magnitude (Ristretto; the default of its formats)",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		m, e := math.Frexp(s.amax()) // max = m·2^e, m in [½, 1), or 0
		if m == 0.5 {
			e--
		}
		end := min(math.Ldexp(0.5, e), s.amax())
		return max(-end, float64(min(s.Min, 0))), min(end, float64(max(s.Max, 0)))
	},
}
