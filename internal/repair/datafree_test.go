package repair

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// TestClampedMean holds the mean of a clamped normal value against known ones, for a ReLU and a ReLU6.
func TestClampedMean(t *testing.T) {
	for _, c := range []struct{ b, d, relu, relu6 float64 }{
		{.5, 1.2, .769696, .769696}, {-1, 2, .395593, .395476}, {4, 1.5, 4.001772, 3.938180}, {-3, 0, 0, 0}, {7, 1e-9, 7, 6},
	} {
		if got := clampedMean(c.b, c.d, 0, math.Inf(1)); math.Abs(got-c.relu) > 6e-7 {
			t.Errorf("E[ReLU] of N(%g, %g²) = %.6f, want %.6f", c.b, c.d, got, c.relu)
		}
		if got := clampedMean(c.b, c.d, 0, 6); math.Abs(got-c.relu6) > 6e-7 {
			t.Errorf("E[ReLU6] of N(%g, %g²) = %.6f, want %.6f", c.b, c.d, got, c.relu6)
		}
		if got := clampedMean(c.b, c.d, math.Inf(-1), math.Inf(1)); got != c.b {
			t.Errorf("without bounds: %g", got)
		}
	}
}

// normalized is an inverted bottleneck with BatchNormalizations.
const normalized = header + `g (float[1,8,12,12] x) => (float[1,8,8,8] y) <float[32,8,1,1] w, float[32,1,3,3] dw, float[8,32,1,1] v, float[8] vb,
  float[32] g1, float[32] b1, float[32] m1, float[32] s1, float[32] g2, float[32] b2, float[32] m2, float[32] s2, float[8,8,3,3] u, float[8] ub> {
  a = Conv (x, w)
  an = BatchNormalization (a, g1, b1, m1, s1)
  ar = Relu (an)
  d = Conv <group = 32> (ar, dw)
  dn = BatchNormalization (d, g2, b2, m2, s2)
  dr = Relu (dn)
  p = Conv (dr, v, vb)
  y = Conv (p, u, ub)
}`

// plantNormalized makes a network that data-free quantization has to mend: rows of weights of very
// different size, which BatchNormalization makes up for in part; folded, they differ still, as their
// channels do; some channels never come near zero.
func plantNormalized(t *testing.T) (m *graph.Model, samples []calib.Inputs) {
	m = parse(t, normalized)
	r := rand.New(rand.NewPCG(21, 22))
	samples = images(r, m, 24)
	fill(m, r, "w", func(c int) float64 { return math.Exp2(float64(c % 9)) }, 32, 8, 1, 1)
	fill(m, r, "dw", func(c int) float64 { return math.Exp2(float64(c * 5 % 8)) }, 32, 1, 3, 3)
	fill(m, r, "v", func(int) float64 { return 1 }, 8, 32, 1, 1)
	fill(m, r, "vb", func(int) float64 { return 1 }, 8)
	fill(m, r, "u", func(int) float64 { return 1 }, 8, 8, 3, 3)
	fill(m, r, "ub", func(int) float64 { return 1 }, 8)
	for _, s := range []string{"g", "b", "m", "s"} {
		fill(m, r, s+"2", func(int) float64 { return 1 }, 32)
	}
	for i, s := range []string{"1", "2"} { // the first has to hold before the second is measured
		gain := func(c int) float64 { return math.Exp2(float64((c+i)%5) - 2) }
		set := func(name string, f func(c int) float64) {
			x := make([]float32, 32)
			for c := range x {
				x[c] = float32(f(c))
			}
			m.Graph.SetConst(name+s, tensor.Float32s(x, 32))
		}
		set("g", gain)
		set("b", func(c int) float64 {
			if c%3 == 0 {
				return 9 * gain(c)
			}
			return 0.5 * gain(c)
		})
		set("m", func(int) float64 { return 0 })
		set("s", func(int) float64 { return 1 })
		mean, variance := momentsOf(t, m, []string{"a", "d"}[i], samples)
		set("m", func(c int) float64 { return mean[c] })
		set("s", func(c int) float64 { return variance[c] })
	}
	return m, samples
}

