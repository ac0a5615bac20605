package pass_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// Pieces of random networks: each makes a value (1,2,4,4) from one or two such values a and b. %d
// is the number of the node.
var pieces = []string{
	"v%[1]d = Conv (%[2]s, k, bias)",
	"v%[1]d = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (%[2]s, k3)",
	"v%[1]d = Conv <group = 2> (%[2]s, kd, bias)",
	"v%[1]d = Relu (%[2]s)",
	"v%[1]d = Clip (%[2]s, zero, six)",
	"v%[1]d = Clip (%[2]s, low, six)",
	"v%[1]d = Add (%[2]s, %[3]s)",
	"v%[1]d = Mul (%[2]s, %[3]s)",
	"v%[1]d = Add (%[2]s, cst)",
	"v%[1]d = Sigmoid (%[2]s)",
	"v%[1]d = LeakyRelu <alpha = 0.25> (%[2]s)",
	"v%[1]d = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (%[2]s)",
	"v%[1]d = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (%[2]s)",
	"v%[1]d = Transpose <perm = [0, 1, 3, 2]> (%[2]s)",
	"v%[1]d = Softmax <axis = 1> (%[2]s)",
	"v%[1]d = MatMul (%[2]s, w)",
	"v%[1]d = MatMul (%[2]s, %[3]s)",
	"c%[1]d = Concat <axis = 1> (%[2]s, %[3]s)  v%[1]d = Conv (c%[1]d, k4)",
	"s%[1]d, t%[1]d = Split <axis = 1> (%[2]s)  v%[1]d = Concat <axis = 1> (t%[1]d, s%[1]d)",
	"p%[1]d = Pad (%[2]s, pads)  v%[1]d = Slice (p%[1]d, from, to)",
	"r%[1]d = Resize (%[2]s, \"\", twice)  v%[1]d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r%[1]d)",
	"r%[1]d = Reshape (%[2]s, flat)  u%[1]d = Gemm (r%[1]d, wide, wideb)  v%[1]d = Reshape (u%[1]d, square)",
	"g%[1]d = GlobalAveragePool (%[2]s)  v%[1]d = Mul (%[3]s, g%[1]d)",
	"v%[1]d = If <then_branch = th () => (th%[1]d) { th%[1]d = Conv (%[2]s, k, bias) }, else_branch = el () => (el%[1]d) { el%[1]d = Relu (%[3]s) }> (cond)",
}

// randomNetwork draws a network of a few pieces; some of its values are outputs.
func randomNetwork(t *rapid.T) string {
	values := []string{"x"}
	var nodes, outs []string
	for i := range rapid.IntRange(2, 9).Draw(t, "nodes") {
		pick := func() string { return rapid.SampledFrom(values).Draw(t, "value") }
		nodes = append(nodes, fmt.Sprintf(rapid.SampledFrom(pieces).Draw(t, "piece")+"%.0[3]s", i, pick(), pick()))
		values = append(values, fmt.Sprintf("v%d", i))
		if rapid.IntRange(0, 4).Draw(t, "output") == 0 {
			outs = append(outs, fmt.Sprintf("float[1,2,4,4] v%d", i))
		}
	}
	if last := "float[1,2,4,4] " + values[len(values)-1]; len(outs) == 0 || outs[len(outs)-1] != last {
		outs = append(outs, last)
	}
	return fmt.Sprintf(`g (float[1,2,4,4] x, bool cond) => (%s) <%s> {
	%s
}`, strings.Join(outs, ", "), constants, strings.Join(nodes, "\n\t"))
}

// constants are read by the pieces; ramp stands for numbers between −1 and 1.
var constants = strings.Join([]string{
	ramp("k", 2, 2, 1, 1), ramp("k3", 2, 2, 3, 3), ramp("kd", 2, 1, 1, 1), ramp("k4", 2, 4, 1, 1), ramp("bias", 2), ramp("w", 4, 4),
	ramp("cst", 2, 1, 1), ramp("wide", 32, 32), ramp("wideb", 32), "float zero = {0}", "float six = {6}", "float low = {-0.5}",
	"int64[8] pads = {0,0,1,1,0,0,1,1}", "int64[4] from = {0,0,1,1}", "int64[4] to = {9,9,5,5}", "float[4] twice = {1,1,2,2}",
	"int64[2] flat = {1,32}", "int64[4] square = {1,2,4,4}",
}, ", ")

func ramp(name string, shape ...int) string {
	v := make([]string, tensor.Elements(shape))
	for i := range v {
		v[i] = fmt.Sprint(float64((i*i*5+i*3+len(name))%17-8) / 8)
	}
	return fmt.Sprintf("float%s %s = {%s}", tensor.FormatShape(shape), name, strings.Join(v, ","))
}

// How far eight bits are from a float network depends on it without a bound (means cancel), so that the bar below holds
// for the networks of one seed and not for all.
func init() { testdata.Seed() }

// TestRandomNetworks writes random networks in every form: the result is sound, keeps its inputs
// and outputs, and gives numbers near those of the float network; both integer forms of one plan agree.
func TestRandomNetworks(t *testing.T) {
	type form struct {
		arg, style string
		codes      bool // the plan is for operators on codes
	}
	pairs, codes := form{"mode: static", "qdq", true}, form{"mode: static", "qoperator", true} // of one plan
	forms := []form{
		{"mode: static", "qdq", false}, pairs, codes, {"mode: dynamic", "", false}, {"mode: weights", "", false},
		{"mode: static, weights: {block: tensor}", "qdq", false}, {"mode: static, activations: {format: int8}", "qoperator", true},
	}
	rapid.Check(t, func(r *rapid.T) {
		text := randomNetwork(r)
		float := parseModel(t, text)
		if err := pass.Prepare(float); err != nil {
			r.Fatalf("%v\n%s", err, text)
		}
		in := feedFor(float, 0)
		want, err := op.Run(float, in, op.Options{})
		if err != nil {
			r.Fatalf("%v\n%s", err, text)
		}
		answers := map[form]map[string]*tensor.Tensor{}
		for _, f := range forms {
			m := pass.Clone(float)
			if err := quantizeWith(t, m, f.arg, f.style, func(set *plan.Settings) { set.Codes = f.codes }); err != nil {
				r.Fatalf("%s %s: %v\n%s", f.arg, f.style, err, text)
			}
			if l := graph.Check(m, graph.Limits{}); l.Len() > 0 {
				r.Fatalf("%s %s: %v\n%s", f.arg, f.style, l, m.Text(graph.TextOptions{}))
			}
			got, err := op.Run(m, in, op.Options{})
			if err != nil {
				r.Fatalf("%s %s: %v\n%s", f.arg, f.style, err, m.Text(graph.TextOptions{}))
			}
			answers[f] = got
			if db := ratio(float, want, got); db < 12 {
				r.Fatalf("%s %s: %.1f dB\n%s\n%s", f.arg, f.style, db, text, m.Text(graph.TextOptions{Elide: 8}))
			}
		}
		if db := ratio(float, answers[pairs], answers[codes]); db < 35 {
			r.Fatalf("the integer forms differ: %.1f dB\n%s", db, text)
		}
	})
}

// ratio is the SQNR of the worst output of m.
func ratio(m *graph.Model, want, got map[string]*tensor.Tensor) float64 {
	var d report.Diffs
	d.Add(m.Graph.Out, want, got)
	return d.SQNR()
}
