package doctor

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

const productsFloat = `<ir_version: 8, opset_import: ["" : 17]>
g (float[2,6,16] x) => (float[2,6,8] y) {
  [m1] p = MatMul (x, w1)
  [a1] s = Add (p, b1)
  [r1] r = Relu (s)
  [m2] t = MatMul (r, w2)
  [a2] y = Add (b2, t)
}`

const productsQuantized = `<ir_version: 8, opset_import: ["" : 17]>
g (float[2,6,16] x) => (float[2,6,8] y) {
  xq = QuantizeLinear (x, sx, zx)
  xd = DequantizeLinear (xq, sx, zx)
  w1d = DequantizeLinear <axis = 1> (w1_q, w1_s)
  b1d = DequantizeLinear <axis = 0> (b1_q, b1_s)
  w2d = DequantizeLinear <axis = 1> (w2_q, w2_s)
  b2d = DequantizeLinear <axis = 0> (b2_q, b2_s)
  [m1] p = MatMul (xd, w1d)
  [a1] s = Add (p, b1d)
  [r1] r = Relu (s)
  rq = QuantizeLinear (r, sr, zr)
  rd = DequantizeLinear (rq, sr, zr)
  [m2] t = MatMul (rd, w2d)
  [a2] y = Add (b2d, t)
}`

// early quantizes in front of the Relu.
var early = strings.NewReplacer("  [r1] r = Relu (s)\n  rq = QuantizeLinear (r, sr, zr)\n  rd =", "  rq = QuantizeLinear (s, sr, zx)\n  [rr] rs =", "(rq, sr, zr)", "(rq, sr, zx)\n  [r1] rd = Relu (rs)")

// fused is the first layer as ONNX Runtime's optimizer writes it: the codes do the work of the Relu, too.
var fused = strings.NewReplacer("  [m1] p = MatMul (xd, w1d)\n  [a1] s = Add (p, b1d)\n  [r1] r = Relu (s)\n",
	"  xr = Reshape (xd, flat)\n  [m1_fusion] p = Gemm (xr, w1d, b1d)\n  r = Reshape (p, back)\n")

