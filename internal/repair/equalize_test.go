package repair

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// block is an inverted bottleneck: (8) → 32 → depthwise → 8 channels, clamped at 6.
const block = header + `g (float[1,8,12,12] x) => (float[1,8,12,12] y) <float[32,8,1,1] w, float[32] wb, float lo = {0}, float hi = {6}, float[32,1,3,3] dw, float[32] db, float[8,32,1,1] v, float[8] vb> {
  a = Conv (x, w, wb)
  ac = Clip (a, lo, hi)
  d = Conv <group = 32, pads = [1, 1, 1, 1]> (ac, dw, db)
  dc = Clip (d, lo, hi)
  y = Conv (dc, v, vb)
}`

// plantedBlock has channels of very different size in front of the depthwise weights, which make up for it.
func plantedBlock(t *testing.T) *graph.Model {
	m := parse(t, block)
	r := rand.New(rand.NewPCG(5, 6))
	gain := func(c int) float64 { return math.Exp2(-float64(c % 7)) }
	fill(m, r, "w", gain, 32, 8, 1, 1)
	fill(m, r, "wb", gain, 32)
	fill(m, r, "dw", func(c int) float64 { return 0.3 / gain(c) }, 32, 1, 3, 3)
	fill(m, r, "db", func(int) float64 { return 0.5 }, 32)
	fill(m, r, "v", func(int) float64 { return 0.3 }, 8, 32, 1, 1)
	fill(m, r, "vb", func(int) float64 { return 0.3 }, 8)
	return m
}

func TestEqualizeStretchesChannels(t *testing.T) {
	float := plantedBlock(t)
	samples := images(rand.New(rand.NewPCG(7, 8)), float, 24)
	j := jobFor(t, pass.Clone(float), w8a8(t), samples[:12], samples[12:18])
	j.calibrate(t)
	before := sqnr(t, float, j.quantized(t), samples[18:])
	out, err := Equalize.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	if what := place(out.Changes, "a"); !strings.HasPrefix(what, "2") && !strings.HasPrefix(what, "3") {
		t.Errorf("in front of the depthwise weights: %s", what)
	}
	if what := place(out.Changes, "d"); !strings.HasPrefix(what, "no change") {
		t.Errorf("in front of dense weights: %s", what)
	}
	if db := sqnr(t, float, j.Net, samples); db < 60 {
		t.Errorf("the float network changes by %.1f dB", db)
	}
	j.calibrate(t)
	if after := sqnr(t, float, j.quantized(t), samples[18:]); after < before+6 {
		t.Errorf("%.1f dB before, %.1f after", before, after)
	}
}

// TestEqualizeBalancesWeights plants weights that one step cannot hold.
func TestEqualizeBalancesWeights(t *testing.T) {
	float := parse(t, strings.NewReplacer("ac = Clip (a, lo, hi)", "ac = Relu (a)", "dc = Clip (d, lo, hi)", "dc = Relu (d)", "float lo = {0}, float hi = {6}, ", "").Replace(block))
	r := rand.New(rand.NewPCG(9, 10))
	gain := func(c int) float64 { return math.Exp2(float64(c % 9)) }
	fill(float, r, "w", gain, 32, 8, 1, 1)
	fill(float, r, "wb", gain, 32)
	fill(float, r, "dw", func(c int) float64 { return 1 / gain(c) }, 32, 1, 3, 3)
	fill(float, r, "db", func(c int) float64 { return 1 }, 32)
	fill(float, r, "v", func(int) float64 { return 1 }, 8, 32, 1, 1)
	fill(float, r, "vb", func(int) float64 { return 1 }, 8)
	samples := images(r, float, 16)
	set := w8a8(t)
	set.Weights.Block = format.Block{}
	for _, data := range []bool{false, true} {
		j := jobFor(t, pass.Clone(float), set, samples[:8], samples[8:])
		j.calibrate(t)
		before := sqnr(t, float, j.quantized(t), samples[8:])
		if !data {
			j.Fit = nil
		}
		out, err := Equalize.Run(context.Background(), j)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Changes) != 2 {
			t.Errorf("changes: %v", out.Changes)
		}
		if db := sqnr(t, float, j.Net, samples); db < 100 {
			t.Errorf("the float network changes by %.1f dB", db)
		}
		j.Fit = samples[:8]
		j.calibrate(t)
		if after := sqnr(t, float, j.quantized(t), samples[8:]); after < before+10 {
			t.Errorf("%.1f dB before, %.1f after", before, after)
		}
	}
}

// TestBalanceMeetsTheCubeRoot checks the balanced ranges of a depthwise triplet: all three become
// the cube root of their product (Nagel et al. 2019, appendix A).
func TestBalanceMeetsTheCubeRoot(t *testing.T) {
	m := parse(t, header+`g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[1,1,1,1] w = {8}, float[1,1,3,3] dw = {0, 0, 0, 0, 0.5, 0, 0, 0, 0}, float[1,1,1,1] v = {2}> {
  a = Conv (x, w)
  d = Conv <group = 1, pads = [1, 1, 1, 1]> (a, dw)
  y = Conv (d, v)
}`)
	j := jobFor(t, m, w8a8(t), nil, nil)
	if _, err := Equalize.Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"w", "dw", "v"} {
		_, hi := format.Block{}.Ranges(floats(m, name), m.Graph.ConstTensor(name).Shape)
		if math.Abs(float64(hi[0])-2) > 0.01 {
			t.Errorf("%s reaches %g, want 2", name, hi[0])
		}
	}
}

func TestEqualizeLeavesWhatCannotGain(t *testing.T) {
	m := parse(t, header+`g (float[1,2,4,4] x) => (float[1,2,4,4] y) <float[2,2,1,1] w = {1, 2, 3, 4}> {
  y = Conv (x, w)
}`)
	out, err := Equalize.Run(context.Background(), jobFor(t, m, w8a8(t), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Changes) != 0 || out.Note == "" {
		t.Errorf("%d changes, note %q", len(out.Changes), out.Note)
	}
}

// TestBalanceBelowAClamp scales channels down that stay far below their clamp, for which it is a ReLU, and no
// channel that comes near it.
func TestBalanceBelowAClamp(t *testing.T) {
	m := parse(t, header+`g (float[1,2,1,1] x) => (float[1,1,1,1] y) <float[2,2,1,1] w = {8, 0, 0, 8}, float[1,2,1,1] v = {0.5, 0.5}, float lo = {0}, float hi = {6}> {
  a = Conv (x, w)
  c = Clip (a, lo, hi)
  y = Conv (c, v)
}`)
	sample := func(x ...float32) calib.Inputs { return given("x", tensor.Float32s(x, 1, 2, 1, 1)) }
	set := w8a8(t)
	set.Weights.Block = format.Block{}
	samples := []calib.Inputs{sample(0.3, 0.6), sample(0.1, -1)} // 8·0.3 = 2.4, 8·0.6 = 4.8
	j := jobFor(t, pass.Clone(m), set, samples, nil)
	if _, err := Equalize.Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	w := floats(j.Net, "w")
	if math.Abs(float64(w[0])-2) > 0.01 || w[3] != 8 {
		t.Errorf("weights of 8 become %g below the clamp and %g near it, want 2 and 8", w[0], w[3])
	}
	if db := sqnr(t, m, j.Net, append(samples, sample(-0.2, 3))); db < 100 {
		t.Errorf("the network changes by %.1f dB", db)
	}
}
