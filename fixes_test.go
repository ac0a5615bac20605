package lowbit

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// madeModel parses a network and gives its declared constants normal numbers, times gain(name, channel).
func madeModel(t *testing.T, text string, gain func(name string, c int) float64) *Model {
	t.Helper()
	g, err := graph.ParseText(`<ir_version: 10, opset_import: ["" : 21]>
` + text)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(21, 22))
	for _, v := range g.Graph.Info {
		shape, _ := v.Type.Static()
		k := tensor.New(tensor.Float32, shape...)
		x := tensor.Of[float32](k)
		for i := range x {
			x[i] = float32(r.NormFloat64() * gain(v.Name, i*shape[0]/len(x)))
		}
		g.Graph.SetConst(v.Name, k)
	}
	return FromGraph(g, "made")
}

// noise returns n samples of normal numbers for the one input of a model.
func noise(m *Model, n int) *dataset.Source {
	in := m.Graph().Graph.Required()[0]
	shape, _ := in.Type.Static()
	return dataset.New(dataset.Info{Form: "made", Path: "noise", Total: n}, func(i int) (*dataset.Sample, error) {
		r := rand.New(rand.NewPCG(uint64(i), 23))
		x := tensor.New(tensor.Float32, shape...)
		for k := range tensor.Of[float32](x) {
			tensor.Of[float32](x)[k] = float32(r.NormFloat64())
		}
		return &dataset.Sample{Name: "noise", Inputs: map[string]*Tensor{in.Name: x}}, nil
	})
}

// hopeless has a layer, "wild", whose result mixes channels of very different size that nothing can
// equalize, for a sigmoid reads them.
const hopeless = `g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[8,4,3,3] w, float[8] wb, float[8,8,1,1] u, float[8] ub, float[8,8,1,1] v, float[8] vb, float[4,8,1,1] z, float[4] zb> {
  [tame] a = Conv <pads = [1, 1, 1, 1]> (x, w, wb)
  r = Relu (a)
  [wild] b = Conv (r, u, ub)
  s = Sigmoid (b)
  m = Mul (b, s)
  [after] c = Conv (m, v, vb)
  q = Relu (c)
  [last] y = Conv (q, z, zb)
}`

func hopelessGain(name string, c int) float64 {
	switch name {
	case "u", "ub":
		return math.Exp2(2 * float64(c))
	case "v":
		return 1
	}
	return 0.5
}

// hopelessModel undoes the sizes of the wild layer's channels in the columns of the next weight.
func hopelessModel(t *testing.T) *Model {
	m := madeModel(t, hopeless, hopelessGain)
	v := tensor.Of[float32](m.Graph().Graph.ConstTensor("v"))
	for i := range v {
		v[i] /= float32(math.Exp2(2 * float64(i%8)))
	}
	return m
}

// defaults are the settings of plain quantize.
func defaults(t *testing.T) plan.Settings {
	t.Helper()
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// wanted is the ratio in dB that layers are left in float for.
const wanted = 20

func TestRelieve(t *testing.T) {
	m := hopelessModel(t)
	set := defaults(t)
	without, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: noise(m, 40), Fix: []string{"none"}})
	if err != nil {
		t.Fatal(err)
	}
	if without.Gate.SQNR > wanted {
		t.Fatalf("the model is no challenge: %.1f dB", without.Gate.SQNR)
	}
	r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: noise(m, 40)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Gate.SQNR < wanted {
		t.Errorf("%.1f dB", r.Gate.SQNR)
	}
	for _, n := range r.Plan.Nodes {
		float := strings.HasPrefix(n.Reason, "left in float")
		if n.Op == "Conv" && n.Quantized == float {
			t.Errorf("%s: quantized %v because %q", n.Name, n.Quantized, n.Reason)
		}
		if n.Name == "wild" && !float || n.Name == "tame" && float {
			t.Errorf("%s: %s", n.Name, n.Reason)
		}
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "compute in float") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	if u, v := r.Plan.Value("u"), r.Plan.Value("v"); u == nil || v != nil {
		t.Errorf("weights stored in codes: of the wild layer %v, which does no harm, and of the next %v, which does", u != nil, v != nil)
	}
	if _, err := op.Infer(r.Model.Graph(), nil); err != nil {
		t.Error(err)
	}
}

// TestRelieveBudget leaves no layer in float where the budget has no time to find out which, and says so.
func TestRelieveBudget(t *testing.T) {
	m := hopelessModel(t)
	r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: defaults(t), Data: noise(m, 40), Budget: 1})
	if err != nil {
		t.Fatal(err)
	}
	if told := strings.Join(r.Warnings, "\n"); !strings.Contains(told, "more than the budget has left") {
		t.Errorf("warnings: %q", told)
	}
	for _, n := range r.Plan.Nodes {
		if n.Op == "Conv" && !n.Quantized {
			t.Errorf("%s: %s", n.Name, n.Reason)
		}
	}
}

