package doctor

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// A sketch is a network of two convolutions, and the numbers by which it is quantized.
type sketch struct {
	w, b      []float32 // of the first convolution (8,4,1,1), and its bias
	sw        []float32 // scales of w: one, or one for each channel
	bias      []int32   // codes of b; nil: what b needs
	x, h      float32   // scales of the input and of what the clamp leaves
	lo        uint8     // code that stands for zero in the input
	late      bool      // h is quantized in front of the clamp
	cut       bool      // in front of the clamp, rows are cut off whose number follows from the values there
	turned    bool      // the network changes the layout of what it is fed
	loud      bool      // a layer that stays in float makes most of the result
	shrunk    float32   // by what the file's scales of w are smaller than sw; 0: one
	absorbed  bool      // h is int8, and its codes end at zero in place of the clamp
	zero      int8      // that stands for zero in those
	readLo    uint8     // code by which those of the input are read as zero; 0: lo
	floor     float32   // what every other number of the samples is; 0: none
	samplesBy float32
	positive  bool // no number of the samples is below zero
	faint     bool // half of the samples are next to nothing
}

func draw(seed uint64, n int, by float64) []float32 {
	r, x := rand.New(rand.NewPCG(seed, 1)), make([]float32, n)
	for i := range x {
		x[i] = float32(by * r.NormFloat64())
	}
	return x
}

// plain is a sketch that is quantized well.
func plain() *sketch {
	s := &sketch{w: draw(1, 32, 1), b: draw(2, 8, 1), x: 8.0 / 255, lo: 128, h: 12.0 / 255, samplesBy: 1}
	for c := range 8 {
		most := 0.0
		for _, v := range s.w[4*c : 4*c+4] {
			most = max(most, math.Abs(float64(v)))
		}
		s.sw = append(s.sw, float32(most/127))
	}
	return s
}

const sketchFloat = `<ir_version: 8, opset_import: ["" : 17]>
g (float[1,4,8,8] x) => (float[1,3,8,8] y) {
  [a] ca = Conv (x, wa, ba)
  [r] ha = Relu (ca)
  [c] y = Conv (ha, wc)
}`

// The site of ha stands behind its clamp, or in front of it.
var sketchQuantized = map[bool]string{
	false: `  [a] ca = Conv (xd, wd, bd)
  [r] ha = Relu (ca)
  hq = QuantizeLinear (ha, sh, zh)
  hd = DequantizeLinear (hq, sh, zh)
  [c] y = Conv (hd, wcd)
}`,
	true: `  [a] ca = Conv (xd, wd, bd)
  hq = QuantizeLinear (ca, sh, zh)
  hr = DequantizeLinear (hq, sh, zh)
  [r] hd = Relu (hr)
  [c] y = Conv (hd, wcd)
}`,
}

var cutting = strings.NewReplacer("float[1,3,8,8] y) {", "float[1,3,N,8] y) <float loud = {1000}, float five = {5}, int64[1] zero = {0}, int64[1] three = {3}, int64[1] last = {2}> {",
	"  [r]", `  sum = ReduceSum <keepdims = 0> (ca)
  far = Mul (sum, loud)
  size = Abs (far)
  rest = Mod <fmod = 1> (size, five)
  whole = Cast <to = 7> (rest)
  length = Add (whole, three)
  cut = Slice (ca, zero, length, last)
  [r]`, "Relu (ca)", "Relu (cut)")

var louder = strings.NewReplacer("[c] y", "[c] quiet", "\n}", "\n  strong = Conv (x, wl)\n  y = Add (quiet, strong)\n}")

// absorbing lets the codes of ha do the work of the clamp.
var absorbing = strings.NewReplacer("  [r] ha = Relu (ca)\n", "", "Linear (ha", "Linear (ca")

var turning = strings.NewReplacer("y) {\n", "y) {\n  xt = Transpose <perm = [0, 1, 3, 2]> (x)\n", "(x, ", "(xt, ")

