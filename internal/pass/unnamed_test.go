package pass_test

import (
	"slices"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// TestUnnamedOutput quantizes a node without a name that writes an output of the graph: its plan's name is
// that of the output, which the rewrite gives to a DequantizeLinear.
func TestUnnamedOutput(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 10, opset_import: ["" : 21]>
g (float[1,2,4,4] x) => (float[1,3,4,4] y) <float[3,2,1,1] w> {
  y = Conv (x, w)
}`)
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.SetConst("w", tensor.Float32s([]float32{1, 2, 3, 4, 5, 6}, 3, 2, 1, 1))
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Observer = calib.MinMax
	p := plan.Decide(m, facts, set, nil)
	if err := p.Fit(m, observe(t, m), set, 1); err != nil {
		t.Fatal(err)
	}
	if err := pass.Quantize(m, p, "qdq"); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(m.Graph.Nodes, func(n *graph.Node) bool { return n.Op == "Conv" })
	for i, name := range m.Graph.Nodes[at].In {
		if n := m.Graph.Index().Producer(name); n == nil || n.Op != "DequantizeLinear" {
			t.Errorf("operand %d, %q, is not dequantized", i, name)
		}
	}
}
