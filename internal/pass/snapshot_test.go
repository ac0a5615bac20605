package pass_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/recipe"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata")

// A snapshot is one case of a file in testdata: a name, an argument, the network before and after.
//
//	=== name | argument
//	network
//	---
//	network, or "error: …"
type snapshot struct{ name, arg, in, out string }

func readSnapshots(t *testing.T, path string) []snapshot {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []snapshot
	for part := range strings.SplitSeq("\n"+string(text), "\n=== ") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		in, out, _ := strings.Cut(body, "\n---\n")
		name, arg, _ := strings.Cut(head, " | ")
		list = append(list, snapshot{name, arg, strings.TrimSuffix(in, "\n"), strings.TrimSuffix(out, "\n")})
	}
	return list
}

func writeSnapshots(t *testing.T, path string, list []snapshot) {
	t.Helper()
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString("\n")
		}
		head := s.name
		if s.arg != "" {
			head += " | " + s.arg
		}
		fmt.Fprintf(&b, "=== %s\n%s\n---\n%s\n", head, s.in, s.out)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rewrites are the runners of the files that are not named after a pass of All, and the least
// SQNR in dB that the network keeps.
var rewrites = map[string]struct {
	run   func(t *testing.T, m *graph.Model, arg string) error
	least float64
}{
	"upgrade": {func(_ *testing.T, m *graph.Model, arg string) error {
		to, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		return pass.Upgrade(m, to)
	}, 120},
	"qdq":       {func(t *testing.T, m *graph.Model, arg string) error { return quantizeCase(t, m, arg, "qdq") }, 15},
	"qoperator": {func(t *testing.T, m *graph.Model, arg string) error { return quantizeCase(t, m, arg, "qoperator") }, 15},
	"unquantize": {func(_ *testing.T, m *graph.Model, _ string) error {
		_, err := pass.Unquantize(m)
		return err
	}, 15},
	"upright":    {func(_ *testing.T, m *graph.Model, _ string) error { pass.Upright(m); return nil }, 120},
	"dequantize": {func(_ *testing.T, m *graph.Model, _ string) error { return pass.Dequantize(m) }, 15},
	"formats": {func(t *testing.T, m *graph.Model, arg string) error {
		return quantizeCase(t, m, "mode: weights, weights: {"+arg+"}", "qdq")
	}, 2},
	"flows": {func(t *testing.T, m *graph.Model, arg string) error {
		return quantizeCase(t, m, "activations: {"+arg+"}", "qdq")
	}, 1},
	"contrib": {func(t *testing.T, m *graph.Model, arg string) error {
		return quantizeCase(t, m, "mode: weights, weights: {"+arg+"}", "contrib")
	}, 8},
	"convert": {func(t *testing.T, m *graph.Model, arg string) error {
		return quantizeCase(t, m, "scheme: FP16, "+arg, "")
	}, 40},
	"light": {func(t *testing.T, m *graph.Model, arg string) error { // the node that it names computes in float with stored weights
		return quantizeWith(t, m, "scheme: W8A8", "qdq", func(set *plan.Settings) {
			set.Leave, set.Light = map[string]string{arg: "left"}, map[string]bool{arg: true}
		})
	}, 25},
	"dynamic": {func(t *testing.T, m *graph.Model, arg string) error {
		return quantizeCase(t, m, "mode: dynamic, "+arg, "")
	}, 25},
}

// TestSnapshots runs every case in testdata, compares the text of the network with what is
// written there, and its answers with those it gave before.
func TestSnapshots(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			run, least := runnerOf(t, name)
			list := readSnapshots(t, path)
			for i := range list {
				t.Run(list[i].name, func(t *testing.T) { list[i].out = checkSnapshot(t, list[i], run, least) })
			}
			if *update {
				writeSnapshots(t, path, list)
			}
		})
	}
}

func runnerOf(t *testing.T, name string) (func(*testing.T, *graph.Model, string) error, float64) {
	t.Helper()
	if r, ok := rewrites[name]; ok {
		return r.run, r.least
	}
	for _, p := range pass.All {
		if p.Name == name {
			return func(_ *testing.T, m *graph.Model, _ string) error { return p.Run(m) }, 120
		}
	}
	t.Fatalf("no pass %q", name)
	return nil, 0
}

// checkSnapshot runs one case and returns what came out of it.
func checkSnapshot(t *testing.T, s snapshot, run func(*testing.T, *graph.Model, string) error, least float64) string {
	before := parseModel(t, s.in)
	m := pass.Clone(before)
	err := run(t, m, s.arg)
	got := m.Text(graph.TextOptions{})
	if err != nil {
		got = "error: " + err.Error()
	}
	got = strings.TrimSuffix(got, "\n")
	if !*update && got != s.out {
		t.Errorf("got\n%s\nwant\n%s", got, s.out)
	}
	if before.Text(graph.TextOptions{}) != parseModel(t, s.in).Text(graph.TextOptions{}) {
		t.Error("the rewrite changed the network that its own was cloned from")
	}
	if err != nil {
		return got
	}
	if l := graph.Check(m, graph.Limits{}); l.Len() > 0 {
		t.Errorf("the result is not sound: %v", l)
	}
	sameAnswers(t, before, m, least)
	return got
}

