package lowbit

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// loud is a network in which one value goes beyond 65504, the largest number of 16 bits, one weight is
// as large, and one is so small that 16 bits lose it. In between they are divided and multiplied back, so
// that a network which computes them in float32 loses nothing.
func loud() *graph.Model {
	r := rand.New(rand.NewPCG(11, 12))
	g := &graph.Graph{Name: "loud", In: []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, 1, 16)}}, Out: []*graph.Value{{Name: "y", Type: graph.Of(tensor.Float32, 1, 16)}}}
	weight := func(name string, gain float64) {
		g.SetConst(name, tensor.Float32s(gauss(r, 16*16, gain), 16, 16))
	}
	weight("w_first", 0.3)
	weight("w_loud", 300000)
	weight("w_last", 0.3)
	weight("w_quiet", 1e-9)
	g.SetConst("thousands", tensor.Scalar(1e-3))
	node := func(op, out string, in ...string) {
		g.Nodes = append(g.Nodes, &graph.Node{Op: op, Name: "make_" + out, In: in, Out: []string{out}})
	}
	node("MatMul", "first", "x", "w_first")
	node("MatMul", "loud", "first", "w_loud") // weights and results beyond the range
	node("Mul", "softer", "loud", "thousands")
	node("Mul", "soft", "softer", "thousands")
	node("MatMul", "hidden", "soft", "w_last") // fits
	node("Relu", "relu", "hidden")
	node("MatMul", "quiet", "relu", "w_quiet") // lost in 16 bits
	g.SetConst("billion", tensor.Scalar(1e9))
	node("Mul", "y", "quiet", "billion")
	return &graph.Model{IR: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g}
}

// TestHalvesOfLoudNetwork converts that network with samples: what leaves the range stays in float32 and is
// named, the rest computes in 16 bits, and the answers are right. bfloat16 has the range of float32.
func TestHalvesOfLoudNetwork(t *testing.T) {
	m := FromGraph(loud(), "loud")
	data := normal(21, m, 12)
	for _, c := range []struct {
		scheme string
		kept   map[string]string // nodes that stay, and a part of why
		least  float64           // dB
	}{
		{"FP16", map[string]string{
			"make_loud": `constant "w_loud" holds`, "make_softer": `value "loud" reaches`,
			"make_quiet": `constant "w_quiet" is too small`, "make_y": `value "quiet" reaches`,
		}, 55},
		{"BF16", map[string]string{"make_y": "its result leaves the network"}, 35},
	} {
		set, err := plan.Default(c.scheme)
		if err != nil {
			t.Fatal(err)
		}
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: data, Threads: 1})
		if err != nil {
			t.Fatal(c.scheme, err)
		}
		for _, n := range r.Plan.Nodes {
			why, kept := c.kept[n.Name]
			if kept == n.Quantized || kept && !strings.Contains(n.Reason, why) {
				t.Errorf("%s: %s is converted: %v (%s)", c.scheme, n.Name, n.Quantized, n.Reason)
			}
		}
		if db := distance(t, m, r.Model, normal(22, m, 40)); !(db > c.least) {
			t.Errorf("%s: %.1f dB to the float network", c.scheme, db)
		}
	}
}

// faint is a network in which one value lies near 1e-7, where float16 has two digits at most.
func faint() *graph.Model {
	r := rand.New(rand.NewPCG(13, 14))
	g := &graph.Graph{Name: "faint", In: []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, 1, 16)}}, Out: []*graph.Value{{Name: "y", Type: graph.Of(tensor.Float32, 1, 16)}}}
	g.SetConst("w", tensor.Float32s(gauss(r, 16*16, 1e-4), 16, 16))
	g.SetConst("v", tensor.Float32s(gauss(r, 16*16, 1e-4), 16, 16))
	g.SetConst("thousands", tensor.Scalar(1e4))
	for _, n := range [][4]string{{"MatMul", "small", "x", "w"}, {"MatMul", "faint", "small", "v"}, {"Mul", "plain", "faint", "thousands"}, {"MatMul", "y", "plain", "w"}} {
		g.Nodes = append(g.Nodes, &graph.Node{Op: n[0], Name: "make_" + n[1], In: n[2:], Out: n[1:2]})
	}
	return &graph.Model{IR: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g}
}

