package pass_test

import (
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// TestSubgraphWeights puts the codes of a weight into the branch that alone reads it, and has those of one that both
// branches and the main graph read dequantized once in the main graph: ONNX Runtime 1.32 loads no products whose codes are outside.
func TestSubgraphWeights(t *testing.T) {
	for _, mode := range []plan.Mode{plan.Weights, plan.Dynamic} {
		for _, kind := range []format.BlockKind{format.Channel, format.Group} {
			m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 21]>
g (float[4,16] x, bool c) => (float[4,16] y) <float[16,16] w, float[16,16] v> {
  i = If (c) <then_branch = yes () => (float[4,16] t) { a = MatMul (x, w) t = MatMul (a, v) }, else_branch = no () => (float[4,16] e) { e = MatMul (x, w) }>
  y = MatMul (i, w)
}`)
			if err != nil {
				t.Fatal(err)
			}
			for k, name := range []string{"w", "v"} {
				x := make([]float32, 256)
				for i := range x {
					x[i] = float32((i*37+k*11)%101-50) / 100
				}
				m.Graph.SetConst(name, tensor.Float32s(x, 16, 16))
			}
			x := make([]float32, 64)
			for i := range x {
				x[i] = float32(i%13-6) / 6
			}
			for _, branch := range []bool{true, false} {
				in := map[string]*tensor.Tensor{"x": tensor.Float32s(x, 4, 16), "c": tensor.Wrap(tensor.Bool, []bool{branch})}
				want, err := op.Run(m, in, op.Options{})
				if err != nil {
					t.Fatal(err)
				}
				q := pass.Clone(m)
				if p := quantizeLeft(t, q, mode, format.Block{Kind: kind, Size: 8}, false); p.Quantized() != 4 {
					t.Errorf("%s: %d products are quantized", mode, p.Quantized())
				}
				checkHomes(t, q)
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
}

// checkHomes wants every DequantizeLinear of a subgraph to read codes that stand beside it.
func checkHomes(t *testing.T, m *graph.Model) {
	t.Helper()
	for g := range m.Graph.Graphs() {
		for _, n := range g.Nodes {
			if n.Op == "DequantizeLinear" && g.ConstTensor(n.In[0]) == nil && m.Graph.ConstTensor(n.In[0]) != nil {
				t.Errorf("%s: its codes %q are outside of its graph", n.Label(), n.In[0])
			}
		}
	}
	back := 0
	for _, n := range m.Graph.Nodes {
		if n.Op == "DequantizeLinear" && strings.HasPrefix(n.In[0], "w_q") {
			back++
		}
	}
	if back > 1 {
		t.Errorf("w is dequantized %d times in the main graph", back)
	}
	if m.Graph.ConstTensor("w") != nil || m.Graph.ConstTensor("v") != nil {
		t.Error("float weights are still there")
	}
}
