package lowbit

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/demo"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/tensor"
)

// letters draws images for the demo's network, every pixel p as gain·p + shift.
func letters(seed uint64, n int, gain, shift float32) *dataset.Source {
	images, labels := demo.Images(seed, n)
	x := tensor.Of[float32](images)
	for i := range x {
		x[i] = x[i]*gain + shift
	}
	size := len(x) / n
	return dataset.New(dataset.Info{Form: "glyphs", Path: "glyphs", Total: n, Labelled: true}, func(i int) (*dataset.Sample, error) {
		t := tensor.Float32s(x[i*size:(i+1)*size], 1, 1, demo.Side, demo.Side)
		return &dataset.Sample{Name: fmt.Sprint(i), Inputs: map[string]*Tensor{demo.Input: t}, Label: labels[i]}, nil
	})
}

// normal makes samples of the one input of a network.
func normal(seed uint64, m *Model, n int) *dataset.Source {
	v := m.graph.Graph.Required()[0]
	shape, _ := v.Type.Static()
	return dataset.New(dataset.Info{Form: "normal", Path: "normal", Total: n}, func(i int) (*dataset.Sample, error) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		return &dataset.Sample{Name: fmt.Sprint(i), Inputs: map[string]*Tensor{v.Name: tensor.Float32s(gauss(r, tensor.Elements(shape), 1), shape...)}}, nil
	})
}

func gauss(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(scale * r.NormFloat64())
	}
	return x
}

// A sick is a float model, a quantized one with one planted fault, and samples to tell them apart by.
type sick struct {
	float, quantized *Model
	data             *dataset.Source
}