// TestHalvesOfFaintNetwork keeps what float16 would all but lose in float32. bfloat16 has the exponents of float32.
func TestHalvesOfFaintNetwork(t *testing.T) {
	m := FromGraph(faint(), "faint")
	for scheme, kept := range map[string][]string{"FP16": {"make_faint", "make_plain", "make_y"}, "BF16": nil} {
		set, err := plan.Default(scheme)
		if err != nil {
			t.Fatal(err)
		}
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: normal(21, m, 12), Threads: 1})
		if err != nil {
			t.Fatal(scheme, err)
		}
		for _, n := range r.Plan.Nodes {
			if n.Quantized == slices.Contains(kept, n.Name) || !n.Quantized && !strings.Contains(n.Reason, "digits are lost") {
				t.Errorf("%s: %s is converted: %v (%s)", scheme, n.Name, n.Quantized, n.Reason)
			}
		}
		if db := distance(t, m, r.Model, normal(22, m, 40)); db < 40 {
			t.Errorf("%s: %.1f dB to the float network", scheme, db)
		}
	}
}

// TestHalvesUnseen converts the network without samples: the value beyond the range is not known, which a
// warning says, and its constants alone keep operators in float32.
func TestHalvesUnseen(t *testing.T) {
	m := FromGraph(loud(), "loud")
	set, err := plan.Default("FP16")
	if err != nil {
		t.Fatal(err)
	}
	r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if list := strings.Join(r.Warnings, "\n"); !strings.Contains(list, "65504") || !strings.Contains(list, "below 6.1e-05") {
		t.Errorf("no warning: %q", list)
	}
	if i := slices.IndexFunc(r.Plan.Nodes, func(n *plan.Node) bool { return n.Name == "make_softer" }); i < 0 || !r.Plan.Nodes[i].Quantized {
		t.Error("the operator that reads the value is not converted")
	}
	if db := distance(t, m, r.Model, normal(22, m, 40)); db > 20 {
		t.Errorf("%.1f dB: the network never left the range, and tests nothing", db)
	}
}

// distance is the ratio of the outputs of a to their difference to those of b, in dB, after b was written and read.
func distance(t *testing.T, a, b *Model, data *dataset.Source) float64 {
	t.Helper()
	bytes, err := onnx.Encode(b.Graph())
	if err != nil {
		t.Fatal(err)
	}
	read, err := onnx.Decode(bytes, onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var d report.Diff
	sa, sb := compiled(t, a), compiled(t, FromGraph(read, "read"))
	for i := range data.Len() {
		s, err := data.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		x, err := sa.Run(context.Background(), s.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		y, err := sb.Run(context.Background(), s.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		for name := range x {
			d.Add(report.Floats(x[name]), report.Floats(y[name]))
		}
	}
	return d.SQNR()
}

func compiled(t *testing.T, m *Model) *Session {
	t.Helper()
	s, err := m.Compile(CompileOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestHalvesQuantized quantizes a network that computes in 16-bit floats, and examines what comes out beside it.
func TestHalvesQuantized(t *testing.T) {
	data := letters(31, 60, 1, 0)
	half := quantizeFor(t, glyphNet(t), data, "FP16", nil).Model
	r := quantizeFor(t, half, data, "W8A8", nil)
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "computes in 16-bit floats") {
		t.Errorf("no warning: %q", r.Warnings)
	}
	if db := distance(t, half, r.Model, letters(32, 20, 1, 0)); db < 20 || r.Plan.Quantized() == 0 {
		t.Errorf("%.1f dB, %d nodes", db, r.Plan.Quantized())
	}
	d, err := Diagnose(context.Background(), half, r.Model, DiagnoseOptions{Data: data})
	if err != nil || !d.Healthy {
		t.Errorf("%v %+v", err, d)
	}
}
