package repair

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// decoder is a layer of a language model in small: a table, attention with two heads, and a gated product, with
// normalizations in front of them.
const decoder = `<ir_version: 10, opset_import: ["": 23]>
g (float[6,6] p, int64[6] ids) => (float[6,10] y) <float[10,16] table, float[16] g1, float[16] b1, float[16] g2, float[16] b2, float[16] g3, float[16] b3,
  float[16,16] wv, float[16] bv, float[16,16] wo, float[16,24] wu, float[16,24] wg, float[24,16] wd, float[16] bd, float[16,10] head,
  float eps = {0.00001}, float two = {2}, int64[3] heads = {6, 2, 8}, int64[2] flat = {6, 16}, int64[1] rows = {-1}> {
  x1 = Gather (table, ids)
  NORM1
  v = MatMul (n1, wv)
  vb = Add (v, bv)
  vs = Reshape (vb, heads)
  vt = Transpose <perm = [1, 0, 2]> (vs)
  a = Softmax (p)
  m = MatMul (a, vt)
  mt = Transpose <perm = [1, 0, 2]> (m)
  mf = Reshape (mt, flat)
  o = MatMul (mf, wo)
  x2 = Add (x1, o)
  NORM2
  u = MatMul (n2, wu)
  w = MatMul (n2, wg)
  s = Sigmoid (w)
  us = Mul (u, s)
  d = Gemm (us, wd, bd)
  x3 = Add (d, x2)
  NORM3
  y = MatMul (n3, head)
}`

const rms = `qm# = ReduceMean <keepdims = 1> (q#, rows)
  qe# = Add (qm#, eps)
  qs# = Sqrt (qe#)
`

// normalizations are the ways to spell one; # stands for its number.
var normalizations = map[string]string{
	"root":          "q# = Pow (x#, two)\n" + rms + "qd# = Div (x#, qs#)\n n# = Mul (g#, qd#)",
	"product":       "q# = Mul (x#, x#)\n" + rms + "qd# = Div (x#, qs#)\n n# = Mul (qd#, g#)",
	"root operator": "n# = RMSNormalization <axis = -1> (x#, g#)",
	"mean operator": "n# = LayerNormalization <axis = -1> (x#, g#, b#)",
	"mean": "xm# = ReduceMean <keepdims = 1> (x#, rows)\n xd# = Sub (x#, xm#)\n q# = Pow (xd#, two)\n" + rms +
		"qd# = Div (xd#, qs#)\n qg# = Mul (qd#, g#)\n n# = Add (qg#, b#)",
}

// decoding is the decoder with one kind of normalization, and two channels of its residual stream that stand out.
func decoding(t *testing.T, norm string, edit ...string) (*graph.Model, []calib.Inputs) {
	text := strings.NewReplacer(edit...).Replace(decoder)
	for _, k := range []string{"1", "2", "3"} {
		text = strings.ReplaceAll(text, "NORM"+k, strings.ReplaceAll(normalizations[norm], "#", k))
	}
	m := parse(t, text)
	r := rand.New(rand.NewPCG(71, 72))
	put := func(name string, scale, mean, outlier float64, shape ...int) {
		fill(m, r, name, func(int) float64 { return scale }, shape...)
		x := floats(m, name)
		for i := range x {
			x[i] += float32(mean)
			if i%16 == 3 || i%16 == 12 {
				x[i] *= float32(outlier)
			}
		}
	}
	put("table", 1, 0, 40, 10, 16)
	for _, k := range []string{"1", "2", "3"} {
		put("g"+k, 0.2, 1, 1, 16)
		put("b"+k, 0.2, 0, 1, 16)
	}
	put("wv", 0.4, 0, 1, 16, 16)
	put("bv", 0.4, 0, 1, 16)
	put("wo", 0.4, 0, 1, 16, 16)
	put("wu", 0.4, 0, 1, 16, 24)
	put("wg", 0.4, 0, 1, 16, 24)
	put("wd", 0.4, 0, 40, 24, 16)
	put("bd", 0.4, 0, 40, 16)
	put("head", 0.4, 0, 1, 16, 10)
	for _, name := range []string{"wv", "wu", "wg", "head"} { // and that matter no more than others
		x := floats(m, name)
		for i := range x {
			if c := i / (len(x) / 16); c == 3 || c == 12 {
				x[i] /= 40
			}
		}
	}
	var samples []calib.Inputs
	for range 32 {
		ids := make([]int64, 6)
		for i := range ids {
			ids[i] = r.Int64N(10)
		}
		in := map[string]*tensor.Tensor{"p": tensor.Float32s(normals(r, 36, 1), 6, 6), "ids": tensor.Int64s(ids, 6)}
		samples = append(samples, func() map[string]*tensor.Tensor { return in })
	}
	return m, samples
}