// parseModel reads a network; without a header it is of opset 17.
func parseModel(t *testing.T, text string) *graph.Model {
	t.Helper()
	if !strings.HasPrefix(text, "<") {
		text = "<ir_version: 8, opset_import: [\"\" : 17]>\n" + text
	}
	m, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sameAnswers compares the outputs of two networks for the same inputs: equal where they are not
// floats, and within the given SQNR where they are.
func sameAnswers(t *testing.T, a, b *graph.Model, least float64) {
	t.Helper()
	in := feedFor(a, 0)
	want, err := op.Run(a, in, op.Options{})
	if err != nil {
		t.Fatalf("before: %v", err)
	}
	for name := range in {
		if b.Graph.Input(name) == nil {
			delete(in, name)
		}
	}
	got, err := op.Run(b, in, op.Options{})
	if err != nil {
		t.Fatalf("after: %v", err)
	}
	if len(a.Graph.Out) != len(b.Graph.Out) {
		t.Fatalf("%d outputs, there were %d", len(b.Graph.Out), len(a.Graph.Out))
	}
	for _, v := range a.Graph.Out {
		x, y := want[v.Name], got[v.Name]
		if y == nil || x.String() != y.String() {
			t.Errorf("output %q is %v, was %v", v.Name, y, x)
			continue
		}
		if x.DType != tensor.Float32 {
			if string(x.Raw) != string(y.Raw) {
				t.Errorf("output %q changed", v.Name)
			}
			continue
		}
		var d report.Diff
		d.Add(tensor.Of[float32](x), tensor.Of[float32](y))
		if d.SQNR() < least {
			t.Errorf("output %q: %.1f dB: %v, was %v", v.Name, d.SQNR(), tensor.Of[float32](y), tensor.Of[float32](x))
		}
	}
}

// feedFor makes inputs for m; unknown dimensions are 2. Floats are multiples of 1/8 in [-2, 2], so
// that sums of them are exact on every machine; integers and booleans are 1.
func feedFor(m *graph.Model, seed int) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{}
	for k, v := range m.Graph.Required() {
		var shape []int
		for _, d := range v.Type.Shape {
			if d.IsKnown() {
				shape = append(shape, d.Size)
			} else {
				shape = append(shape, 2)
			}
		}
		t := tensor.New(v.Type.DType, shape...)
		if t.DType == tensor.Float32 {
			for i, x := 0, tensor.Of[float32](t); i < len(x); i++ {
				x[i] = float32((i*7+5*k+11*seed+i*i*3)%33-16) / 8
			}
		} else {
			for i := 0; i < len(t.Raw); i += t.DType.Bits() / 8 {
				t.Raw[i] = 1
			}
		}
		in[v.Name] = t
	}
	return in
}

// quantizeCase calibrates m on four inputs and writes it quantized. arg is the inside of a recipe.
func quantizeCase(t *testing.T, m *graph.Model, arg, style string) error {
	t.Helper()
	return quantizeWith(t, m, arg, style, func(set *plan.Settings) { set.Codes = style == "qoperator" })
}

// quantizeWith is quantizeCase with other settings than a recipe can ask for.
func quantizeWith(t *testing.T, m *graph.Model, arg, style string, adjust func(set *plan.Settings)) error {
	t.Helper()
	r, err := recipe.Parse([]byte("{schema: " + recipe.Schema + ", calibration: {observer: minmax}, " + arg + "}"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := r.Filled().Settings()
	if err != nil {
		t.Fatal(err)
	}
	adjust(&set)
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	stats := observe(t, m)
	if set.Mode == plan.Convert {
		return pass.Quantize(m, plan.Halve(m, facts, set, stats), style)
	}
	unseen := map[string]bool{}
	p := plan.Decide(m, facts, set, nil)
	for _, name := range p.Observed() {
		unseen[name] = stats[name] == nil
	}
	p = plan.Decide(m, facts, set, unseen)
	if err := p.Fit(m, stats, set, 1); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(m); err != nil {
		t.Error(err)
	}
	return pass.Quantize(m, p, style)
}

// observe returns the statistics of every float value of m over four inputs.
func observe(t *testing.T, m *graph.Model) map[string]*calib.Stats {
	t.Helper()
	stats, err := calib.Collect(context.Background(), evaluator{m}, calib.Feed{N: 4, Sample: func(i int) (map[string]*tensor.Tensor, string, error) {
		return feedFor(m, i), strconv.Itoa(i), nil
	}}, calib.Options{Level: kernel.Generic})
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// evaluator runs a network by its definition and shows every value.
type evaluator struct{ m *graph.Model }

func (e evaluator) RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	return op.Run(e.m, in, op.Options{Watch: watch, Context: ctx})
}

func (evaluator) Close() {}

func TestPrepareNames(t *testing.T) {
	if len(pass.All) == 0 {
		t.Fatal("no passes")
	}
	seen := map[string]bool{}
	for _, p := range pass.All {
		if seen[p.Name] || p.Doc == "" {
			t.Errorf("pass %q has no description, or stands twice", p.Name)
		}
		seen[p.Name] = true
	}
}