func quantizeFor(t *testing.T, m *Model, data *dataset.Source, scheme string, edit func(o *quantize.Options)) *Result {
	t.Helper()
	r, err := quantizedAs(m, data, scheme, edit)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// quantizedAs quantizes a model without repairs, unless edit asks for some.
func quantizedAs(m *Model, data *dataset.Source, scheme string, edit func(o *quantize.Options)) (*Result, error) {
	set, err := plan.Default(scheme)
	if err != nil {
		return nil, err
	}
	o := quantize.Options{Settings: set, Data: data, Fix: []string{"none"}}
	if edit != nil {
		edit(&o)
	}
	return QuantizeBy(context.Background(), m, o)
}

// replanned quantizes by a plan that was changed.
func replanned(t *testing.T, m *Model, data *dataset.Source, style string, edit func(p *plan.Plan)) *Model {
	t.Helper()
	return byPlan(t, m, data, style, quantizeFor(t, m, data, "W8A8", nil).Plan, edit)
}

// byPlan quantizes by a plan after a change to it.
func byPlan(t *testing.T, m *Model, data *dataset.Source, style string, p *plan.Plan, edit func(p *plan.Plan)) *Model {
	t.Helper()
	edit(p)
	return quantizeFor(t, m, data, "W8A8", func(o *quantize.Options) { o.Plan, o.Style = p, style }).Model
}

// written finds the activation that a node writes.
func writtenBy(t *testing.T, p *plan.Plan, node string) *plan.Value {
	t.Helper()
	for _, v := range p.Values {
		if v.Role == plan.RoleActivation && strings.Contains(v.Reason, "written by") && strings.Contains(v.Reason, `"`+node+`"`) {
			return v
		}
	}
	t.Fatalf("no value is written by %q", node)
	return nil
}

func demoModel(t *testing.T) *Model {
	t.Helper()
	m, err := Decode(demo.Model())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// textModel reads a network in ONNX's textual syntax.
func textModel(t *testing.T, text string) *Model {
	t.Helper()
	g, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return FromGraph(g, "text")
}

func override(t *testing.T, o *quantize.Options, match string, weights, acts *plan.Scheme) {
	t.Helper()
	p, err := plan.ParsePattern(match)
	if err != nil {
		t.Fatal(err)
	}
	o.Settings.Overrides = append(o.Settings.Overrides, plan.Override{Match: p, Weights: weights, Acts: acts})
}

// plants are faults, each under the name of its cause, and the node that the doctor has to name.
var plants = []struct {
	cause, node string
	make        func(t *testing.T) sick
}{
	{"range outlier", "block3.point", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, replanned(t, m, letters(1, 40, 1, 0), "qdq", func(p *plan.Plan) {
			v := writtenBy(t, p, "block3.point")
			v.Params = []format.Params{{Scale: v.Params[0].Scale * 24, Zero: v.Params[0].Zero}}
		}), letters(2, 40, 1, 0)}
	}},
	{"rounding below bits", "block2.point", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", func(o *quantize.Options) {
			override(t, o, "block2.point", &plan.Scheme{Format: format.Int2, Block: format.Block{Kind: format.Channel}}, nil)
		}).Model, letters(2, 40, 1, 0)}
	}},
	{"calibration mismatch", "stem", func(t *testing.T) sick {
		m := demoModel(t) // calibrated on pixels from 0 to 255
		return sick{m, quantizeFor(t, m, letters(1, 40, 127.5, 127.5), "W8A8", nil).Model, letters(2, 40, 1, 0)}
	}},
	{"constant/degenerate scale", "block4.depth", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, replanned(t, m, letters(1, 40, 1, 0), "qoperator", func(p *plan.Plan) {
			v := writtenBy(t, p, "block4.depth")
			v.Params = []format.Params{{Scale: v.Params[0].Scale * 1e-4, Zero: v.Params[0].Zero}}
		}), letters(2, 40, 1, 0)}
	}},
	{"activation bits", "block3.depth", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", func(o *quantize.Options) {
			override(t, o, "block3.depth", nil, &plan.Scheme{Format: format.Uint2})
		}).Model, letters(2, 40, 1, 0)}
	}},
	{"mean shift", "block5.point", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, shiftBias(t, quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", nil).Model, "block5.point", 1.5), letters(2, 40, 1, 0)}
	}},
	{"dead or collapsed channel spread", "a", func(t *testing.T) sick {
		m := unlikeChannels(t)
		return sick{m, quantizeFor(t, m, normal(1, m, 40), "W8A8", func(o *quantize.Options) { o.Settings.Weights.Block = format.Block{} }).Model, normal(2, m, 40)}
	}},
	{"dead or collapsed channel spread", "a", func(t *testing.T) sick {
		m := undone(t)
		return sick{m, quantizeFor(t, m, normal(1, m, 40), "W8A8", func(o *quantize.Options) { o.Settings.Weights.Block = format.Block{} }).Model, normal(2, m, 40)}
	}},
	{"shared scale over unlike branches", "join", func(t *testing.T) sick {
		m := unlikeBranches(t)
		return sick{m, quantizeFor(t, m, normal(1, m, 40), "W8A8", nil).Model, normal(2, m, 40)}
	}},
	{"bias overflow", "a", func(t *testing.T) sick {
		m := largeBias(t)
		return sick{m, replanned(t, m, normal(1, m, 40), "qdq", func(p *plan.Plan) {
			w, b := p.Value("wa"), p.Value("ba")
			w.Params[2].Scale = 1e-10 // as a tool writes that looks at the weights alone
			b.Params[2].Scale = p.Value("x").Params[0].Scale * 1e-10
		}), normal(2, m, 40)}
	}},
	{"sensitive op quantised", "weigh", func(t *testing.T) sick {
		m := attention(t)
		return sick{m, quantizeFor(t, m, normal(1, m, 40), "W8A8", func(o *quantize.Options) {
			o.Settings.Target = &plan.Target{Name: "any", Acts: "uint8"}
		}).Model, normal(2, m, 40)}
	}},
	{"overflow", "a", func(t *testing.T) sick {
		m := longSums(t)
		return sick{m, quantizeFor(t, m, positive(1, m, 4), "W8A8", func(o *quantize.Options) { override(t, o, "a", &o.Settings.Weights, nil) }).Model, positive(2, m, 4)}
	}},
	{"overflow", "a", func(t *testing.T) sick {
		m := longSums(t)
		return sick{m, quantizeFor(t, m, nil, "W8A8", func(o *quantize.Options) {
			o.Settings.Mode = plan.Dynamic
			override(t, o, "a", &o.Settings.Weights, nil)
		}).Model, positive(2, m, 4)}
	}},
	{"unsupported or unfused placement", "block2.point", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, beforeClamp(t, m, "block2.point"), letters(2, 40, 1, 0)}
	}},
}