// TestRotate turns the residual stream and what attention mixes, whatever the normalizations are: what the network
// computes stays, and it loses less when it is quantized.
func TestRotate(t *testing.T) {
	for norm := range normalizations {
		t.Run(norm, func(t *testing.T) {
			float, samples := decoding(t, norm)
			j := jobFor(t, pass.Clone(float), w8a8(t), samples[:16], samples[16:24])
			j.calibrate(t)
			before := sqnr(t, float, j.quantized(t), samples[24:])
			out, err := Rotate.Run(context.Background(), j)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Changes) != 2 || place(out.Changes, "v") != "turned in blocks of 8 channels between 3 constants, with the weights of 0 normalizations taken into them" {
				t.Errorf("changes %v %s", out.Changes, out.Note)
			}
			if what := place(out.Changes, "x1"); !strings.HasPrefix(what, "turned in blocks of 16 channels") || !strings.Contains(what, "of 3 normalizations") {
				t.Errorf("the residual stream: %s", what)
			}
			if db := sqnr(t, float, j.Net, samples); db < 110 {
				t.Errorf("the float network changes by %.1f dB", db)
			}
			if j.Facts, err = op.Infer(j.Net, nil); err != nil {
				t.Fatal(err)
			}
			j.calibrate(t)
			after := sqnr(t, float, j.quantized(t), samples[24:])
			t.Logf("%.1f → %.1f dB", before, after)
			least := 3.0
			if strings.HasPrefix(norm, "mean") { // a matrix of 16 that keeps the mean spreads less evenly
				least = 1.5
			}
			if after < before+least {
				t.Errorf("%.1f dB before, %.1f after", before, after)
			}
		})
	}
}

// TestRotateSome turns what is asked for alone.
func TestRotateSome(t *testing.T) {
	float, samples := decoding(t, "root")
	j := jobFor(t, pass.Clone(float), w8a8(t), nil, nil)
	out, err := Rotate.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	j = jobFor(t, pass.Clone(float), w8a8(t), nil, nil)
	some := out.Redo(j, func(place string) bool { return place == "v" })
	if len(some.Changes) != 1 || some.Changes[0].Place != "v" {
		t.Errorf("changes %v", some.Changes)
	}
	if len(j.Net.Graph.Nodes) != len(float.Graph.Nodes) {
		t.Error("normalizations were touched")
	}
	if db := sqnr(t, float, j.Net, samples); db < 110 {
		t.Errorf("the float network changes by %.1f dB", db)
	}
}

// TestRotateLeaves holds values still that something else reads, and constants that other nodes read as they are.
func TestRotateLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		edit []string
		left string // the place that may not be turned
	}{
		"a clamp in the stream":        {[]string{"x2 = Add (x1, o)", "xr = Relu (o)\n x2 = Add (x1, xr)"}, "x1"},
		"a normalized value in it":     {[]string{"x2 = Add (x1, o)", "x2 = Add (n1, o)"}, "x1"},
		"channels along another axis":  {[]string{"mt = Transpose <perm = [1, 0, 2]> (m)", "mt = Transpose <perm = [2, 0, 1]> (m)"}, "v"},
		"a product with a weight each": {[]string{"vb = Add (v, bv)", "vb = Mul (v, bv)"}, "v"},
		"an output":                    {[]string{"(float[6,10] y)", "(float[6,10] y, float[6,16] x2)"}, "x1"},
	} {
		float, samples := decoding(t, "root", c.edit...)
		j := jobFor(t, pass.Clone(float), w8a8(t), nil, nil)
		out, err := Rotate.Run(context.Background(), j)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, ch := range out.Changes {
			if ch.Place == c.left {
				t.Errorf("%s: %v", name, ch)
			}
		}
		if db := sqnr(t, float, j.Net, samples); db < 110 {
			t.Errorf("%s: the float network changes by %.1f dB", name, db)
		}
	}
	float, samples := decoding(t, "root operator", "w = MatMul (n2, wg)", "w = MatMul (n2, wu)")
	j := jobFor(t, pass.Clone(float), w8a8(t), nil, nil)
	if _, err := Rotate.Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	if db := sqnr(t, float, j.Net, samples); db < 110 {
		t.Errorf("with a matrix that two products read, the float network changes by %.1f dB", db)
	}
}

// TestRotateStories turns a Llama in small: every attention, and the residual stream from the table to the scores.
func TestRotateStories(t *testing.T) {
	f, err := onnx.Open(testdata.Dir(t, "models", "stories260K", "stories260K.onnx"), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pass.Prepare(f.Model); err != nil {
		t.Fatal(err)
	}
	j := jobFor(t, pass.Clone(f.Model), w8a8(t), nil, nil)
	out, err := Rotate.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	if what := place(out.Changes, "gather_11"); !strings.Contains(what, "blocks of 64") || !strings.Contains(what, "of 11 normalizations") || len(out.Changes) != 6 {
		t.Errorf("%d changes, the stream: %s", len(out.Changes), what)
	}
	ids := make([]int64, 32)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range ids {
		ids[i] = r.Int64N(512)
	}
	if db := sqnr(t, f.Model, j.Net, []calib.Inputs{given("input_ids", tensor.Int64s(ids, 1, 32))}); db < 100 {
		t.Errorf("the float network changes by %.1f dB", db)
	}
	if _, err := engine.Compile(j.Net, engine.Options{}); err != nil {
		t.Error(err)
	}
}