// products are two products of matrices behind which Adds do the work of biases, in float and quantized as text says.
func products(t *testing.T, text string, edit func(float *graph.Graph)) (float, quantized *graph.Model) {
	t.Helper()
	var err error
	if float, err = graph.ParseText(productsFloat); err == nil {
		quantized, err = graph.ParseText(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, q := float.Graph, quantized.Graph
	f.SetConst("w1", tensor.Float32s(draw(1, 16*32, 0.25), 16, 32))
	f.SetConst("b1", tensor.Float32s(draw(2, 32, 1), 32))
	f.SetConst("w2", tensor.Float32s(draw(3, 32*8, 0.2), 32, 8))
	f.SetConst("b2", tensor.Float32s(draw(4, 8, 1), 8))
	edit(f)
	q.SetConst("flat", tensor.Wrap(tensor.Int64, []int64{12, 16}, 2))
	q.SetConst("back", tensor.Wrap(tensor.Int64, []int64{2, 6, 32}, 3))
	q.SetConst("sx", tensor.Scalar(float32(8.0/255)))
	q.SetConst("zx", tensor.Wrap(tensor.Uint8, []uint8{128}))
	q.SetConst("sr", tensor.Scalar(float32(6.0/255)))
	q.SetConst("zr", tensor.Wrap(tensor.Uint8, []uint8{0}))
	for _, layer := range [][3]string{{"w1", "b1", "sx"}, {"w2", "b2", "sr"}} {
		encodeProduct(f, q, layer[0], layer[1], tensor.Of[float32](q.ConstTensor(layer[2]))[0])
	}
	return float, quantized
}

// encodeProduct stores a weight with a scale for each column, by its largest element, and the bias at the sums' scale.
func encodeProduct(f, q *graph.Graph, w, b string, input float32) {
	t := f.ConstTensor(w)
	x, cols := tensor.Of[float32](t), t.Shape[1]
	codes, scale, sums, steps := make([]int8, len(x)), make([]float32, cols), make([]int32, cols), make([]float32, cols)
	for i, v := range x {
		scale[i%cols] = max(scale[i%cols], v/127, -v/127)
	}
	for i, v := range x {
		codes[i] = int8(math.RoundToEven(float64(v / scale[i%cols])))
	}
	for c, v := range tensor.Of[float32](f.ConstTensor(b)) {
		steps[c] = input * scale[c]
		sums[c] = int32(max(-math.MaxInt32, min(math.MaxInt32, math.RoundToEven(float64(v)/float64(steps[c])))))
	}
	q.SetConst(w+"_q", tensor.Wrap(tensor.Int8, codes, t.Shape...))
	q.SetConst(w+"_s", tensor.Float32s(scale, cols))
	q.SetConst(b+"_q", tensor.Wrap(tensor.Int32, sums, cols))
	q.SetConst(b+"_s", tensor.Float32s(steps, cols))
}

// seen gives a job samples of two products.
func (j *Job) seen() *Job {
	for i := range uint64(8) {
		x := draw(100+i, 2*6*16, 1)
		for k := range x {
			x[k] = max(-3.9, min(3.9, x[k]))
		}
		j.see(x, 2, 6, 16)
	}
	return j
}

// TestProductsWithBiases plants faults in layers whose biases Adds behind them hold: the layer is named, and in the file that is mended
// each bias is stored at the product of the scales in front of it, as runtimes take it to be that make one operator of the two.
func TestProductsWithBiases(t *testing.T) {
	none := func(*graph.Graph) {}
	set := func(g *graph.Graph, name string, change func(v float32, i int) float32) {
		c := g.ConstTensor(name).Clone()
		switch c.DType {
		case tensor.Float32:
			for i, v := range tensor.Of[float32](c) {
				tensor.Of[float32](c)[i] = change(v, i)
			}
		case tensor.Int8:
			for i, v := range tensor.Of[int8](c) {
				tensor.Of[int8](c)[i] = int8(change(float32(v), i))
			}
		case tensor.Int32:
			for i, v := range tensor.Of[int32](c) {
				tensor.Of[int32](c)[i] = int32(change(float32(v), i))
			}
		}
		g.SetConst(name, c)
	}
	times := func(by float32) func(v float32, _ int) float32 {
		return func(v float32, _ int) float32 { return v * by }
	}
	wider := func(q *graph.Graph, by float32) {
		set(q, "sr", times(by))
		set(q, "b2_s", times(by))
		set(q, "b2_q", times(1/by))
	}
	for name, c := range map[string]struct {
		cause, at string
		text      string
		float     func(g *graph.Graph)
		plant     func(q *graph.Graph)
	}{
		"healthy":    {"", "", productsQuantized, none, none},
		"bias":       {"mean shift", "m1", productsQuantized, none, func(q *graph.Graph) { set(q, "b1_q", times(3)) }},
		"fused":      {"mean shift", "m1", fused.Replace(productsQuantized), none, func(q *graph.Graph) { set(q, "b1_q", times(3)) }},
		"bias scale": {"mean shift", "m2", productsQuantized, none, func(q *graph.Graph) { set(q, "b2_s", times(4)) }},
		"rounding": {"rounding below bits", "m1", productsQuantized, none, func(q *graph.Graph) {
			set(q, "w1_q", func(v float32, _ int) float32 { return 64 * float32(math.RoundToEven(float64(v/64))) })
		}},
		"range":     {"range outlier", "a1", productsQuantized, none, func(q *graph.Graph) { wider(q, 40) }},
		"placement": {"unsupported or unfused placement", "a1", early.Replace(productsQuantized), none, func(q *graph.Graph) { wider(q, 7) }},
		"overflow": {"bias overflow", "m1", productsQuantized, func(f *graph.Graph) {
			set(f, "w1", func(v float32, i int) float32 {
				if i%32 == 2 {
					return v * 1e-10
				}
				return v
			})
			set(f, "b1", func(v float32, i int) float32 {
				if i == 2 {
					return 30
				}
				return v
			})
		}, none},
	} {
		t.Run(name, func(t *testing.T) {
			float, quantized := products(t, c.text, c.float)
			c.plant(quantized.Graph)
			d := job(t, float, quantized).seen().examined(t)
			if c.cause == "" {
				if !d.Healthy || len(d.Causes) > 0 || len(d.Layers) != 2 || d.Layers[0].Result != "s" {
					t.Errorf("%+v", d)
				}
				return
			}
			if d.Healthy || len(d.Causes) == 0 || d.Causes[0].Cause != c.cause || d.Causes[0].Name != c.at || d.Fixed == nil || d.Fixed.SQNR < 35 || len(d.Warnings) > 0 {
				t.Fatalf("%+v", d)
			}
			checkSteps(t, d.Fixed.Model)
		})
	}
}

// checkSteps holds that each bias behind a product of codes is stored at the product of their scales.
func checkSteps(t *testing.T, m *graph.Model) {
	t.Helper()
	x := m.Graph.Index()
	scale := func(name string) []float32 { return tensor.Of[float32](m.Graph.ConstTensor(x.Producer(name).In[1])) }
	for _, n := range m.Graph.Nodes {
		if n.Op != "Add" {
			continue
		}
		i := slices.IndexFunc(n.In, func(name string) bool { p := x.Producer(name); return p != nil && p.Op == "MatMul" })
		p, b := x.Producer(n.In[i]), n.In[1-i]
		if x.Producer(b) == nil {
			continue // in float
		}
		in, w := scale(p.In[0])[0], scale(p.In[1])
		for c, s := range scale(b) {
			if s != in*w[c] {
				t.Fatalf("bias of %s: step %d is %g, not %g", p.Name, c, s, in*w[c])
			}
		}
	}
}

// TestProductsWithMovedBiases holds that a bias in float that a repair moved behind weights of few bits is known to be moved.
func TestProductsWithMovedBiases(t *testing.T) {
	text := strings.NewReplacer("  xq = QuantizeLinear (x, sx, zx)\n  xd = DequantizeLinear (xq, sx, zx)\n", "", "(xd, ", "(x, ", "  b1d = DequantizeLinear <axis = 0> (b1_q, b1_s)\n", "", "(p, b1d)", "(p, b1)").Replace(productsQuantized)
	float, quantized := products(t, text, func(*graph.Graph) {})
	b := float.Graph.ConstTensor("b1")
	moved := b.Clone()
	tensor.Of[float32](moved)[3]++
	quantized.Graph.SetConst("b1", moved)
	n, err := newNet(float, quantized)
	if err != nil {
		t.Fatal(err)
	}
	u := n.layers()[0]
	if u.unmoved == nil || !slices.Equal(tensor.Of[float32](u.unmoved), tensor.Of[float32](b)) {
		t.Fatalf("%v", u.unmoved)
	}
	m, err := n.build(off(u.weights))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range m.Graph.Nodes {
		if k.Name == "a1" && !slices.Equal(tensor.Of[float32](m.Graph.ConstTensor(k.In[1])), tensor.Of[float32](b)) {
			t.Error("with weights in float the bias is still moved")
		}
	}
}

// TestBodiesAreNotExamined holds that what is quantized in a branch alone is said to be there.
func TestBodiesAreNotExamined(t *testing.T) {
	const text = `<ir_version: 8, opset_import: ["" : 17]>
g (float[2,6,16] x, bool c) => (float[2,6,32] y) {
  [if] y = If (c) <then_branch = t () => (float[2,6,32] a) { w = WEIGHT [mm] a = MatMul (x, w) }, else_branch = e () => (float[2,6,32] b) { [me] b = MatMul (x, w1) }>
}`
	const codes = "DequantizeLinear <axis = 1> (w1_q, w1_s)"
	for _, float := range []bool{true, false} {
		read := func(weight string) *graph.Model {
			m, err := graph.ParseText(strings.Replace(text, "WEIGHT", weight, 1))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		f, q := read("Identity (w1)"), read(codes)
		if float {
			q = read("Identity (w1)")
		}
		for _, g := range []*graph.Graph{f.Graph, q.Graph} {
			g.SetConst("w1", tensor.Float32s(draw(1, 16*32, 0.25), 16, 32))
			g.SetConst("b1", tensor.Float32s(draw(2, 32, 1), 32))
		}
		encodeProduct(f.Graph, q.Graph, "w1", "b1", 1)
		j := job(t, f, q).seen()
		see := j.Samples[0]
		j.Samples = []calib.Inputs{func() map[string]*tensor.Tensor {
			in := see()
			in["c"] = tensor.Wrap(tensor.Bool, []bool{true})
			return in
		}}
		if _, err := Examine(context.Background(), j); err == nil || strings.Contains(err.Error(), `If "if"`) == float {
			t.Errorf("%v", err)
		}
	}
}