// shiftBias adds to every element of a layer's int32 bias so many times the root of its mean square.
func shiftBias(t *testing.T, m *Model, node string, times float64) *Model {
	t.Helper()
	g := pass.Clone(m.graph)
	x := g.Graph.Index()
	for _, n := range g.Graph.Nodes {
		if n.Name != node {
			continue
		}
		name := x.Producer(n.In[2]).In[0]
		codes := g.Graph.ConstTensor(name).Clone()
		sum := 0.0
		for _, c := range tensor.Of[int32](codes) {
			sum += float64(c) * float64(c)
		}
		by := int32(times * math.Sqrt(sum/float64(codes.Len())))
		for i := range tensor.Of[int32](codes) {
			tensor.Of[int32](codes)[i] += by
		}
		g.Graph.SetConst(name, codes)
		return FromGraph(g, "shifted")
	}
	t.Fatalf("there is no %q", node)
	return nil
}

// filled sets constants of a network to normal numbers.
func filled(t *testing.T, m *Model, seed uint64, shapes map[string][]int, gain func(name string, i int) float64) *Model {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		x := gauss(r, tensor.Elements(shapes[name]), 1)
		for i := range x {
			x[i] = float32(float64(x[i]) * gain(name, i))
		}
		m.graph.Graph.SetConst(name, tensor.Float32s(x, shapes[name]...))
	}
	return m
}

// unlikeChannels is a network with one channel in 16 whose weights are 100 times as large as the others', and
// a clamp behind it.
func unlikeChannels(t *testing.T) *Model {
	m := textModel(t, `<ir_version: 8, opset_import: ["" : 17]>
g (float[1,8,12,12] x) => (float[1,6,12,12] y) <float lo = {0}, float hi = {6}> {
  [a] ca = Conv (x, wa, ba)
  [ra] ha = Clip (ca, lo, hi)
  [b] y = Conv (ha, wb, bb)
}`)
	return filled(t, m, 3, map[string][]int{"wa": {16, 8, 1, 1}, "ba": {16}, "wb": {6, 16, 1, 1}, "bb": {6}}, func(name string, i int) float64 {
		if name == "wa" && i/8 == 5 {
			return 100
		}
		return 1
	})
}

// undone is a network in which a layer makes one channel 200 times as large, and those behind it undo that.
func undone(t *testing.T) *Model {
	m := textModel(t, `<ir_version: 8, opset_import: ["" : 17]>
g (float[1,8,12,12] x) => (float[1,6,12,12] y) {
  [a] ca = Conv (x, wa, ba)
  [ra] ha = Relu (ca)
  [b] cb = Conv (ha, wb, bb)
  [rb] hb = Relu (cb)
  [c] y = Conv (hb, wc, bc)
}`)
	return filled(t, m, 3, map[string][]int{"wa": {16, 8, 1, 1}, "ba": {16}, "wb": {12, 16, 1, 1}, "bb": {12}, "wc": {6, 12, 1, 1}, "bc": {6}}, func(name string, i int) float64 {
		switch {
		case name == "wa" && i/8 == 5, name == "ba" && i == 5:
			return 200
		case name == "wb" && i%16 == 5:
			return 1. / 200
		}
		return 1
	})
}

