package doctor

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// amax is the largest magnitude that the codes of an activation reach.
func (s *site) amax() float64 {
	lo, hi := s.span()
	return max(-lo, hi)
}

// top returns the 99.99th percentile of the magnitudes, and the largest.
func (r *reading) top() (p9999, most float64) {
	_, p9999 = calib.Percentile.Range(r.stats, format.Uint8, true)
	return p9999, float64(max(-r.stats.Min, r.stats.Max))
}

// outlier returns by how much the range exceeds the percentile; 0 where that is zero.
func (e *exam) outlier(s *site, r *reading) float64 {
	p, _ := r.top()
	if p == 0 {
		return 0
	}
	return s.amax() / p
}

// vacant says whether a range is far wider than anything that the samples hold.
func (e *exam) vacant(s *site, r *reading) bool {
	_, most := r.top()
	return e.outlier(s, r) > outlierRatio && s.amax() > outlierRatio*most
}

// isMismatch says whether a range was made for other values. The values that made it lie within or near its ends, so
// the share of those outside is a distance of Kolmogorov and Smirnov that the two distributions have at least.
func (e *exam) isMismatch(s *site, r *reading) bool { return r.share(s) > kolmogorov || e.vacant(s, r) }

// allMismatched tells of ranges that were found on other data: at the input of the network, which lies
// outside of what was seen there, or is far smaller together with values behind it. Where clamps bound
// what follows, the input alone tells.
func (e *exam) allMismatched() []*finding {
	var input *site
	var bad []*site
	all, local := 0, 0.0
	e.eachAct(func(s *site, r *reading) {
		all++
		if e.isMismatch(s, r) {
			bad = append(bad, s)
			local = max(local, noise(r.SQNR()))
			if input == nil && e.fed(s) {
				input = s
			}
		}
	})
	if input == nil || len(bad) < 2 && e.screening.acts[input].share(input) <= kolmogorov && !e.ofPixels(input) {
		return nil
	}
	f := e.at(input, local, "%s; the ranges of %d of %d values do not fit the samples", e.rangeStory(input), len(bad), all)
	f.sites = append([]*site{input}, slices.DeleteFunc(bad, func(s *site) bool { return s == input })...)
	return []*finding{f}
}

// ofPixels says whether the range of a value that hardly leaves zero is that of pixels as photographs store them.
func (e *exam) ofPixels(s *site) bool {
	return e.vacant(s, e.screening.acts[s]) && math.Abs(s.amax()-255) < 4
}

// fed says whether a site is what the network is fed, but for operators in front of every weight, such as those that
// change its layout or take a mean off.
func (e *exam) fed(s *site) bool {
	name := s.from
	for range e.m.Graph.Nodes {
		n := e.x.Producer(name)
		if n == nil {
			break
		}
		var flowing []string
		o := op.Lookup(n.Domain, n.Op)
		for i, in := range n.In {
			constant := in == "" || e.m.Graph.ConstTensor(in) != nil
			if o == nil || constant && o.Quant.Role(i) == op.Weight {
				return false
			}
			if !constant {
				flowing = append(flowing, in)
			}
		}
		if len(flowing) != 1 {
			return false
		}
		name = flowing[0]
	}
	return e.m.Graph.Input(name) != nil
}

// rangeStory compares a range with what the samples hold.
func (e *exam) rangeStory(s *site) string {
	r := e.screening.acts[s]
	lo, hi := s.span()
	return fmt.Sprintf("%s: codes reach [%.4g, %.4g], the samples hold [%.4g, %.4g], %.1f %% of them well outside", s, lo, hi, r.stats.Min, r.stats.Max, 100*r.share(s))
}

// mismatched tells of single ranges that were found on other data.
func (e *exam) mismatched() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		if r.share(s) > kolmogorov {
			list = append(list, e.at(s, noise(r.SQNR()), "%s", e.rangeStory(s)))
		}
	})
	return list
}

// degenerate tells of scales that leave next to no codes, or with which codes stand for other numbers than were written.
func (e *exam) degenerate() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		lo, hi := s.span()
		bad := !(float64(s.params.Scale) >= leastScale) || math.IsInf(float64(s.params.Scale), 0) || hi-lo < narrow*float64(r.stats.Max-r.stats.Min)
		if s.read != s.params && !s.dynamic {
			f := e.at(s, noise(r.SQNR()), "%s: codes are written with scale %.6g and zero point %d, but read with %.6g and %d", s, s.params.Scale, s.params.Zero, s.read.Scale, s.read.Zero)
			f.sure = true
			list = append(list, f)
			return
		}
		if p, _ := r.top(); !bad && e.outlier(s, r) > outlierRatio && p >= float64(s.params.Scale) {
			return // stretched by outliers
		}
		if bad || r.stats.Min < r.stats.Max && r.crowd() > crowded && r.SQNR() < lowSQNR {
			list = append(list, e.at(s, noise(r.SQNR()), "%s: with its scale %.4g two codes take %.2f %% of the values within [%.4g, %.4g] that are not zero", s, s.params.Scale, 100*r.crowd(), r.stats.Min, r.stats.Max))
		}
	})
	e.eachLayer(func(u *unit, l *loss) {
		c := u.weights.coded
		x := tensor.Of[float32](u.weights.off)
		bad := slices.ContainsFunc(c.Params, func(p format.Params) bool {
			return !(float64(p.Scale) >= leastScale) || math.IsInf(float64(p.Scale), 0)
		})
		if bad || slices.Min(c.Codes) == slices.Max(c.Codes) && slices.Min(x) < slices.Max(x) {
			list = append(list, e.ofLayer(u, noise(l.weights.SQNR()), "weights of %s: scale %.4g, all codes between %d and %d", u, c.Params[0].Scale, slices.Min(c.Codes), slices.Max(c.Codes)))
		}
	})
	return list
}

// outliers tells of ranges that a few values stretch.
func (e *exam) outliers() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		if k := e.outlier(s, r); k > outlierRatio {
			p, most := r.top()
			list = append(list, e.at(s, noise(r.SQNR()), "%s: codes reach %.4g, %.1f times the 99.99th percentile of the samples, %.4g; the largest is %.4g", s, s.amax(), k, p, most))
		}
	})
	e.eachLayer(func(u *unit, l *loss) {
		if u.weights.coded.Block.Kind != format.Whole {
			return
		}
		x := magnitudes(tensor.Of[float32](u.weights.off))
		p := x[int(0.9999*float64(len(x)-1))]
		if most := x[len(x)-1]; p > 0 && most > outlierRatio*p {
			list = append(list, e.ofLayer(u, noise(l.weights.SQNR()), "weights of %s: the largest is %.4g, %.1f times the 99.99th percentile", u, most, most/p))
		}
	})
	return list
}

// magnitudes returns the sorted absolute values.
func magnitudes(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Abs(float64(v))
	}
	slices.Sort(y)
	return y
}
