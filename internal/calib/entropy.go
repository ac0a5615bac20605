package calib

import (
	"math"

	"lowbit/internal/format"
)

// entropyBins is how many bins the search for a clip starts from at most (TensorRT uses 2048).
const entropyBins = 2048

// Entropy clips where the Kullback-Leibler divergence between the values and their quantized
// form is least (Migacz, 8-bit Inference with TensorRT, GTC 2017).
var Entropy = &Observer{
	Name: "entropy", Hist: true, Doc: "clip at the least Kullback-Leibler divergence (TensorRT)",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		h, width := s.magnitudes(), s.width()
		for len(h) > entropyBins {
			h, width = append(h, make([]uint64, len(h)%2)...), 2*width
			halve(h)
			h = h[:len(h)/2]
		}
		// Rectified values all start at zero; without this their spike there decides alone.
		if len(h) > 1 {
			h[0] = h[1]
		}
		t := s.amax()
		if i := klClip(h, levelsOf(f, s.Min >= 0 && !symmetric)); i < len(h) {
			t = min(t, (float64(i)+0.5)*width)
		}
		return math.Max(float64(s.Min), -t), math.Min(float64(s.Max), t)
	},
}

// levels are the marks that magnitudes are quantized to.
type levels struct {
	n    int
	ends []float64 // of all but the last: where it ends, as a share of the range; nil: evenly spaced
}

func evenly(n int) levels { return levels{n: n} }

// levelsOf returns the marks of a format from zero on, all of them where it may shift to that side.
func levelsOf(f *format.Format, oneSided bool) levels {
	if f.Lo < f.Hi {
		n := 1 << (f.Bits - 1)
		if oneSided {
			n = 1 << f.Bits
		}
		return evenly(n)
	}
	marks, between := f.Steps()
	l := levels{n: 1}
	for _, b := range between {
		if b > 0 {
			l.ends = append(l.ends, float64(b)/float64(marks[len(marks)-1]))
			l.n++
		}
	}
	return l
}

// end is the bin behind level k where n bins are kept.
func (l levels) end(k, n int) int {
	switch {
	case l.ends == nil:
		return (k*n + n + l.n - 1) / l.n
	case k >= len(l.ends):
		return n
	}
	return min(n, int(math.Ceil(l.ends[k]*float64(n))))
}

// klClip returns the number of bins to keep, from the number of levels to len(h), at which the
// divergence between h, clipped, and its quantization to those levels is least; the larger on ties.
func klClip(h []uint64, l levels) int {
	k := newDivergence(h, l)
	best, least := len(h), math.Inf(1)
	for i := l.n; i <= len(h); i++ {
		if d := k.at(i); d <= least {
			best, least = i, d
		}
	}
	return best
}

// A divergence computes KL(P‖Q) for the first bins of a histogram h: P is those bins with the
// outliers added to the last one, and Q the same bins without outliers, merged into levels and
// spread again evenly over the non-empty bins of each.
//
// With T = ΣP and S = ΣQ before both are made to sum to one, and q constant in a level g,
//
//	KL = (Σ p·ln p − Σ_g (Σ p in g)·ln q_g) / T + ln(S/T)
//
// where all sums but that over g are differences of running sums.
type divergence struct {
	h      []uint64
	levels levels
	sum    []uint64  // of h before an index
	filled []int     // non-empty bins before an index
	plnp   []float64 // Σ h·ln h before an index
	least  []uint64  // the smallest non-zero count before an index
	counts []float64 // ln of 1, 2, …, the numbers of bins in a level
}

func newDivergence(h []uint64, levels levels) *divergence {
	n := len(h)
	k := &divergence{h: h, levels: levels, sum: make([]uint64, n+1), filled: make([]int, n+1), plnp: make([]float64, n+1), least: make([]uint64, n+1)}
	k.least[0] = math.MaxUint64
	for i, c := range h {
		k.sum[i+1], k.filled[i+1], k.plnp[i+1], k.least[i+1] = k.sum[i]+c, k.filled[i], k.plnp[i], k.least[i]
		if c > 0 {
			k.filled[i+1]++
			k.plnp[i+1] += float64(float64(c) * ln(float64(c)))
			k.least[i+1] = min(k.least[i], c)
		}
	}
	k.counts = make([]float64, n+2)
	for i := range k.counts {
		k.counts[i] = ln(float64(max(1, i)))
	}
	return k
}

// at is the divergence for the first n bins; +Inf where nothing is left of one of the two.
func (k *divergence) at(n int) float64 {
	total, kept := float64(k.sum[len(k.h)]), float64(k.sum[n])
	if kept == 0 {
		return math.Inf(1)
	}
	outliers := total - kept
	last := k.h[n-1]
	if last == 0 && outliers > 0 {
		return k.smoothed(n, total, kept)
	}
	d := k.plnp[n]
	if outliers > 0 {
		c := float64(last)
		d += float64((c+outliers)*ln(c+outliers)) - float64(c*ln(c))
	}
	for lo, group := 0, 0; lo < n; group++ {
		hi := k.levels.end(group, n)
		if hi == lo {
			continue
		}
		if sum := float64(k.sum[hi] - k.sum[lo]); sum > 0 {
			p := sum
			if hi == n {
				p += outliers
			}
			d -= float64(p * (ln(sum) - k.counts[k.filled[hi]-k.filled[lo]]))
		}
		lo = hi
	}
	return d/total + ln(kept/total)
}

// smoothed is the divergence where P has outliers in its last bin and Q has nothing there: every
// zero of P and Q is raised to a small mass, which is taken evenly from the non-zeros. It is +Inf
// where one of these has less than that.
func (k *divergence) smoothed(n int, total, kept float64) float64 {
	const eps = 1e-4
	takeP := eps * float64(n-k.filled[n]-1) / float64(k.filled[n]+1)
	takeQ := eps * float64(n-k.filled[n]) / float64(k.filled[n])
	if float64(k.least[n])/total <= takeP {
		return math.Inf(1)
	}
	d := 0.0
	for lo, group := 0, 0; lo < n; group++ {
		hi := k.levels.end(group, n)
		if hi == lo {
			continue
		}
		filled := k.filled[hi] - k.filled[lo]
		q := 0.0
		if filled > 0 {
			if q = float64(k.sum[hi]-k.sum[lo])/float64(filled)/kept - takeQ; q <= 0 {
				return math.Inf(1)
			}
		}
		for i := lo; i < hi; i++ { // an empty bin is eps in both, and adds nothing
			if c := float64(k.h[i]); c > 0 {
				p := c/total - takeP
				d += float64(p * ln(p/q))
			}
		}
		lo = hi
	}
	p := (total-kept)/total - takeP
	if p <= 0 {
		return math.Inf(1)
	}
	return d + float64(p*ln(p/eps))
}
