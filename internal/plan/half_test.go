package plan

import (
	"fmt"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestHalvesOnlyTensors converts one node, and none that makes a sequence, takes the bits of its operand, whose
// result has a type of its own, or that combines updates.
func TestHalvesOnlyTensors(t *testing.T) {
	for _, c := range []struct {
		op    string
		in    []string
		attrs []any
		want  bool
	}{
		{"Relu", []string{"x"}, nil, true},
		{"SequenceConstruct", []string{"x"}, nil, false},
		{"BitCast", []string{"x"}, []any{"to", int64(tensor.Int32)}, false},
		{"EyeLike", []string{"x"}, nil, false},
		{"ScatterElements", []string{"x", "i", "x"}, nil, true},
		{"ScatterElements", []string{"x", "i", "x"}, []any{"reduction", "add"}, false},
	} {
		n := &graph.Node{Op: c.op, In: c.in, Out: []string{"y"}}
		for i := 0; i < len(c.attrs); i += 2 {
			n.SetAttr(c.attrs[i].(string), c.attrs[i+1])
		}
		g := &graph.Graph{
			In:    []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, 2, 2)}, {Name: "i", Type: graph.Of(tensor.Int64, 2, 2)}},
			Nodes: []*graph.Node{n}, Out: []*graph.Value{{Name: "y"}},
		}
		m := &graph.Model{IR: 13, Opsets: []graph.Opset{{Version: 26}}, Graph: g}
		facts, err := op.Infer(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := Halve(m, facts, Settings{Target: &Target{}, Weights: Scheme{Format: format.Lookup("fp16")}}, nil)
		if len(p.Nodes) != 1 || p.Nodes[0].Quantized != c.want {
			t.Errorf("%s %v: %+v", c.op, c.attrs, p.Nodes[0])
		}
	}
}

// TestHalvesNoRotatedRows keeps the Transpose in front of a product in float32 that turns steps × batch × features round.
func TestHalvesNoRotatedRows(t *testing.T) {
	for perm, want := range map[string]bool{"1, 0, 2": false, "0, 2, 1": true, "2, 0, 1": true} {
		m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[4,4,4] x) => (float[4,4,4] y) <float[4,4] w> {
  a = Transpose <perm = [` + perm + `]> (x)
  y = MatMul (a, w)
}`)
		if err != nil {
			t.Fatal(err)
		}
		m.Graph.SetConst("w", tensor.Float32s(make([]float32, 16), 4, 4))
		facts, err := op.Infer(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := Halve(m, facts, Settings{Target: &Target{}, Weights: Scheme{Format: format.Lookup("fp16")}}, nil)
		if p.Nodes[0].Quantized != want || !p.Nodes[1].Quantized {
			t.Errorf("[%s]: %+v, %+v", perm, p.Nodes[0], p.Nodes[1])
		}
	}
}

// TestHalvesByOpset converts what an opset lets be the type: convolutions take bfloat16 from opset 22 on, products of matrices before.
func TestHalvesByOpset(t *testing.T) {
	for _, c := range []struct {
		format       string
		opset        int
		conv, matmul bool
	}{{"fp16", 13, true, true}, {"bf16", 13, false, true}, {"bf16", 22, true, true}} {
		m, err := graph.ParseText(fmt.Sprintf(`<ir_version: 10, opset_import: ["" : %d]>
g (float[1,2,4,4] x) => (float[1,1,4,4] y) <float[1,2,1,1] w = {1, 2}, float[4,4] v> {
  a = Conv (x, w)
  y = MatMul (a, v)
}`, c.opset))
		if err != nil {
			t.Fatal(err)
		}
		m.Graph.SetConst("v", tensor.Float32s(make([]float32, 16), 4, 4))
		facts, err := op.Infer(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := Halve(m, facts, Settings{Target: &Target{}, Weights: Scheme{Format: format.Lookup(c.format)}}, nil)
		if p.Nodes[0].Quantized != c.conv || p.Nodes[1].Quantized != c.matmul {
			t.Errorf("%s in opset %d: %+v, %+v", c.format, c.opset, p.Nodes[0], p.Nodes[1])
		}
	}
}
