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
		levels := 1 << (f.Bits - 1)
		if s.Min >= 0 && !symmetric {
			levels = 1 << f.Bits
		}
		t := s.amax()
		if i := klClip(h, levels); i < len(h) {
			t = min(t, (float64(i)+0.5)*width)
		}
		return math.Max(float64(s.Min), -t), math.Min(float64(s.Max), t)
	},
}

// klClip returns the number of bins to keep, from levels to len(h), at which the divergence
// between h, clipped, and its quantization to that many levels is least; the larger on ties.
func klClip(h []uint64, levels int) int {
	tail := uint64(0)
	for _, c := range h {
		tail += c
	}
	best, least := len(h), math.Inf(1)
	kept := uint64(0)
	q := make([]float64, len(h))
	for i := 1; i <= len(h); i++ {
		kept += h[i-1]
		if i < levels {
			continue
		}
		if d := klDivergence(h[:i], float64(tail-kept), levels, q[:i]); d <= least {
			best, least = i, d
		}
	}
	return best
}

// klDivergence is KL(P‖Q) for P the bins h with the outliers added to the last one, and Q the
// same bins without outliers merged into levels and spread again over the non-empty ones.
// q is scratch of h's length. It is +Inf where smoothing leaves no mass.
func klDivergence(h []uint64, outliers float64, levels int, q []float64) float64 {
	n := len(h)
	total := outliers
	spread := 0.0
	for lo := 0; lo < n; {
		group := lo * levels / n
		sum, filled, hi := 0.0, 0, lo
		for ; hi < n && hi*levels/n == group; hi++ {
			if h[hi] > 0 {
				sum += float64(h[hi])
				filled++
			}
		}
		for k := lo; k < hi; k++ {
			q[k] = 0
			if h[k] > 0 {
				q[k] = sum / float64(filled)
			}
		}
		total += sum
		spread += sum
		lo = hi
	}
	if spread == 0 {
		return math.Inf(1)
	}
	last := float64(h[n-1]) + outliers
	if last > 0 && q[n-1] == 0 {
		return klSmoothed(h, last, total, spread, q)
	}
	d := 0.0
	for k, c := range h {
		p := float64(c)
		if k == n-1 {
			p = last
		}
		if p > 0 {
			d += p * math.Log(p/q[k])
		}
	}
	return d/total + math.Log(spread/total)
}

// klSmoothed is the divergence after every zero of P and Q was raised to a small mass taken
// evenly from the non-zeros.
func klSmoothed(h []uint64, last, total, spread float64, q []float64) float64 {
	const eps = 1e-4
	p := make([]float64, len(h))
	for k, c := range h {
		p[k] = float64(c) / total
		q[k] /= spread
	}
	p[len(p)-1] = last / total
	if !smooth(p, eps) || !smooth(q, eps) {
		return math.Inf(1)
	}
	d := 0.0
	for k := range p {
		d += p[k] * math.Log(p[k]/q[k])
	}
	return d
}

func smooth(p []float64, eps float64) bool {
	zeros := 0
	for _, v := range p {
		if v == 0 {
			zeros++
		}
	}
	if zeros == len(p) {
		return false
	}
	take := eps * float64(zeros) / float64(len(p)-zeros)
	for k, v := range p {
		if v == 0 {
			p[k] = eps
		} else if p[k] = v - take; p[k] <= 0 {
			return false
		}
	}
	return true
}