func TestFixes(t *testing.T) {
	m := hopelessModel(t)
	set := defaults(t)
	for _, c := range []struct {
		fix  []string
		want string
	}{
		{[]string{"none"}, ""},
		{[]string{"bias"}, "bias"},
		{[]string{"bias", "equalize"}, "equalize bias"},
		{nil, "equalize bias"},
	} {
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: noise(m, 40), Fix: c.fix})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range r.Fixes {
			names = append(names, f.Name)
			if f.Made != (len(f.Changes) > 0) || !f.Made && f.Note == "" {
				t.Errorf("%v: %+v", c.fix, f)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%v: repairs %q, want %q", c.fix, got, c.want)
		}
	}
	if _, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: noise(m, 40), Fix: []string{"magic"}}); err == nil || !strings.Contains(err.Error(), "magic") {
		t.Errorf("an unknown repair: %v", err)
	}
}

// TestPlanWithFixes makes the same network again from its plan and the samples.
func TestPlanWithFixes(t *testing.T) {
	m := glyphNet(t)
	o := quantize.Options{Settings: defaults(t), Data: glyphs(sequence(40, 0)), Fix: []string{"equalize", "bias"}}
	r, err := QuantizeBy(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Plan.Fixes) == 0 {
		t.Fatal("the plan notes no repair")
	}
	text, err := r.Plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	o.Plan = &plan.Plan{}
	if err := o.Plan.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	again, err := QuantizeBy(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := onnx.Encode(r.Model.Graph())
	b, _ := onnx.Encode(again.Model.Graph())
	if string(a) != string(b) {
		t.Error("the plan makes another network")
	}
	o.Data = nil
	if _, err := QuantizeBy(context.Background(), m, o); err == nil || !strings.Contains(err.Error(), "samples") {
		t.Errorf("without samples: %v", err)
	}
}

// TestFixesOfWeights makes repairs where activations stay in float, and none that needs samples without them.
func TestFixesOfWeights(t *testing.T) {
	m := glyphNet(t)
	set := defaults(t)
	set.Mode, set.Weights.Format = plan.Weights, format.Int4
	o := quantize.Options{Settings: set, Data: glyphs(sequence(60, 0)), Fix: []string{"none"}}
	plain, err := QuantizeBy(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range repair.Words() {
		with := o
		with.Fix = []string{name}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkFixOfWeights(t, name, m, with, plain)
		})
	}
	o.Data, o.Fix = nil, []string{"adaround"}
	r, err := QuantizeBy(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Fixes) != 1 || r.Fixes[0].Made || !strings.Contains(r.Fixes[0].Note, "samples") {
		t.Errorf("without samples: %v", r.Fixes)
	}
}

// checkFixOfWeights quantizes with one repair, and compares with plain, which has none.
func checkFixOfWeights(t *testing.T, name string, m *Model, o quantize.Options, plain *Result) {
	r, err := QuantizeBy(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Fixes {
		if f.Name != name || f.Made != (len(f.Changes) > 0) || !f.Made && f.Note == "" || f.Made && f.After < f.Before-0.3 {
			t.Errorf("%s: %.1f dB without, %.1f with: %v", name, plain.Gate.SQNR, r.Gate.SQNR, f)
		}
	}
	if name != "gptq" && name != "adaround" {
		return
	}
	if len(r.Fixes) != 1 || !r.Fixes[0].Made || r.Gate.SQNR < plain.Gate.SQNR+1 {
		t.Errorf("%.1f dB without, %.1f with: %v", plain.Gate.SQNR, r.Gate.SQNR, r.Fixes)
	}
}

// TestNamedRewrite measures a rewrite that is asked for by name, which stays whatever comes of it, with an observer
// that does not hide what it does: some samples are far louder than others.
func TestNamedRewrite(t *testing.T) {
	m := glyphNet(t)
	quiet, loud := letters(51, 60, 0.2, 0), letters(52, 60, 1, 0)
	data := dataset.New(quiet.Info(), func(i int) (*dataset.Sample, error) {
		if i%4 == 0 {
			return loud.Sample(i)
		}
		return quiet.Sample(i)
	})
	fix := func(o *calib.Observer) Fix {
		set := defaults(t)
		set.Observer = o
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: data, Fix: []string{"equalize"}})
		if err != nil {
			t.Fatal(err)
		}
		return r.Fixes[0]
	}
	open, clipping, whole := fix(nil), fix(calib.Average), fix(calib.MinMax)
	if !open.Made || open.After == 0 {
		t.Errorf("%+v", open)
	}
	if whole.Before < clipping.Before+3 || open.Before < whole.Before-0.01 {
		t.Errorf("%.1f dB, %.1f where the extremes are averaged, %.1f where nothing is cut off", open.Before, clipping.Before, whole.Before)
	}
}
