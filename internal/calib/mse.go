package calib

import (
	"math"

	"lowbit/internal/format"
)

// MSE clips where the mean squared error of the quantized values is least.
var MSE = &Observer{
	Name: "mse", Hist: true, Doc: "clip at the least mean squared error",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		m := s.masses()
		min, max := float64(s.Min), float64(s.Max)
		cost := func(lo, hi float64) float64 { return m.squaredError(f, f.Cover(lo, hi, symmetric)) }
		if symmetric || min >= 0 || max <= 0 {
			t := bestShrink(func(k float64) float64 { return cost(k*min, k*max) })
			return t * min, t * max
		}
		// Two free ends: shrink them together, then each alone.
		a := bestShrink(func(k float64) float64 { return cost(k*min, k*max) })
		b := a
		for range 2 {
			a = bestShrink(func(k float64) float64 { return cost(k*min, b*max) })
			b = bestShrink(func(k float64) float64 { return cost(a*min, k*max) })
		}
		return a * min, b * max
	},
}

// masses are running sums over the values of a histogram, each taken to lie in the middle of its
// bin: of how many there are, of the values, and of their squares. Index i is the sum over the bins
// before i, which stand in the order of the values; there are as many below zero as above.
type masses struct {
	width    float64
	n, x, xx []float64
}

// masses sums the histogram up. Zeros cost nothing in any range and are left out.
func (s *Stats) masses() *masses {
	side := min(Bins, int(s.amax()/s.width())+1)
	m := &masses{s.width(), make([]float64, 2*side+1), make([]float64, 2*side+1), make([]float64, 2*side+1)}
	for i := range 2 * side {
		count := uint64(0)
		if k := i - side; k < 0 {
			count = s.Neg[-k-1]
		} else {
			count = s.Pos[k]
		}
		c := m.middle(i)
		m.n[i+1] = m.n[i] + float64(count)
		m.x[i+1] = m.x[i] + float64(float64(count)*c)
		m.xx[i+1] = m.xx[i] + float64(float64(float64(count)*c)*c)
	}
	return m
}

// middle is the middle of bin i.
func (m *masses) middle(i int) float64 { return (float64(i-len(m.n)/2) + 0.5) * m.width }

// error is the sum of the squared errors of all values between bins a and b that become v.
func (m *masses) error(a, b int, v float64) float64 {
	n, x, xx := m.n[b]-m.n[a], m.x[b]-m.x[a], m.xx[b]-m.xx[a]
	return xx - float64(2*float64(v*x)) + float64(float64(v*v)*n)
}

// squaredError is the sum of the squared errors of format f with parameters p: over its marks, or
// over the bins where those are fewer.
func (m *masses) squaredError(f *format.Format, p format.Params) float64 {
	if f.Lo == f.Hi {
		return m.stepError(f, p)
	}
	scale, zero := float64(p.Scale), float64(p.Zero)
	lo, hi := float64(f.Lo)-zero, float64(f.Hi)-zero
	bins := len(m.n) - 1
	sum := 0.0
	if f.Hi-f.Lo > bins {
		for i := range bins {
			if m.n[i+1] > m.n[i] {
				sum += m.error(i, i+1, f.Nearest(m.middle(i), p))
			}
		}
		return sum
	}
	// Half a step above code q lies at (q+½)·ratio in bins from zero; those with a smaller middle go to q.
	ratio, middle := scale/m.width, float64(bins/2)-0.5
	at := 0
	for q := lo; q < hi && at < bins; q++ {
		end := min(bins, int(math.Ceil(float64((q+0.5)*ratio)+middle)))
		if end > at {
			sum += m.error(at, end, q*scale)
			at = end
		}
	}
	return sum + m.error(at, bins, hi*scale)
}

// stepError is squaredError for marks that are no whole numbers.
func (m *masses) stepError(f *format.Format, p format.Params) float64 {
	scale, bins := float64(p.Scale), len(m.n)-1
	marks, between := f.Steps()
	sum, at := 0.0, 0
	if len(marks) == 0 { // a 16-bit float has too many
		for i := range bins {
			sum += m.error(i, i+1, f.Nearest(m.middle(i), p))
		}
		return sum
	}
	for i, b := range between {
		end := min(bins, int(math.Floor(float64(float64(b)*(scale/m.width))+float64(bins/2)-0.5))+1)
		if end > at {
			sum += m.error(at, end, float64(float64(marks[i])*scale))
			at = end
		}
	}
	return sum + m.error(at, bins, float64(float64(marks[len(marks)-1])*scale))
}

// bestShrink returns the factor in (0, 1] with the least cost: a hundred coarse steps, then steps a
// tenth as wide around the best. The cost has several minima where bits are few, so nothing
// cleverer is safe. On ties the larger factor wins.
func bestShrink(cost func(k float64) float64) float64 {
	best, least := 1.0, math.Inf(1)
	search := func(from, to, parts int) { // from/parts down to to/parts
		for i := from; i >= max(1, to); i-- {
			k := float64(i) / float64(parts)
			if c := cost(k); c < least {
				best, least = k, c
			}
		}
	}
	search(100, 1, 100)
	around := int(math.Round(best * 1000))
	search(min(1000, around+10), around-10, 1000)
	return best
}
