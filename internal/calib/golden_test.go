package calib

import (
	"math"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// density is a distribution of magnitudes: the share of values below x.
type density func(x float64) float64

func normal(x float64) float64  { return math.Erf(x / math.Sqrt2) }
func laplace(x float64) float64 { return 1 - math.Exp(-x) }

// counts returns n bins over [0, end] of a million values.
func (cdf density) counts(n int, end float64) []uint64 {
	h := make([]uint64, n)
	for i := range h {
		h[i] = uint64(math.Round(1e6 * (cdf(end*float64(i+1)/float64(n)) - cdf(end*float64(i)/float64(n)))))
	}
	return h
}

// TestKLClip holds the search against values computed with another program.
func TestKLClip(t *testing.T) {
	for _, c := range []struct {
		name string
		cdf  density
		end  float64
		bins int
		clip float64
	}{
		{"normal to 5", normal, 5, 1666, 4.0686},
		{"normal to 8", normal, 8, 1076, 4.2051},
		{"Laplace to 14", laplace, 14, 1395, 9.5396},
		{"Laplace to 20", laplace, 20, 1011, 9.8779},
	} {
		h := c.cdf.counts(2048, c.end)
		got := klClip(h, evenly(128))
		if clip := (float64(got) + 0.5) * c.end / 2048; got != c.bins || math.Abs(clip-c.clip) > 1e-4 {
			t.Errorf("%s: %d bins, a clip of %.4f; want %d, %.4f", c.name, got, clip, c.bins, c.clip)
		}
	}
}

// TestMSEClip holds the search against the optimum clips of known distributions with whole codes
// from −(2^(b−1)−1) to 2^(b−1)−1. At 8 bits a bin is no longer narrow beside a step, and the minimum
// is flat: 2 % more clip cost 0.01 dB.
func TestMSEClip(t *testing.T) {
	for _, c := range []struct {
		name       string
		cdf        density
		end        float64
		bits       int
		clip, sqnr float64
	}{
		{"normal", normal, 8, 2, 1.22, 7.21}, {"normal", normal, 8, 3, 1.96, 13.29}, {"normal", normal, 8, 4, 2.48, 18.90},
		{"normal", normal, 8, 6, 3.28, 29.71}, {"normal", normal, 8, 8, 3.92, 40.54},
		{"Laplace", laplace, 24, 2, 2.00, 5.78}, {"Laplace", laplace, 24, 3, 3.48, 10.80}, {"Laplace", laplace, 24, 4, 4.82, 15.62},
		{"Laplace", laplace, 24, 6, 7.36, 25.26}, {"Laplace", laplace, 24, 8, 9.88, 35.18},
	} {
		s := statsOf(c.cdf, c.end)
		top := 1<<(c.bits-1) - 1
		f := &format.Format{Name: "symmetric", Bits: c.bits, Lo: -top, Hi: top, Elem: tensor.Int8}
		lo, hi := MSE.Range(s, f, true)
		m := s.masses()
		sqnr := 10 * math.Log10(m.xx[len(m.xx)-1]/m.squaredError(f, f.Cover(lo, hi, true)))
		if lo != -hi || math.Abs(hi-c.clip) > 0.05 || math.Abs(sqnr-c.sqnr) > 0.06 {
			t.Errorf("%s, %d bits: [%.3f, %.3f], %.2f dB; want %.2f, %.2f dB", c.name, c.bits, lo, hi, sqnr, c.clip, c.sqnr)
		}
	}
}

// statsOf returns statistics of values of both signs with the given distribution of magnitudes.
func statsOf(cdf density, end float64) *Stats {
	s := NewStats(true)
	s.Neg, s.Pos = make([]uint64, Bins), make([]uint64, Bins)
	s.widen(float32(end))
	w := s.width()
	for i := range s.Pos {
		n := uint64(math.Round(1e12 * (cdf(w*float64(i+1)) - cdf(w*float64(i)))))
		s.Neg[i], s.Pos[i] = n, n
		s.Count += 2 * n
	}
	s.Min, s.Max = float32(-end), float32(end)
	return s
}

// TestPower24 holds the fifth root against the library's power.
func TestPower24(t *testing.T) {
	for _, e := range []float64{0, 1e-200, 1e-30, 3e-7, 0.1, 0.5, 0.99, 1, 2, 7.5, 1e10, -3, 1e60} {
		want := math.Pow(math.Abs(e), 2.4)
		if got := power24(e); math.Abs(got-want) > 1e-12*want && want > 1e-280 {
			t.Errorf("|%g|^2.4 = %g, want %g", e, got, want)
		}
	}
}

// TestIFMRAndPNormBesideMSE checks that both find the clip of a normal distribution near that of the
// least squared error, IFMR the same one, |e|^2.4 a wider one; that IFMR keeps to its
// shares; and that on its coarser grid it loses no more than 0.1 dB.
func TestIFMRAndPNormBesideMSE(t *testing.T) {
	f := &format.Format{Name: "symmetric", Bits: 4, Lo: -7, Hi: 7, Elem: tensor.Int8}
	s := statsOf(normal, 8)
	_, mse := MSE.Range(s, f, true)
	_, wide := s.cover(ifmrShare, true)
	if _, hi := IFMR.Range(s, f, true); math.Abs(hi-0.7*wide) > 1e-9 {
		t.Errorf("IFMR clips at %.3f, want its least share of %.3f", hi, wide)
	}
	if _, hi := PNorm.Range(s, f, true); hi < mse+0.05 || hi > mse+0.8 {
		t.Errorf("the p-norm clips at %.3f, the squared error at %.3f", hi, mse)
	}
	f8 := &format.Format{Name: "symmetric", Bits: 8, Lo: -127, Hi: 127, Elem: tensor.Int8}
	_, mse = MSE.Range(s, f8, true)
	_, hi := IFMR.Range(s, f8, true)
	m := s.masses()
	if a, b := m.squaredError(f8, f8.Cover(-hi, hi, true)), m.squaredError(f8, f8.Cover(-mse, mse, true)); a > 1.023*b {
		t.Errorf("at 8 bits IFMR clips at %.3f, the squared error at %.3f: errors %g, %g", hi, mse, a, b)
	}
}

// TestLSQStep holds the first step of learned step size quantization, 2·mean|x|/√top, against the mean
// √(2/π) of a half-normal distribution and 1 of an exponential one.
func TestLSQStep(t *testing.T) {
	for _, c := range []struct {
		cdf  density
		end  float64
		mean float64
	}{{normal, 8, math.Sqrt(2 / math.Pi)}, {laplace, 24, 1}} {
		for _, top := range []int{1, 3, 7} {
			f := &format.Format{Name: "symmetric", Bits: 8, Lo: -top, Hi: top, Elem: tensor.Int8}
			_, hi := LSQ.Range(statsOf(c.cdf, c.end), f, true)
			if want := 2 * c.mean * math.Sqrt(float64(top)); math.Abs(hi-want) > 1e-3*want {
				t.Errorf("top code %d: clip %.4f, want %.4f", top, hi, want)
			}
		}
	}
}

// TestEntropyOnMarks clips for marks that are not evenly spaced. Those of a small float reach far with
// little loss, so that the divergence leaves a wider range than it does to as many even steps.
func TestEntropyOnMarks(t *testing.T) {
	s := statsOf(normal, 8)
	clip := func(f *format.Format) float64 { _, hi := Entropy.Range(s, f, true); return hi }
	even := &format.Format{Name: "symmetric", Bits: 4, Lo: -7, Hi: 7, Elem: tensor.Int8}
	if e, m := clip(even), clip(format.FP4E2M1); m <= e || m > 8 {
		t.Errorf("FP4 clips at %.3f, even steps at %.3f", m, e)
	}
	for _, f := range format.All {
		if lo, hi := Entropy.Range(s, f, true); lo != -hi || hi <= 0 || hi > 8 {
			t.Errorf("%s: [%g, %g]", f.Name, lo, hi)
		}
	}
}

// TestIntegerLength holds the scales of dynamic fixed point against ⌈log2 max⌉ by hand: 2^(⌈log2 max⌉ − bits).
func TestIntegerLength(t *testing.T) {
	for _, c := range []struct {
		lo, hi float32
		f      *format.Format
		scale  float32
	}{
		{-1, 3.7, format.Ristretto8, 1.0 / 64},
		{-1, 4, format.Ristretto8, 1.0 / 64},
		{-4.1, 4, format.Ristretto8, 1.0 / 32},
		{0, 0.3, format.Ristretto8, 1.0 / 512},
		{0, 3.7, format.Ristretto4, 0.25},
		{0, 300, format.Ristretto8, 2},
	} {
		s := NewStats(false)
		s.Add(kernel.Generic, []float32{c.lo, c.hi})
		p, err := IntegerLength.Fit(s, c.f, false)
		if err != nil || p.Scale != c.scale || p.Zero != 0 {
			t.Errorf("%s of [%v, %v]: scale %v, zero %d, %v; want %v", c.f.Name, c.lo, c.hi, p.Scale, p.Zero, err, c.scale)
		}
	}
	if Own(format.Ristretto4) != IntegerLength || Own(format.Int8) != nil || Own(nil) != nil {
		t.Error("it belongs to other formats")
	}
}
