package calib

import (
	"math"

	"lowbit/internal/format"
)

// PNorm clips where the sum of |error|^2.4 is least, which minds large errors more than MSE does:
// shares of the range down to a fifth, in steps of a hundredth (Frantar et al., GPTQ, 2022, its code).
var PNorm = &Observer{
	Name: "pnorm", Hist: true, Doc: "clip at the least sum of |error|^2.4 (GPTQ)",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		v := s.values()
		min, max := float64(s.Min), float64(s.Max)
		best, least := 1.0, math.Inf(1)
		for i := 100; i >= 20; i-- {
			k := float64(i) / 100
			p := f.Cover(k*min, k*max, symmetric)
			sum := 0.0
			for _, c := range v {
				sum += float64(c.count * power24(c.at-f.Nearest(c.at, p)))
			}
			if sum < least {
				best, least = k, sum
			}
		}
		return best * min, best * max
	},
}

// A counted is the middle of a bin and how many values it holds.
type counted struct{ at, count float64 }

// values lists the filled bins in the order of their values.
func (s *Stats) values() []counted {
	var list []counted
	for i := len(s.Neg) - 1; i >= 0; i-- {
		if c := s.Neg[i]; c > 0 {
			list = append(list, counted{-(float64(i) + 0.5) * s.width(), float64(c)})
		}
	}
	for i, c := range s.Pos {
		if c > 0 {
			list = append(list, counted{(float64(i) + 0.5) * s.width(), float64(c)})
		}
	}
	return list
}

// power24 is |e|^2.4 = e²·(e²)^⅕, the same bits on every machine.
func power24(e float64) float64 {
	square := float64(e * e)
	if square < 0x1p-1000 {
		return 0
	}
	m, exp := math.Frexp(square)
	fifth := int(math.Floor(float64(exp) / 5))
	m = math.Ldexp(m, exp-5*fifth) // [½, 16)
	r := 0.5 + float64(m*0.125)
	for range 9 { // Newton: r − (r⁵−m)/(5r⁴)
		r2 := float64(r * r)
		r = (float64(4*r) + m/float64(r2*r2)) / 5
	}
	return float64(square * math.Ldexp(r, fifth))
}

// LSQ takes the step with which learned step size quantization begins, 2·mean|x|/√top, where top is
// the largest code (Esser et al., Learned Step Size Quantization, 2020, section 2.1).
var LSQ = &Observer{
	Name: "lsq", Hist: true, Doc: "the step 2·mean|x|/√(largest code) that LSQ training begins with",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		sum, n := 0.0, float64(s.Zeros)
		for _, c := range s.values() {
			sum += float64(math.Abs(c.at) * c.count)
			n += c.count
		}
		first, last := f.Range(format.Params{Scale: 1})
		top := float64(last)
		switch oneSided := s.Min >= 0 || s.Max <= 0; {
		case f.Zero && oneSided && !symmetric:
			top = float64(last) - float64(first)
		case f.Zero:
			top = (float64(last) - float64(first)) / 2
		}
		t := 2 * sum / n * math.Sqrt(top)
		return math.Max(math.Min(0, float64(s.Min)), -t), math.Min(math.Max(0, float64(s.Max)), t)
	},
}