// models builds the float network of a sketch and the quantized one.
func (s *sketch) models(t *testing.T) (float, quantized *graph.Model) {
	t.Helper()
	read := func(text string) *graph.Model {
		if s.cut {
			text = cutting.Replace(text)
		}
		if s.turned {
			text = turning.Replace(text)
		}
		if s.loud {
			text = louder.Replace(text)
		}
		m, err := graph.ParseText(text)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	float = read(sketchFloat)
	wc := draw(3, 24, 1)
	float.Graph.SetConst("wa", tensor.Float32s(s.w, 8, 4, 1, 1))
	float.Graph.SetConst("ba", tensor.Float32s(s.b, 8))
	float.Graph.SetConst("wc", tensor.Float32s(wc, 3, 8, 1, 1))
	float.Graph.SetConst("wl", tensor.Float32s(draw(4, 12, 60), 3, 4, 1, 1))
	along := ""
	if len(s.sw) > 1 {
		along = "<axis = 0> "
	}
	second := sketchQuantized[s.late]
	if s.absorbed {
		second = absorbing.Replace(second)
	}
	quantized = read(`<ir_version: 8, opset_import: ["" : 17]>
g (float[1,4,8,8] x) => (float[1,3,8,8] y) {
  xq = QuantizeLinear (x, sx, zx)
  xd = DequantizeLinear (xq, sx, zr)
  wd = DequantizeLinear ` + along + `(wa_q, sw)
  bd = DequantizeLinear ` + along + `(ba_q, sb)
  wcd = DequantizeLinear (wc_q, swc)
` + second)
	set := quantized.Graph.SetConst
	codes, sums, sb := make([]int8, 32), s.bias, make([]float32, len(s.sw))
	for i, v := range s.w {
		codes[i] = int8(max(-127, min(127, math.RoundToEven(float64(v/s.sw[i/4%len(s.sw)])))))
	}
	for i := range sb {
		sb[i] = s.x * s.sw[i]
	}
	for c := 0; c < 8 && s.bias == nil; c++ {
		sums = append(sums, int32(max(-math.MaxInt32, min(math.MaxInt32, math.RoundToEven(float64(s.b[c])/float64(sb[c%len(sb)]))))))
	}
	other := make([]int8, 24)
	for i, v := range wc {
		other[i] = int8(math.RoundToEven(float64(v) * 32))
	}
	scales := []int{len(s.sw)}
	if len(s.sw) == 1 {
		scales = nil
	}
	set("wa_q", tensor.Wrap(tensor.Int8, codes, 8, 4, 1, 1))
	scaleAll(s.sw, 1/cmp.Or(s.shrunk, 1))
	set("sw", tensor.Float32s(s.sw, scales...))
	set("ba_q", tensor.Wrap(tensor.Int32, sums, 8))
	set("sb", tensor.Float32s(sb, scales...))
	set("wc_q", tensor.Wrap(tensor.Int8, other, 3, 8, 1, 1))
	set("swc", tensor.Scalar(float32(1.0/32)))
	set("sx", tensor.Scalar(s.x))
	set("zx", tensor.Wrap(tensor.Uint8, []uint8{s.lo}))
	set("zr", tensor.Wrap(tensor.Uint8, []uint8{cmp.Or(s.readLo, s.lo)}))
	set("wl", float.Graph.ConstTensor("wl"))
	set("sh", tensor.Scalar(s.h))
	zero := uint8(0)
	if s.late {
		zero = 128
	}
	set("zh", tensor.Wrap(tensor.Uint8, []uint8{zero}))
	if s.absorbed {
		set("zh", tensor.Wrap(tensor.Int8, []int8{s.zero}))
	}
	return float, quantized
}

// job gathers what an examination of two networks needs.
func job(t *testing.T, float, quantized *graph.Model) *Job {
	t.Helper()
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	return &Job{Float: float, Quantized: quantized, Level: level, Threads: 2, Progress: func(string, int, int) {}, Compile: func(m *graph.Model, watch []string) (calib.Runner, error) {
		return engine.Compile(m, engine.Options{Threads: 1, Watch: watch})
	}}
}

// see adds a sample of the input x.
func (j *Job) see(x []float32, shape ...int) {
	in := map[string]*tensor.Tensor{"x": tensor.Float32s(x, shape...)}
	j.Samples = append(j.Samples, func() map[string]*tensor.Tensor { return in })
}

// job gathers what an examination of a sketch needs.
func (s *sketch) job(t *testing.T) *Job {
	t.Helper()
	j := job(t, nil, nil)
	j.Float, j.Quantized = s.models(t)
	for i := range uint64(8) {
		by := s.samplesBy
		if s.faint && i%2 == 0 {
			by *= 1e-4
		}
		x := draw(100+i, 256, float64(by))
		for k := range x {
			x[k] = max(-3.5*s.samplesBy, min(3.5*s.samplesBy, x[k]))
			if s.floor != 0 && k%2 == 0 {
				x[k] = s.floor
			}
			if s.positive {
				x[k] = max(x[k], -x[k])
			}
		}
		j.see(x, 1, 4, 8, 8)
	}
	return j
}

// examined lets the doctor look at what a job holds.
func (j *Job) examined(t *testing.T) *Diagnosis {
	t.Helper()
	d, err := Examine(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// examine lets the doctor look at a sketch.
func (s *sketch) examine(t *testing.T) *Diagnosis {
	t.Helper()
	return s.job(t).examined(t)
}

// TestRows plants the fault of one row after the other in a small network.
func TestRows(t *testing.T) {
	for name, c := range map[string]struct {
		cause, at string
		plant     func(s *sketch)
	}{
		"healthy":    {"", "", func(*sketch) {}},
		"outlier":    {"range outlier", "a", func(s *sketch) { s.h *= 20 }},
		"degenerate": {"constant/degenerate scale", "a", func(s *sketch) { s.h *= 1e-4 }},
		"faint": {"constant/degenerate scale", "a", func(s *sketch) { // though the codes of some samples are spread
			s.b, s.faint, s.h = make([]float32, 8), true, s.h*2e-4
		}},
		"mismatch": {"calibration mismatch", "a", func(s *sketch) { s.samplesBy = 8; s.h *= 8 }},
		"layout":   {"calibration mismatch", "xt", func(s *sketch) { s.turned, s.x = true, s.x*255; s.h *= 255 }},
		"coarse":   {"activation bits", "a", func(s *sketch) { s.h /= 3.5 }},
		"rounding": {"rounding below bits", "a", func(s *sketch) { scaleAll(s.sw, 60) }},
		"bias":     {"mean shift", "a", func(s *sketch) { s.bias = []int32{900, -800, 3000, 200, 900, -1500, 3000, -200} }},
		"biasOfCoarse": {"mean shift", "a", func(s *sketch) {
			scaleAll(s.sw, float32(30))
			s.bias = []int32{90, -80, 300, 20, 90, -150, 300, -20}
		}},
		"floor":        {"range outlier", "a", func(s *sketch) { s.floor = -129 * s.x; s.h *= 20 }}, // a step beyond the codes
		"pixels":       {"calibration mismatch", "a", func(s *sketch) { s.x, s.lo = 1, 0 }},
		"unit":         {"calibration mismatch", "a", func(s *sketch) { s.positive, s.x, s.lo = true, 1, 0 }}, // all inside of the codes
		"wide":         {"range outlier", "a", func(s *sketch) { s.positive, s.x, s.lo = true, 1.1, 0 }},      // but not of pixels
		"apart":        {"constant/degenerate scale", "a", func(s *sketch) { s.readLo = 96 }},
		"single":       {"rounding below bits", "a", func(s *sketch) { scaleAll(s.sw, 14) }},
		"loud":         {"rounding below bits", "a", func(s *sketch) { s.loud, s.shrunk = true, 3 }},
		"absorbed":     {"constant/degenerate scale", "a", func(s *sketch) { s.absorbed, s.zero = true, -128; s.h *= 1e-4 }},
		"unclamped":    {"unsupported or unfused placement", "a", func(s *sketch) { s.absorbed, s.zero = true, -60 }},
		"placement":    {"unsupported or unfused placement", "a", func(s *sketch) { s.late, s.h = true, 24.0/255 }},
		"biasOverflow": {"bias overflow", "a", func(s *sketch) { scaleAll(s.w[8:12], 1e-10); s.sw[2], s.b[2] = 1e-12, 5 }},
		"spread": {"dead or collapsed channel spread", "a", func(s *sketch) {
			scaleAll(s.w[8:12], 100)
			s.b[2], s.sw = -2000, []float32{100 * s.sw[2]} // the channel never passes the clamp
		}},
	} {
		s := plain()
		c.plant(s)
		d := s.examine(t)
		if c.cause == "" {
			if !d.Healthy || len(d.Causes) > 0 || d.SQNR < 25 {
				t.Errorf("%s: %+v at %.1f dB", name, d.Causes, d.SQNR)
			}
			continue
		}
		if d.Healthy || len(d.Causes) == 0 || d.Causes[0].Cause != c.cause || d.Causes[0].Name != c.at {
			t.Errorf("%s: %+v at %.1f dB", name, d.Causes, d.SQNR)
		} else if d.Fixed == nil || d.Fixed.SQNR < 30 {
			t.Errorf("%s: %.1f dB, mended %+v; %q", name, d.SQNR, d.Fixed, d.Warnings)
		}

	}
}

// TestSizesApart examines a network whose outputs are longer or shorter than in float for most samples, and says so.
func TestSizesApart(t *testing.T) {
	s := plain()
	s.cut = true
	if d := s.examine(t); len(d.Warnings) == 0 || !strings.Contains(d.Warnings[0], "outputs over 8 samples have other sizes") {
		t.Errorf("%.1f dB, warnings %q", d.SQNR, d.Warnings)
	}
}

func scaleAll(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

// TestOverIsDynamicQuantizeLinear holds that a dynamic site is read as the operator is defined.
func TestOverIsDynamicQuantizeLinear(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]> g (float[6] x) => (uint8[6] q, float s, uint8 z) { q, s, z = DynamicQuantizeLinear (x) }`)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []float64{1, 1e-3, 1e4} {
		x := draw(uint64(by*1e3), 6, by)
		out, err := op.Run(m, map[string]*tensor.Tensor{"x": tensor.Float32s(x, 6)}, op.Options{Context: context.Background()})
		if err != nil {
			t.Fatal(err)
		}
		p := ranged(x)
		if s, z := tensor.Of[float32](out["s"])[0], tensor.Of[uint8](out["z"])[0]; math.Abs(float64(s/p.Scale-1)) > 1e-6 || int32(z) != p.Zero {
			t.Errorf("scale %v and zero %d, not %+v", s, z, p)
		}
	}
}

// TestBuildShields leaves a layer between codes in float, and in the file that is written too.
func TestBuildShields(t *testing.T) {
	n, err := newNet(plain().models(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range n.nodes {
		if u.name != "a" {
			continue
		}
		m, err := n.build(off(u.weights, u.bias))
		if err != nil {
			t.Fatal(err)
		}
		if names := pass.FloatBetween(m); names != nil {
			t.Errorf("%v would be stored in int8", names)
		}
		if !slices.ContainsFunc(m.Graph.Nodes, func(n *graph.Node) bool { return n.Op == "Clip" }) {
			t.Error("nothing stands in front of the layer")
		}
		return
	}
	t.Fatal("no layer a")
}

// TestStatedFactors examines a network whose normalization has other constants than in float, which its weights undo:
// as it should be, and with weights that are not its own.
func TestStatedFactors(t *testing.T) {
	for _, by := range []struct{ norm, add string }{
		{"h = LayerNormalization (x, g, b)", ""},
		{"s = Mul (x, g)", "h = Add (s, b)"},
	} {
		for _, wrong := range []bool{false, true} {
			read := func(product string) *graph.Model {
				m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]> g (float[4,16] x) => (float[4,8] y) {
				[n] ` + by.norm + "\n" + by.add + "\n" + product + "\n}")
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			j := job(t, read("[m] y = MatMul (h, w)"), read(`wd = DequantizeLinear <axis = 1> (wq, ws)
				[m] y = MatMul (h, wd)`))
			g, b, w := draw(1, 16, 1), draw(2, 16, 1), draw(3, 128, 1)
			j.Float.Graph.SetConst("g", tensor.Float32s(slices.Clone(g), 16))
			j.Float.Graph.SetConst("b", tensor.Float32s(slices.Clone(b), 16))
			j.Float.Graph.SetConst("w", tensor.Float32s(slices.Clone(w), 16, 8))
			codes, scales := make([]int8, 128), make([]float32, 8)
			for k := range g {
				f := float32(1 + k%5)
				g[k], b[k] = g[k]/f, b[k]/f
				scaleAll(w[8*k:8*k+8], f)
			}
			for i, v := range w {
				scales[i%8] = max(scales[i%8], float32(math.Abs(float64(v)))/127)
			}
			for i, v := range w {
				codes[i] = int8(math.RoundToEven(float64(v / scales[i%8])))
			}
			if wrong {
				codes = append(codes[8:], codes[:8]...)
			}
			set := j.Quantized.Graph.SetConst
			set("g", tensor.Float32s(g, 16))
			set("b", tensor.Float32s(b, 16))
			set("wq", tensor.Wrap(tensor.Int8, codes, 16, 8))
			set("ws", tensor.Float32s(scales, 8))
			for i := range uint64(4) {
				j.see(draw(10+i, 64, 1), 4, 16)
			}
			d := j.examined(t)
			if len(d.Warnings) > 0 || d.Healthy == wrong {
				t.Errorf("%s: healthy %v, wrong %v; %q", by.norm, d.Healthy, wrong, d.Warnings)
			}
			if wrong && (d.Fixed == nil || d.Fixed.SQNR < 30 || d.Causes[0].Cause != "rounding below bits") {
				t.Errorf("%s: %+v, mended %+v", by.norm, d.Causes, d.Fixed)
			}
		}
	}
}
