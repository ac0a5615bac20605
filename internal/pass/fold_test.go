package pass_test

import (
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// computed is a network in whose branches the weights of layers are put together from parts outside and within: w in both alike,
// v in one alone. Nobody can tell which branch runs.
const computed = `<ir_version: 8, opset_import: ["" : 21]>
g (float[4,64] x, bool c) => (float[4,64] y) <float[64,32] a, float[64,32] b> {
  y = If (c) <then_branch = yes () => (float[4,64] t) {
    w = Concat <axis = 1> (a, b)
    v = Transpose <perm = [1, 0]> (w)
    p = MatMul (x, w)
    t = MatMul (p, v)
  }, else_branch = no () => (float[4,64] e) {
    w2 = Concat <axis = 1> (a, b)
    e = Gemm (x, w2)
  }>
}`

func parseComputed(t *testing.T) *graph.Model {
	t.Helper()
	m := parseModel(t, computed)
	for k, name := range []string{"a", "b"} {
		x := make([]float32, 64*32)
		for i := range x {
			x[i] = float32((i*37+k*11)%101-50) / 100
		}
		m.Graph.SetConst(name, tensor.Float32s(x, 64, 32))
	}
	return m
}

// TestFoldShares stores a weight that both branches compute once, in the main graph, and one that a branch computes for itself in it.
func TestFoldShares(t *testing.T) {
	m := parseComputed(t)
	if err := pass.Prepare(m); err != nil {
		t.Fatal(err)
	}
	if l := graph.Check(m, graph.Limits{}); l.Len() > 0 {
		t.Fatal(l)
	}
	where := map[string]int{}
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			where[g.Name+" "+c.Name]++
		}
	}
	if len(where) != 2 || where["g w"] != 1 || where["yes v"] != 1 {
		t.Errorf("constants are %v", where)
	}
}

// TestFoldedWeights quantizes layers in branches whose weights are computed there.
func TestFoldedWeights(t *testing.T) {
	for _, mode := range []plan.Mode{plan.Weights, plan.Dynamic} {
		m := parseComputed(t)
		q := pass.Clone(m)
		if err := pass.Prepare(q); err != nil {
			t.Fatal(err)
		}
		if p := quantizeLeft(t, q, mode, format.Block{Kind: format.Channel}, false); p.Quantized() != 3 {
			t.Errorf("%s: %d layers are quantized", mode, p.Quantized())
		}
		x := make([]float32, 4*64)
		for i := range x {
			x[i] = float32(i%13-6) / 6
		}
		for _, branch := range []bool{true, false} {
			in := map[string]*tensor.Tensor{"x": tensor.Float32s(x, 4, 64), "c": tensor.Wrap(tensor.Bool, []bool{branch})}
			want, err := op.Run(m, in, op.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := op.Run(q, in, op.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if e := noiseOf(want["y"], got["y"]); e > 0.05 {
				t.Errorf("%s: relative error %g", mode, e)
			}
		}
	}
}
