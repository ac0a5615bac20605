package quantize

import (
	"strings"
	"testing"
	"time"

	"lowbit/internal/demo"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

func settingsFor(t *testing.T, mode plan.Mode) plan.Settings {
	t.Helper()
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Mode, set.Target = mode, plan.LookupTarget("this")
	return set
}

// TestLeave keeps a node in float for the reason given.
func TestLeave(t *testing.T) {
	m, err := onnx.Decode(demo.Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	q := &quantization{ctx: t.Context(), in: m, opt: Options{Settings: settingsFor(t, plan.Dynamic), Threads: 1, Progress: func(string, int, int) {}}}
	if err := q.prepare(); err != nil {
		t.Fatal(err)
	}
	p := plan.Decide(q.float, q.facts, q.opt.Settings, nil)
	first := ""
	for _, n := range p.Nodes {
		if n.Quantized {
			first = n.Name
		}
	}
	q.opt.Settings.Leave = map[string]string{first: "because"}
	left := plan.Decide(q.float, q.facts, q.opt.Settings, nil)
	if left.Quantized() != p.Quantized()-1 || !strings.Contains(left.Obstacles(), "because") {
		t.Errorf("%d of %d nodes are quantized: %s", left.Quantized(), p.Quantized(), left.Obstacles())
	}
}

// TestStayFloat undoes what was made of a network that does not pay: it computes what it computed before.
func TestStayFloat(t *testing.T) {
	m, err := onnx.Decode(demo.Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	q := &quantization{ctx: t.Context(), in: m, opt: Options{Settings: settingsFor(t, plan.Dynamic), Threads: 1, Progress: func(string, int, int) {}}}
	if err := q.prepare(); err != nil {
		t.Fatal(err)
	}
	plain := q.float
	if err := q.fit(q.opt.Settings, nil); err != nil {
		t.Fatal(err)
	}
	q.float = pass.Clone(plain)
	q.fixes = []Fix{{Name: "bias", Made: true}}
	q.opt.Settings.Leave = leaveAll(q.plan, map[string]string{q.plan.Nodes[0].Name: "known"}, turn{2000, 1000}.String())
	last := q.plan.Nodes[len(q.plan.Nodes)-1].Name
	if got := q.opt.Settings.Leave[last]; !strings.Contains(got, "2 µs") || q.opt.Settings.Leave[q.plan.Nodes[0].Name] != "known" {
		t.Errorf("reason %q", got)
	}
	delete(q.opt.Settings.Leave, last)
	if err := q.stayFloat(plain, nil); err != nil {
		t.Fatal(err)
	}
	if q.float != plain || q.plan.Quantized() > 0 || q.fixes[0].Made || q.opt.Settings.Leave[last] == "" {
		t.Errorf("%d nodes are quantized, fixes %v, leave %v", q.plan.Quantized(), q.fixes, q.opt.Settings.Leave)
	}
}

func TestTimingNeedsShapes(t *testing.T) {
	g := &graph.Graph{In: []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, 2, 3)}}}
	q := &quantization{float: &graph.Model{Graph: g}}
	if in, err := q.timingInputs(); err != nil || in["x"].Len() != 6 {
		t.Errorf("inputs are %v, %v", in, err)
	}
	g.In[0].Type.Shape[0] = graph.Symbol("N")
	if _, err := q.timingInputs(); err == nil || !strings.Contains(err.Error(), "cannot be timed") {
		t.Errorf("error is %v", err)
	}
}

// TestNameProducts follows the products of a dynamically quantized network.
func TestNameProducts(t *testing.T) {
	step := func(node string, macs int64) engine.StepTime {
		return engine.StepTime{Node: node, MACs: macs, Time: time.Microsecond}
	}
	float := []engine.StepTime{step("a", 10), step("relu", 0), step("b", 20)}
	ours := []engine.StepTime{step("Q", 0), step("a_MatMulInteger", 10), step("Q2", 0), step("b_MatMulInteger", 20)}
	nameProducts(ours, float)
	if ours[1].Node != "a" || ours[3].Node != "b" || ours[0].Node != "Q" {
		t.Errorf("steps are %v", ours)
	}
	fewer := ours[:2]
	fewer[1].Node = "c"
	nameProducts(fewer, float)
	if fewer[1].Node != "c" {
		t.Error("one product was named after the first of two")
	}
}