// unlikeBranches is a network that joins two branches, one reaching 100 times as far as the other, and reads
// each by channels of its own.
func unlikeBranches(t *testing.T) *Model {
	m := textModel(t, `<ir_version: 8, opset_import: ["" : 17]>
g (float[1,8,12,12] x) => (float[1,6,12,12] y) {
  [a] ca = Conv (x, wa, ba)
  [ra] ha = Relu (ca)
  [b] cb = Conv (x, wb, bb)
  [rb] hb = Relu (cb)
  [join] h = Concat <axis = 1> (ha, hb)
  [c] y = Conv (h, wc, bc)
}`)
	return filled(t, m, 4, map[string][]int{"wa": {8, 8, 1, 1}, "ba": {8}, "wb": {8, 8, 1, 1}, "bb": {8}, "wc": {6, 16, 1, 1}, "bc": {6}}, func(name string, i int) float64 {
		switch {
		case name == "wb" || name == "bb":
			return 0.01
		case name == "wc" && i/16 < 3 == (i%16 >= 8):
			return 0
		case name == "wc" && i%16 >= 8:
			return 100
		}
		return 1
	})
}

// largeBias is a network with a channel of tiny weights and a large bias.
func largeBias(t *testing.T) *Model {
	m := textModel(t, `<ir_version: 8, opset_import: ["" : 17]>
g (float[1,8,12,12] x) => (float[1,6,12,12] y) {
  [a] ca = Conv (x, wa, ba)
  [ra] ha = Relu (ca)
  [c] y = Conv (ha, wc, bc)
}`)
	m = filled(t, m, 5, map[string][]int{"wa": {8, 8, 1, 1}, "ba": {8}, "wc": {6, 8, 1, 1}, "bc": {6}}, func(name string, i int) float64 {
		switch {
		case name == "wa" && i/8 == 2:
			return 1e-8
		}
		return 1
	})
	tensor.Of[float32](m.graph.Graph.ConstTensor("ba"))[2] = 4
	return m
}

// longSums is a product whose sums of positive terms are longer than 32 bits hold.
func longSums(t *testing.T) *Model {
	m := textModel(t, `<ir_version: 8, opset_import: ["" : 17]>
g (float[1,140000] x) => (float[1,4] y) {
  [a] h = MatMul (x, w)
  [b] y = MatMul (h, v)
}`)
	m = filled(t, m, 5, map[string][]int{"w": {140000, 4}, "v": {4, 4}}, func(string, int) float64 { return 0.05 })
	w := tensor.Of[float32](m.graph.Graph.ConstTensor("w"))
	for i := range w {
		w[i]++
	}
	return m
}

// positive makes samples between a half and one.
func positive(seed uint64, m *Model, n int) *dataset.Source {
	v := m.graph.Graph.Required()[0]
	shape, _ := v.Type.Static()
	return dataset.New(dataset.Info{Form: "positive", Path: "positive", Total: n}, func(i int) (*dataset.Sample, error) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		x := make([]float32, tensor.Elements(shape))
		for k := range x {
			x[k] = float32(0.5 + 0.5*r.Float64())
		}
		return &dataset.Sample{Name: fmt.Sprint(i), Inputs: map[string]*Tensor{v.Name: tensor.Float32s(x, shape...)}}, nil
	})
}

// attention is a network that weighs rows by a Softmax whose weights are small, and enlarges what comes out.
func attention(t *testing.T) *Model {
	m := textModel(t, `<ir_version: 8, opset_import: ["" : 17]>
g (float[16,32] x) => (float[16,8] y) {
  [q] s = MatMul (x, wq)
  [weigh] p = Softmax <axis = -1> (s)
  [v] v = MatMul (p, wv)
  [out] y = MatMul (v, wo)
}`)
	return filled(t, m, 6, map[string][]int{"wq": {32, 512}, "wv": {512, 16}, "wo": {16, 8}}, func(name string, i int) float64 {
		if name == "wq" {
			return 0.05
		}
		return 1
	})
}