// momentsOf measures the channels of a value.
func momentsOf(t *testing.T, m *graph.Model, value string, samples []calib.Inputs) (mean, variance []float64) {
	t.Helper()
	s, err := engine.Compile(m, engine.Options{Threads: 1, Watch: []string{value}})
	if err != nil {
		t.Fatal(err)
	}
	mean, variance = make([]float64, 32), make([]float64, 32)
	n := 0.0
	for _, in := range samples {
		_, err := s.RunWatch(context.Background(), in(), func(name string, x *tensor.Tensor) {
			if name != value {
				return
			}
			inner := x.Len() / 32
			n += float64(inner)
			for i, v := range tensor.Of[float32](x) {
				mean[i/inner] += float64(v)
				variance[i/inner] += float64(v) * float64(v)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for c := range mean {
		mean[c] /= n
		variance[c] = variance[c]/n - mean[c]*mean[c]
	}
	return mean, variance
}

// TestDataFreeSteps mends the planted network step by step, by what BatchNormalization tells alone.
// Folding, equalization, absorption and bias correction each bring it nearer to the float one.
func TestDataFreeSteps(t *testing.T) {
	float, samples := plantNormalized(t)
	set := w8a8(t)
	set.Weights.Format, set.Weights.Block = format.Int8, format.Block{}
	set.Acts.Format = format.Uint16
	set.Leave = map[string]string{"y": "nothing is wrong with it"}
	m := pass.Clone(float)
	j := jobFor(t, m, set, samples[:12], samples[12:])
	quality := func() float64 {
		var err error
		if j.Facts, err = op.Infer(j.Net, nil); err != nil {
			t.Fatal(err)
		}
		j.Fit = samples[:12]
		j.calibrate(t)
		j.Fit = nil // the repairs see none
		return sqnr(t, float, j.quantized(t), samples[12:])
	}
	last := quality()
	step := func(name string, least float64, run func()) {
		run()
		db := quality()
		t.Logf("%s: %.1f → %.1f dB", name, last, db)
		if db < last+least {
			t.Errorf("%s: %.1f dB before, %.1f after", name, last, db)
		}
		last = db
	}
	repaired := func(r *Repair) {
		out, err := r.Run(context.Background(), j)
		if err != nil || len(out.Changes) == 0 {
			t.Fatalf("%s: %v %v", r.Name, out, err)
		}
	}
	step("fold", 1, func() {
		var err error
		if j.Norms, err = pass.PrepareNorms(j.Net); err != nil || len(j.Norms) != 2 {
			t.Fatal(j.Norms, err)
		}
	})
	step("equalize", 1, func() { repaired(Equalize) })
	if db := sqnr(t, float, j.Net, samples); db < 90 {
		t.Errorf("equalized, the float network changes by %.1f dB", db)
	}
	for i, name := range []string{"an", "dn"} { // what is known of the channels is still true
		mean, variance := momentsOf(t, j.Net, name, samples)
		for c, v := range j.Norms[name].Mean {
			if d := j.Norms[name].Dev[c]; math.Abs(v-mean[c]) > 0.02*d || math.Abs(d*d-variance[c]) > 0.02*d*d {
				t.Fatalf("norm %d, channel %d: N(%g, %g²) is known, N(%g, %g²) seen", i, c, v, d, mean[c], math.Sqrt(variance[c]))
			}
		}
	}
	step("absorb", 0.5, func() { repaired(Absorb) })
	if db := sqnr(t, float, j.Net, samples); db < 45 {
		t.Errorf("absorbed, the float network changes by %.1f dB", db)
	}
	step("analytic", 0.5, func() { repaired(Analytic) })
}

// TestAbsorbBelowAClamp moves what a channel exceeds where a bound above is out of its reach, and leaves
// those that meet the bound.
func TestAbsorbBelowAClamp(t *testing.T) {
	m := parse(t, header+`g (float[1,1,1,1] x) => (float[1,1,1,1] y) <float[2,1,1,1] w = {1, 1}, float[2] b = {3, 3}, float[1,2,1,1] v = {1, 2}, float[1] vb = {0}, float lo = {0}, float hi = {6}> {
  a = Conv (x, w, b)
  c = Clip (a, lo, hi)
  y = Conv (c, v, vb)
}`)
	j := jobFor(t, pass.Clone(m), w8a8(t), nil, nil)
	j.Norms = map[string]pass.Norm{"a": {Mean: []float64{3, 3}, Dev: []float64{0.5, 1.5}}}
	out, err := Absorb.Run(context.Background(), j)
	if err != nil || len(out.Changes) != 1 {
		t.Fatal(out, err)
	}
	if b, vb := floats(j.Net, "b"), floats(j.Net, "vb"); b[0] != 1.5 || b[1] != 3 || vb[0] != 1.5 {
		t.Errorf("biases %v and %v, want [1.5 3] and [1.5]", b, vb)
	}
	if got := j.Norms["a"].Mean; got[0] != 1.5 || got[1] != 3 {
		t.Errorf("means %v", got)
	}
}
