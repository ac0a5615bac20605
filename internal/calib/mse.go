package calib

import (
	"math"

	"lowbit/internal/format"
)

// MSE clips where the mean squared error of the quantized values is least.
var MSE = &Observer{
	Name: "mse", Hist: true, Doc: "clip at the least mean squared error",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		pts := s.points()
		min, max := float64(s.Min), float64(s.Max)
		cost := func(lo, hi float64) float64 { return squaredError(pts, f, f.Cover(lo, hi, symmetric)) }
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

// A point stands for the values of one bin.
type point struct{ x, n float64 }

// mseBins is how many bins on each side the error is summed over at most.
const mseBins = 512

// points returns the centres of the non-empty bins, merged to at most mseBins a side. Zeros
// cost nothing in any range and are left out.
func (s *Stats) points() []point {
	used := min(Bins, int(s.amax()/s.width())+1)
	run := (used + mseBins - 1) / mseBins
	w := s.width() * float64(run)
	var pts []point
	for i := 0; i*run < used; i++ {
		var neg, pos uint64
		for k := i * run; k < min(Bins, (i+1)*run); k++ {
			neg += s.Neg[k]
			pos += s.Pos[k]
		}
		c := (float64(i) + 0.5) * w
		if neg > 0 {
			pts = append(pts, point{math.Max(-c, float64(s.Min)), float64(neg)})
		}
		if pos > 0 {
			pts = append(pts, point{math.Min(c, float64(s.Max)), float64(pos)})
		}
	}
	return pts
}

func squaredError(pts []point, f *format.Format, p format.Params) float64 {
	scale, zero := float64(p.Scale), float64(p.Zero)
	lo, hi := float64(f.Lo), float64(f.Hi)
	sum := 0.0
	for _, v := range pts {
		q := math.RoundToEven(v.x/scale) + zero
		q = math.Max(lo, math.Min(hi, q))
		e := v.x - (q-zero)*scale
		sum += v.n * e * e
	}
	return sum
}

// bestShrink returns the factor in [0.2, 1] with the least cost: 80 coarse steps, then steps a
// tenth as wide around the best. The cost has several minima where bits are few, so nothing
// cleverer is safe. On ties the larger factor wins.
func bestShrink(cost func(k float64) float64) float64 {
	best, least := 1.0, cost(1)
	search := func(from, step float64, n int) {
		for i := range n {
			k := from - float64(i)*step
			if k <= 0 || k > 1 {
				continue
			}
			if c := cost(k); c < least {
				best, least = k, c
			}
		}
	}
	search(1, 0.01, 81)
	search(best+0.01, 0.001, 21)
	return best
}