// beforeClamp quantizes a network, and moves the site behind a layer's clamp in front of it.
func beforeClamp(t *testing.T, m *Model, node string) *Model {
	t.Helper()
	return beforeClampOf(t, quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", nil).Model, node, -50, 13.75)
}

// beforeClampOf moves the site behind a layer's clamp in front of it, and gives it the range of what is there.
func beforeClampOf(t *testing.T, m *Model, node string, lo, hi float64) *Model {
	t.Helper()
	g := pass.Clone(m.graph)
	x := g.Graph.Index()
	for _, n := range g.Graph.Nodes {
		if n.Name != node {
			continue
		}
		clamp := x.OnlyUse(n.Out[0])
		q := x.OnlyUse(clamp.Out[0])
		d := x.OnlyUse(q.Out[0])
		last := d.Out[0]
		q.In[0], clamp.In[0], d.Out[0], clamp.Out[0] = n.Out[0], last+"_early", last+"_early", last
		g.Graph.SetConst("early_scale", tensor.Scalar(float32((hi-lo)/255)))
		zero := tensor.New(tensor.Uint8)
		zero.Raw[0] = uint8(math.RoundToEven(-lo / (hi - lo) * 255))
		g.Graph.SetConst("early_zp", zero)
		q.In, d.In = []string{q.In[0], "early_scale", "early_zp"}, []string{d.In[0], "early_scale", "early_zp"}
		list := slices.DeleteFunc(slices.Clone(g.Graph.Nodes), func(k *graph.Node) bool { return k == clamp })
		at := slices.Index(list, d)
		g.Graph.Nodes = slices.Insert(list, at+1, clamp)
		return FromGraph(g, "early")
	}
	t.Fatalf("there is no %q", node)
	return nil
}

// diagnosed examines a pair and logs the first causes.
func diagnosed(t *testing.T, s sick) *Diagnosis {
	t.Helper()
	d, err := Diagnose(context.Background(), s.float, s.quantized, DiagnoseOptions{Data: s.data})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range d.Causes[:min(3, len(d.Causes))] {
		t.Logf("%d %s at %s: %s; alone %.1f dB, without %.1f dB; %s", i, c.Cause, c.Name, c.Evidence, c.Alone, c.Without, c.Fix)
	}
	return d
}

func TestDoctorNamesPlantedFaults(t *testing.T) {
	for _, p := range plants {
		t.Run(p.cause, func(t *testing.T) {
			s := p.make(t)
			d := diagnosed(t, s)
			if d.Healthy || len(d.Causes) == 0 || d.Causes[0].Cause != p.cause || d.Causes[0].Name != p.node {
				t.Fatalf("healthy %v at %.1f dB, warnings %q", d.Healthy, d.SQNR, d.Warnings)
			}
			if d.Fixed == nil {
				t.Fatalf("nothing was mended: %q", d.Warnings)
			}
			t.Logf("%.1f dB, mended %.1f dB: %q", d.SQNR, d.Fixed.SQNR, d.Fixed.Made)
			if again, err := Diagnose(context.Background(), s.float, d.Fixed.Model, DiagnoseOptions{Data: s.data}); err != nil || !again.Healthy {
				t.Errorf("the mended network: %+v (%v)", again, err)
			}
		})
	}
}

func TestDoctorFindsNothingWrong(t *testing.T) {
	m := demoModel(t)
	for _, style := range []string{"qdq", "qoperator"} {
		for _, fix := range []string{"none", "equalize", "bias"} {
			q := quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", func(o *quantize.Options) { o.Style, o.Fix = style, []string{fix} })
			d, err := Diagnose(context.Background(), m, q.Model, DiagnoseOptions{Data: letters(2, 40, 1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if !d.Healthy || len(d.Causes) > 0 || d.SQNR < 20 || len(d.Warnings) > 0 || len(d.Layers) != 14 {
				t.Errorf("%s, repair %s: %+v", style, fix, d)
			}
		}
	}
}
