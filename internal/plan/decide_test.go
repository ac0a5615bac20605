package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

func parse(t *testing.T, text string) *graph.Model {
	t.Helper()
	m, err := graph.ParseText("<ir_version: 8, opset_import: [\"\" : 17]>\n" + text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func settings(t *testing.T, scheme string) Settings {
	t.Helper()
	set, err := Default(scheme)
	if err != nil {
		t.Fatal(err)
	}
	set.Observer, set.Exact = calib.MinMax, false
	return set
}

func decide(t *testing.T, m *graph.Model, set Settings, unseen ...string) *Plan {
	t.Helper()
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := map[string]bool{}
	for _, name := range unseen {
		gone[name] = true
	}
	return Decide(m, facts, set, gone)
}

// summary lists a plan's nodes, quantized ones with a +, and why the others are not.
func summary(p *Plan) string {
	var b strings.Builder
	for _, n := range p.Nodes {
		if n.Quantized {
			fmt.Fprintf(&b, "+%s ", n.Name)
		} else {
			fmt.Fprintf(&b, "-%s(%s) ", n.Name, n.Reason)
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// lines lists a plan's values.
func lines(p *Plan) string {
	var b strings.Builder
	for _, v := range p.Values {
		fmt.Fprintf(&b, "%s:%s:%s:%s", v.As, v.Role, v.Format, v.Block)
		if v.Like != "" {
			fmt.Fprintf(&b, "=%s", v.Like)
		}
		b.WriteByte(' ')
	}
	return strings.TrimSuffix(b.String(), " ")
}

const weights22 = `float[2,2] w = {1, -2, 0.5, 0.25}, float[2,2,1,1] k = {1, -2, 0.5, 0.25}, float[2] b = {1, 2}`

// TestDecide shows for small networks which nodes and values a plan takes in.
func TestDecide(t *testing.T) {
	for _, c := range []struct{ name, text, nodes, values string }{
		{
			"residual",
			`g (float[1,2,4,4] x) => (float[1,2,4,4] y) <` + weights22 + `> {
				[c1] a = Conv (x, k, b)
				[r1] r = Relu (a)
				[c2] s = Conv (r, k)
				[add] d = Add (s, r)
				[r2] e = Relu (d)
				[c3] y = Conv (e, k)
			}`,
			"+c1 +r1 +c2 +add +r2 +c3",
			"x:activation:uint8:tensor k:weight:int8:channel b:bias:int32:channel r:activation:uint8:tensor s:activation:uint8:tensor e:activation:uint8:tensor y:activation:uint8:tensor",
		}, {
			"what follows the last product stays in float",
			`g (float[1,2,4,4] x) => (float[1,2,4,4] y) <` + weights22 + `> {
				[c1] a = Conv (x, k)
				[s] p = Sigmoid (a)
				[t] y = Transpose <perm = [0, 1, 3, 2]> (p)
			}`,
			`+c1 -s(Transpose "t", which reads it, stays in float) -t(its result leaves the network)`,
			"x:activation:uint8:tensor k:weight:int8:channel a:activation:uint8:tensor",
		}, {
			"detector heads: moves at the end stay in float, moves between products do not",
			`g (float[1,2,2,2] x) => (float[1,8] y, float[1,2,2,2] z) <` + weights22 + `, int64[2] s = {1, 8}> {
				[c1] a = Conv (x, k)
				[head] y = Reshape (a, s)
				[move] m = Transpose <perm = [0, 1, 3, 2]> (a)
				[c2] z = Conv (m, k)
			}`,
			`+c1 -head(its result leaves the network) +move +c2`,
			"x:activation:uint8:tensor k:weight:int8:channel a:activation:uint8:tensor m:activation:uint8:tensor=a z:activation:uint8:tensor",
		}, {
			"attention: products with weights in integers, what lies between in float",
			`g (float[2,2] x) => (float[2,2] y) <` + weights22 + `, float scale = {0.5}> {
				[q] q = MatMul (x, w)
				[k] kk = MatMul (x, w)
				[t] kt = Transpose (kk)
				[qk] s = MatMul (q, kt)
				[div] d = Div (s, scale)
				[soft] p = Softmax (d)
				[v] v = MatMul (x, w)
				[pv] y = MatMul (p, v)
			}`,
			`+q +k -t(MatMul "qk", which reads it, stays in float) -qk(target ort-cpu computes products of two values that flow in float) -soft(target ort-cpu computes it in float) +v -pv(target ort-cpu computes products of two values that flow in float)`,
			"x:activation:uint8:tensor w:weight:int8:channel",
		}, {
			"a clamp whose input two nodes read is not absorbed",
			`g (float[1,2,2,2] x) => (float[1,2,2,2] y, float[1,2,2,2] z) <` + weights22 + `> {
				[c1] a = Conv (x, k)
				[r1] r = Relu (a)
				[c2] y = Conv (r, k)
				[c3] z = Conv (a, k)
			}`,
			`+c1 +r1 +c2 +c3`,
			"x:activation:uint8:tensor k:weight:int8:channel a:activation:uint8:tensor r:activation:uint8:tensor y:activation:uint8:tensor z:activation:uint8:tensor",
		}, {
			"types, infinities, empty and NaN constants",
			`g (double[2,2] d, float[2,2] x, float[2,0] e) => (double[2,2] y, float[2,2] z, float[2,2] u, float[2,2] o) <double[2,2] dw = {1, 2, 3, 4}, float[2,2] iw = {1, 2, inf, 3}, float[0,2] ew = {}, float[2,2] nw = {nan, 1, 2, 3}> {
				[d] y = MatMul (d, dw)
				[i] z = MatMul (x, iw)
				[e] u = MatMul (e, ew)
				[n] o = MatMul (x, nw)
			}`,
			`-d(input "d" is double[2,2], not float) -i(constant "iw" holds infinite values or NaN) -e(constant "ew" is empty) -n(constant "nw" holds infinite values or NaN)`,
			"",
		}, {
			"pads with a value and cubic interpolation may leave the range of their input",
			`g (float[1,2,2,2] x) => (float[1,2,3,3] y, float[1,2,3,3] z, float[1,2,4,4] u) <` + weights22 + `, int64[8] pads = {0,0,1,1,0,0,0,0}, float v = {-100}, float zero = {0}, float[4] s = {1,1,2,2}> {
				[c1] a = Conv (x, k)
				[p1] p = Pad (a, pads, v)
				[c2] y = Conv (p, k)
				[p2] q = Pad (a, pads, zero)
				[c3] z = Conv (q, k)
				[r] r = Resize <mode = "cubic"> (a, "", s)
				[c4] u = Conv (r, k)
			}`,
			`+c1 -p1(it pads with -100) +c2 +p2 +c3 -r(cubic interpolation leaves the range of its input) +c4`,
			"x:activation:uint8:tensor k:weight:int8:channel a:activation:uint8:tensor p:activation:uint8:tensor y:activation:uint8:tensor q:activation:uint8:tensor=a z:activation:uint8:tensor r:activation:uint8:tensor u:activation:uint8:tensor",
		}, {
			"an average over padding and beyond it",
			`g (float[1,2,4,4] x) => (float[1,2,3,3] y, float[1,2,3,3] z) <` + weights22 + `> {
				[c1] a = Conv (x, k)
				[p1] p = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1, count_include_pad = 1> (a)
				[c2] y = Conv (p, k)
				[p2] q = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1> (a)
				[c3] z = Conv (q, k)
			}`,
			`+c1 -p1(it counts padding, and ceil_mode looks beyond it) +c2 +p2 +c3`,
			"x:activation:uint8:tensor k:weight:int8:channel a:activation:uint8:tensor p:activation:uint8:tensor y:activation:uint8:tensor q:activation:uint8:tensor z:activation:uint8:tensor",
		}, {
			"a stack of matrices has one scale",
			`g (float[2,2,2] x) => (float[2,2,2] y) <float[2,2,2] m = {1, 2, 3, 4, 5, 6, 7, 8}> {
				[a] y = MatMul (x, m)
			}`,
			`+a`,
			"x:activation:uint8:tensor m:weight:int8:tensor",
		}, {
			"a bias that is no vector, or not finite, stays in float",
			`g (float[2,2] x) => (float[2,2] y, float[2,2] z) <` + weights22 + `, float[2,2] c = {1, 2, 3, 4}, float[2] ib = {inf, 1}> {
				[a] t = Gemm (x, w, c)
				[b] u = Gemm (t, w, ib)
				[c] y = MatMul (u, w)
				[d] z = Gemm <beta = 0.5> (t, w, b)
			}`,
			`+a +b +c +d`,
			"x:activation:uint8:tensor w:weight:int8:channel t:activation:uint8:tensor u:activation:uint8:tensor",
		}, {
			"what is added to the channels of a product is its bias, whether the sum flows in float",
			`g (float[2,2] x) => (float[2,2] y) <` + weights22 + `> {
				[a] t = MatMul (x, w)
				[add] u = Add (b, t)
				[act] y = Tanh (u)
			}`,
			`+a -add(Tanh "act", which reads it, stays in float) -act(target ort-cpu computes it in float)`,
			"x:activation:uint8:tensor w:weight:int8:channel b:bias:int32:channel",
		}, {
			"or in codes, which the product then does not make",
			`g (float[2,2] x) => (float[2,2] y) <` + weights22 + `> {
				[a] t = MatMul (x, w)
				[add] u = Add (t, b)
				[act] v = Relu (u)
				[c] y = MatMul (v, w)
			}`,
			`+a +add +act +c`,
			"x:activation:uint8:tensor w:weight:int8:channel v:activation:uint8:tensor b:bias:int32:channel",
		}, {
			"a product with another reader, and a sum of other shape, have none",
			`g (float[2,2] x) => (float[2,2] y, float[2,2] z) <` + weights22 + `, float[1] e = {1}> {
				[a] t = MatMul (x, w)
				[add] u = Add (t, b)
				[b] v = MatMul (u, w)
				[add1] z = Add (v, e)
				[c] r = MatMul (t, w)
				[both] y = Add (r, z)
			}`,
			`+a +add +b -add1(its result leaves the network) +c -both(its result leaves the network)`,
			"x:activation:uint8:tensor w:weight:int8:channel t:activation:uint8:tensor b:constant:uint8:tensor u:activation:uint8:tensor",
		}, {
			"one bias of two products, and values that have the names it would get",
			`g (float[2,2] x, float[2,2] b_2) => (float[2,2] y, float[2,2] z, float[2,2] u) <` + weights22 + `> {
				[a] t = Gemm (x, w, b)
				[b] y = Gemm (t, w, b)
				[c] z = MatMul (t, w)
				[d] u = MatMul (b_2, w)
			}`,
			`+a +b +c +d`,
			"x:activation:uint8:tensor w:weight:int8:channel b:bias:int32:channel t:activation:uint8:tensor b_3:bias:int32:channel b_2:activation:uint8:tensor",
		},
	} {
		p := decide(t, parse(t, c.text), settings(t, "W8A8"))
		if got := summary(p); got != c.nodes {
			t.Errorf("%s: nodes\n%s\nwant\n%s", c.name, got, c.nodes)
		}
		if got := lines(p); got != c.values {
			t.Errorf("%s: values\n%s\nwant\n%s", c.name, got, c.values)
		}
	}
}

// TestDecideTable stores the tables that rows are looked up in, in every mode, unless they are small, kept in float or read as floats too.
func TestDecideTable(t *testing.T) {
	network := func(rows int, more string) *graph.Model {
		m := parse(t, fmt.Sprintf(`g (int64[N] i) => (float[N,64] y) <float[%d,64] e, float[64,64] w> {
			[look] x = Gather (e, i)
			[a] z = MatMul (x, w)
			%s
		}`, rows, more))
		m.Graph.SetConst("e", tensor.New(tensor.Float32, rows, 64))
		m.Graph.SetConst("w", tensor.New(tensor.Float32, 64, 64))
		return m
	}
	keep, err := ParsePattern("look")
	if err != nil {
		t.Fatal(err)
	}
	const plain = "[b] y = Identity (z)"
	for _, c := range []struct {
		name string
		m    *graph.Model
		set  func(s *Settings)
		want bool
	}{
		{"static", network(512, plain), func(*Settings) {}, true},
		{"dynamic", network(512, plain), func(s *Settings) { s.Mode = Dynamic }, true},
		{"weights of four bits", network(512, plain), func(s *Settings) { s.Mode, s.Weights.Format = Weights, format.Int4 }, true},
		{"8-bit floats", network(512, plain), func(s *Settings) { s.Weights.Format = format.Lookup("fp8-e4m3") }, false},
		{"small", network(511, plain), func(*Settings) {}, false},
		{"kept", network(512, plain), func(s *Settings) { s.Keep = []Pattern{keep} }, false},
		{"left", network(512, plain), func(s *Settings) { s.Leave = map[string]string{"look": "why not"} }, false},
		{"read as floats", network(512, "s = ReduceSum <keepdims = 0> (e)\n[b] y = Add (z, s)"), func(*Settings) {}, false},
		{"multiplied in codes too", network(512, "[q] q = MatMul (e, w)\nk = Gather (q, i)\n[b] y = Add (z, k)"), func(*Settings) {}, true},
	} {
		set := settings(t, "W8A8")
		c.set(&set)
		p := decide(t, c.m, set)
		v := p.Value("e")
		if got := v != nil && v.Role == RoleWeight && v.Format == "int8" && v.Block.String() == "channel" && v.Block.Axis == 0; got != c.want {
			t.Errorf("%s: %s, %s", c.name, lines(p), summary(p))
		}
	}
}

// TestDecideCoarseBias leaves a bias in float where sums are in no whole steps, or one product of codes is as large as it: rounded to such steps it
// would be lost, and sums that are ties would come out in every runtime as its rounding has it.
func TestDecideCoarseBias(t *testing.T) {
	for _, c := range []struct {
		weights, acts *format.Format
		want          bool
	}{
		{format.Int8, format.Uint8, true}, {format.Binary, format.Uint8, true}, {format.Binary, format.Binary, false}, {format.Int2, format.Binary, false},
		{format.Lookup("fp8-e4m3"), format.Lookup("fp8-e4m3"), false},
	} {
		set := settings(t, "W8A8")
		set.Weights.Format, set.Acts.Format = c.weights, c.acts
		p := decide(t, parse(t, `g (float[2,2] x) => (float[2,2] y) <`+weights22+`> {
			[a] y = Gemm (x, w, b)
		}`), set)
		if got := p.Value("b") != nil; got != c.want {
			t.Errorf("%s by %s: %s", c.weights.Name, c.acts.Name, lines(p))
		}
		p = decide(t, parse(t, `g (float[2,2] x) => (float[2,2] y) <`+weights22+`> {
			[a] t = MatMul (x, w)
			[b] s = Add (b, t)
			[c] y = MatMul (s, w)
		}`), set) // an Add behind a product likewise, and nothing between the two is rounded
		if got := p.Value("b") != nil; got != c.want || p.Value("t") != nil || p.Value("s") == nil {
			t.Errorf("%s by %s: %s", c.weights.Name, c.acts.Name, lines(p))
		}
	}
}

// TestDecideCodes shows what operators on codes change: products write codes, and multiply two values that flow.
func TestDecideCodes(t *testing.T) {
	set := settings(t, "W8A8")
	set.Codes = true
	p := decide(t, parse(t, `g (float[2,2] x) => (float[2,2] y) <`+weights22+`> {
		[q] q = MatMul (x, w)
		[t] r = Transpose (q)
		[p] y = MatMul (q, r)
	}`), set)
	if got := summary(p); got != "+q +t +p" {
		t.Error(got)
	}
	if got, want := lines(p), "x:activation:uint8:tensor w:weight:int8:channel q:activation:uint8:tensor r:activation:uint8:tensor=q y:activation:uint8:tensor"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

const chain = `g (float[2,2] x) => (float[2,2] y) <` + weights22 + `> {
	[a] t = Gemm (x, w, b)
	[move] u = Transpose (t)
	[b] y = MatMul (u, w)
}`

func TestDecideSettings(t *testing.T) {
	keep, err := ParsePattern("b")
	if err != nil {
		t.Fatal(err)
	}
	m := parse(t, chain)
	set := settings(t, "W8A8")
	set.Keep = []Pattern{keep}
	if got := summary(decide(t, m, set)); got != `+a -move(MatMul "b", which reads it, stays in float) -b(kept in float by "b")` {
		t.Errorf("kept: %s", got)
	}
	set = settings(t, "W8A8")
	set.Mode = Weights
	p := decide(t, m, set)
	if got := summary(p) + lines(p); got != "+a -move(only constant weights are quantized in this mode) +bw:weight:int8:channel" {
		t.Errorf("weights: %s", got)
	}
	set = settings(t, "W8A8")
	set.Overrides = []Override{{Match: keep, Weights: &Scheme{Format: set.Weights.Format}}}
	if got := lines(decide(t, m, set)); !strings.Contains(got, "w:weight:int8:channel") || !strings.Contains(got, "w_2:weight:int8:tensor") {
		t.Errorf("override: %s", got)
	}
	if got := lines(decide(t, m, settings(t, "W8A16"))); !strings.Contains(got, "x:activation:uint16:tensor w:weight:int8:channel b:bias:int32:channel") {
		t.Errorf("16 bits: %s", got)
	}
	if got := summary(decide(t, m, settings(t, "W8A8"), "t")); !strings.HasPrefix(got, "-a(calibration never reached it)") {
		t.Errorf("unseen: %s", got)
	}
	if got := summary(decide(t, m, settings(t, "float"))); strings.Contains(got, "+") || !strings.Contains(got, "its scheme is float") {
		t.Errorf("float: %s", got)
	}
	if got := decide(t, m, settings(t, "float")).Obstacles(); !strings.HasSuffix(got, ": its scheme is float") {
		t.Errorf("obstacles: %s", got)
	}
}

// seen returns statistics of values with these extremes.
func seen(lo, hi float32) *calib.Stats {
	s := calib.NewStats(true)
	s.Add(kernel.Generic, []float32{lo, hi})
	return s
}

func TestFit(t *testing.T) {
	m := parse(t, chain)
	set := settings(t, "W8A8")
	p := decide(t, m, set)
	stats := map[string]*calib.Stats{"x": seen(-1, 1), "t": seen(0, 2.55)}
	if got := strings.Join(p.Observed(), " "); got != "x t" {
		t.Errorf("observed: %s", got)
	}
	for _, threads := range []int{1, 4} {
		p = decide(t, m, set)
		var told atomic.Int64
		if err := p.FitTold(m, stats, set, threads, func(done, total int) {
			if done > total {
				t.Errorf("%d of %d", done, total)
			}
			told.Add(1 << 32 / int64(total))
		}); err != nil {
			t.Fatal(err)
		}
		if n := told.Load(); n < 1<<32-100 || n > 1<<32 {
			t.Errorf("%.3f of the work was told of", float64(n)/(1<<32))
		}
		if u := p.Value("u"); len(u.Params) != 1 || u.Params[0] != p.Value("t").Params[0] || u.Params[0].Scale != float32(2.55)/255 {
			t.Errorf("u follows t: %v and %v", u.Params, p.Value("t").Params)
		}
		w, b, x := p.Value("w"), p.Value("b"), p.Value("x")
		for i := range 2 {
			if want := float32(float64(x.Params[0].Scale) * float64(w.Params[i].Scale)); b.Params[i].Scale != want || b.Params[i].Zero != 0 {
				t.Errorf("bias %d: %v, want %v", i, b.Params[i], want)
			}
		}
		if w.Params[0].Scale != float32(1.0/127) || w.Params[1].Scale != float32(2.0/127) || w.SQNR < 40 || w.SQNR > 60 {
			t.Errorf("weight: %v, %v dB", w.Params, w.SQNR)
		}
		if !strings.Contains(x.Reason, "minmax over 1 samples saw [-1, 1]") {
			t.Errorf("reason: %s", x.Reason)
		}
		if err := p.Check(m); err != nil {
			t.Error(err)
		}
	}
	delete(stats, "t")
	if err := decide(t, m, set).Fit(m, stats, set, 1); err == nil || !strings.Contains(err.Error(), `value "t": calibration never reached it`) {
		t.Errorf("a value that nobody saw: %v", err)
	}
}

// TestFitLikeChains follows parameters through several moves.
func TestFitLikeChains(t *testing.T) {
	m := parse(t, `g (float[1,2,2,2] x) => (float[1,2,2,2] y) <`+weights22+`> {
		[c1] a = Conv (x, k)
		[p1] p = MaxPool <kernel_shape = [1, 1]> (a)
		[p2] q = Transpose (p)
		[p3] r = Transpose (q)
		[c2] y = Conv (r, k)
	}`)
	set := settings(t, "W8A8")
	p := decide(t, m, set)
	if err := p.Fit(m, map[string]*calib.Stats{"x": seen(-1, 1), "a": seen(-3, 5), "y": seen(0, 1)}, set, 2); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p", "q", "r"} {
		if p.Value(name).Params[0] != p.Value("a").Params[0] {
			t.Errorf("%s: %v, want %v", name, p.Value(name).Params, p.Value("a").Params)
		}
	}
	p.Value("q").Like = "gone"
	if err := p.Fit(m, nil, set, 1); err == nil || !strings.Contains(err.Error(), "which the plan lacks") {
		t.Errorf("a chain that ends nowhere: %v", err)
	}
}

// TestFitBias raises the scale of a weight whose bias would not fit, also where two biases share it.
func TestFitBias(t *testing.T) {
	m := parse(t, `g (float[2,2] x) => (float[2,2] y, float[2,2] z, float[2,2] u) <float[2,2] w = {1e-6, 1, 1e-6, 1}, float[2] b = {100, 1}, float[2] c = {5000, 1}, float[2,2] tiny = {1e-38, 1e-38, 1, 1}, float[2] d = {0, 0}> {
		[a] y = Gemm (x, w, b)
		[b] z = Gemm (x, w, c)
		[c] t = Gemm <transB = 1> (x, tiny, d)
		[e] u = MatMul (t, w)
	}`)
	set := settings(t, "W8A8")
	p := decide(t, m, set)
	if err := p.Fit(m, map[string]*calib.Stats{"x": seen(0, 1), "t": seen(0, 1), "u": seen(0, 1)}, set, 1); err != nil {
		t.Fatal(err)
	}
	w := p.Value("w")
	for _, name := range []string{"b", "c"} {
		v := p.Value(name)
		for i, s := range v.Params {
			want := float32(float64(p.Value("x").Params[0].Scale) * float64(w.Params[i].Scale))
			if s.Scale != want {
				t.Errorf("%s[%d]: scale %v, want %v", name, i, s.Scale, want)
			}
		}
	}
	if q := 5000 / float64(p.Value("c").Params[0].Scale); q > math.MaxInt32 || q < 0.99*math.MaxInt32 {
		t.Errorf("the bias becomes %v", q)
	}
	if w.Params[1].Scale != float32(1.0/127) {
		t.Errorf("the other channel changed to %v", w.Params[1].Scale)
	}
	if !strings.Contains(w.Reason, `raised so that bias "c" fits 32 bits`) {
		t.Errorf("reason: %s", w.Reason)
	}
	for i, s := range p.Value("d").Params {
		if s.Scale < 0x1p-126 {
			t.Errorf("scale %d of a bias of tiny weights is %v", i, s.Scale)
		}
	}
}

// TestFitMasks holds that a mask behind a product stays in float where it would raise the one scale of all weights, and raises that of
// its own channel.
func TestFitMasks(t *testing.T) {
	for block, stored := range map[format.BlockKind]bool{format.Whole: false, format.Channel: true} {
		m := parse(t, `g (float[2,2] x) => (float[2,2] y, float[2,2] z) <float[2,2] w = {0.5, 1, -1, 0.25}, float[2] b = {-1e9, 0.5}, float[2] c = {1, 0.5}> {
			[a] t = MatMul (x, w)
			[masked] y = Add (b, t)
			[k] u = MatMul (x, w)
			[plain] z = Add (u, c)
		}`)
		set := settings(t, "W8A8")
		set.Weights.Block = format.Block{Kind: block}
		p := decide(t, m, set)
		if err := p.Fit(m, map[string]*calib.Stats{"x": seen(0, 1), "t": seen(0, 1), "u": seen(0, 1)}, set, 1); err != nil {
			t.Fatal(err)
		}
		for _, n := range p.Nodes {
			if want := map[string]string{"masked": "b", "plain": "c"}[n.Name]; n.Op == "Add" && slices.Contains(n.Inputs, want) != (stored || want == "c") {
				t.Errorf("%v: %s reads %q", block, n.Name, n.Inputs)
			}
		}
		scales := p.Value("w").Params
		if (p.Value("b") != nil) != stored || scales[len(scales)-1].Scale != float32(1.0/127) {
			t.Errorf("%v: bias %v, scales %v", block, p.Value("b"), scales)
		}
	}
}

// TestBiasOfEmptyChannels keeps what the biases of channels say whose weights are nothing, or next to it: it is all that
// comes out of them.
func TestBiasOfEmptyChannels(t *testing.T) {
	m := parse(t, `g (float[2,2] x) => (float[2,3] y) <float[2,3] w = {0.5, 0, 1e-41, 1, 0, 1e-41}, float[3] b = {0.02, 0.0131, -0.0077}> {
		[a] y = Gemm (x, w, b)
	}`)
	set := settings(t, "W8A8")
	p := decide(t, m, set)
	if err := p.Fit(m, map[string]*calib.Stats{"x": seen(-1, 1), "y": seen(-1, 1)}, set, 1); err != nil {
		t.Fatal(err)
	}
	for i, v := range []float64{0.02, 0.0131, -0.0077} {
		if got := format.Int32.Nearest(v, p.Value("b").Params[i]); math.Abs(got-v) > 1e-4 {
			t.Errorf("bias %v becomes %v", v, got)
		}
	}
}

// TestLongSums leaves products in float whose sums may leave 32 bits, unless they are asked for: 70,000 weights
// of one size are all the largest code, those of many sizes are not.
func TestLongSums(t *testing.T) {
	m := parse(t, `g (float[1,70000] x) => (float[1,2] y) {
  [a] h = MatMul (x, w)
  [b] y = MatMul (h, v)
}`)
	m.Graph.SetConst("v", tensor.Float32s([]float32{1, 2, 3, 4}, 2, 2))
	for _, c := range []struct {
		name string
		of   func(i int) float32
		left bool
	}{{"equal", func(int) float32 { return 1 }, true}, {"unlike", func(i int) float32 { return float32(i%100) - 50 }, false}} {
		x := make([]float32, 140000)
		for i := range x {
			x[i] = c.of(i / 2)
		}
		m.Graph.SetConst("w", tensor.Float32s(x, 70000, 2))
		for _, mode := range []Mode{Static, Dynamic} {
			set := settings(t, "W8A8")
			set.Mode = mode
			a := decide(t, m, set).Nodes[0]
			if a.Quantized == c.left || strings.Contains(a.Reason, "32 bits hold 2147483647") != c.left {
				t.Errorf("%s, %s: quantized %v, %s", c.name, mode, a.Quantized, a.Reason)
			}
			match, err := ParsePattern("a")
			if err != nil {
				t.Fatal(err)
			}
			set.Overrides = []Override{{Match: match, Weights: &set.Weights}}
			if a = decide(t, m, set).Nodes[0]; !a.Quantized {
				t.Errorf("%s, %s, asked for: %s", c.name, mode, a.Reason)
			}
		}
		set := settings(t, "W8A8")
		set.Mode = Weights
		if a := decide(t, m, set).Nodes[0]; !a.Quantized {
			t.Errorf("%s, with activations in float: %s", c.name, a.Reason)
		}
	}
}

// TestWeightBlocks holds scales of weights to the axes of the results, and groups to those that are summed over.
func TestWeightBlocks(t *testing.T) {
	for _, c := range []struct {
		text    string
		shapes  map[string][]int
		channel map[string]int
		summed  map[string]int
	}{
		{"g (float[4,8] x) => (float[4,6] y) <float[8,6] w> { y = MatMul (x, w) }", map[string][]int{"w": {8, 6}}, map[string]int{"w": 1}, map[string]int{"w": 0}},
		{"g (float[8,4] x) => (float[2,6,4] y) <float[2,6,8] w> { y = MatMul (w, x) }", map[string][]int{"w": {2, 6, 8}}, map[string]int{"w": 1}, map[string]int{"w": 2}},
		{"g (float[8,4] x) => (float[6,4] y) <float[8,6] w> { y = Gemm <transA = 1> (w, x) }", map[string][]int{"w": {8, 6}}, map[string]int{"w": 1}, map[string]int{"w": 0}},
		{"g (float[4,8] x) => (float[6,4] y) <float[6,8] w> { y = Gemm <transB = 1> (w, x) }", map[string][]int{"w": {6, 8}}, map[string]int{"w": 0}, map[string]int{"w": 1}},
		{"g (float[1,4,8] x) => (float[1,6,8] y) <float[4,6,1] w> { y = ConvTranspose (x, w) }", map[string][]int{"w": {4, 6, 1}}, map[string]int{"w": 1}, map[string]int{"w": 0}},
		{"g (float[3,1,8] x) => (float[3,1,1,4] y) <float[1,16,8] w, float[1,16,4] r> { y = LSTM <hidden_size = 4> (x, w, r) }",
			map[string][]int{"w": {1, 16, 8}, "r": {1, 16, 4}}, map[string]int{"w": 1, "r": 1}, map[string]int{"w": 2, "r": 2}},
	} {
		m := parse(t, c.text)
		for name, shape := range c.shapes {
			m.Graph.SetConst(name, tensor.New(tensor.Float32, shape...))
		}
		set := settings(t, "W8A8")
		set.Mode = Weights
		for kind, want := range map[format.BlockKind]map[string]int{format.Channel: c.channel, format.Group: c.summed} {
			set.Weights.Block = format.Block{Kind: kind, Size: 2}
			for _, v := range decide(t, m, set).Values {
				if v.Block.Kind != kind || v.Block.Axis != want[v.Name] {
					t.Errorf("%s: %s by %v along axis %d, want %d", c.text, v.Name, v.Block, v.Block.Axis, want[v.Name])
				}
				delete(want, v.Name)
			}
			if len(want) > 0 {
				t.Errorf("%s: no line of %v", c.text, want)
			}
		}
	}
}
