package calib

import (
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
)

// plainDivergence is KL(P‖Q) written out bin by bin: h with the outliers in the last bin, against
// h merged into levels and spread evenly over their non-empty bins.
func plainDivergence(h []uint64, n, levels int) float64 {
	p, q := make([]float64, n), make([]float64, n)
	sum := map[int]float64{}
	filled := map[int]float64{}
	for i, c := range h[:n] {
		p[i] = float64(c)
		sum[i*levels/n] += float64(c)
		if c > 0 {
			filled[i*levels/n]++
		}
	}
	for _, c := range h[n:] {
		p[n-1] += float64(c)
	}
	for i, c := range h[:n] {
		if c > 0 {
			q[i] = sum[i*levels/n] / filled[i*levels/n]
		}
	}
	if !scaleToOne(p) || !scaleToOne(q) {
		return math.Inf(1)
	}
	if p[n-1] > 0 && q[n-1] == 0 && (!smooth(p) || !smooth(q)) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range p {
		if p[i] > 0 {
			d += p[i] * math.Log(p[i]/q[i])
		}
	}
	return d
}

// scaleToOne makes p sum to one; false where nothing is there.
func scaleToOne(p []float64) bool {
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	for i := range p {
		p[i] /= sum
	}
	return sum > 0
}

// smooth raises zeros to 1e-4 and takes that evenly from the others; false where one has too little.
func smooth(p []float64) bool {
	zeros := 0.0
	for _, v := range p {
		if v == 0 {
			zeros++
		}
	}
	for i, v := range p {
		if v == 0 {
			p[i] = 1e-4
		} else if p[i] = v - 1e-4*zeros/(float64(len(p))-zeros); p[i] <= 0 {
			return false
		}
	}
	return true
}

// TestDivergence compares the running sums with the plain formula on full, sparse and tiny histograms.
func TestDivergence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 60 {
		n, levels := 20+r.IntN(300), []int{4, 8, 16, 128}[r.IntN(4)]
		h := make([]uint64, n)
		for i := range h {
			if r.IntN(3) < trial%4 {
				h[i] = uint64(1e6 * math.Exp(-float64(i)*float64(r.IntN(10))/50))
			}
		}
		if trial%7 == 0 {
			h[n-1] = 3
		}
		k := newDivergence(h, evenly(levels))
		for i := levels; i <= n; i++ {
			got, want := k.at(i), plainDivergence(h, i, levels)
			if math.IsInf(got, 1) != math.IsInf(want, 1) || math.Abs(got-want) > 1e-10 {
				t.Fatalf("trial %d, %d of %d bins in %d levels: %v, want %v", trial, i, n, levels, got, want)
			}
		}
	}
}

func TestLn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		x := math.Ldexp(1+r.Float64(), r.IntN(600)-300)
		if r.IntN(2) == 0 {
			x = 1 + (r.Float64()-0.5)/float64(int(1)<<r.IntN(40))
		}
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 4e-16*max(1, math.Abs(want)) {
			t.Fatalf("ln(%v) is %v, want %v", x, got, want)
		}
	}
}

// TestSquaredError compares the sums over codes with those over bins.
func TestSquaredError(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, f := range format.All {
		for range 10 {
			s := randomStats(r)
			m := s.masses()
			k := 0.05 + r.Float64()
			p := f.Cover(k*float64(s.Min), k*float64(s.Max), r.IntN(2) == 0)
			want := 0.0
			for i := range len(m.n) - 1 {
				e := m.middle(i) - f.Nearest(m.middle(i), p)
				want += (m.n[i+1] - m.n[i]) * e * e
			}
			if got := m.squaredError(f, p); math.Abs(got-want) > 1e-9*want+1e-12*m.xx[len(m.xx)-1] {
				t.Errorf("%s: %v, want %v", f.Name, got, want)
			}
		}
	}
}

// randomStats observes values of a random shape.
func randomStats(r *rand.Rand) *Stats {
	s := NewStats(true)
	x := make([]float32, 2000)
	scale, shift := math.Exp(6*r.Float64()-3), r.Float64()-0.5
	for i := range x {
		x[i] = float32(scale * (r.NormFloat64() + 4*shift))
		if r.IntN(3) == 0 && shift > 0 {
			x[i] = max(x[i], 0)
		}
	}
	s.Add(0, x)
	return s
}
