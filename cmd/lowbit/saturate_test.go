package main

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestSaturating names products of matrices whose codes are large, and neither those without a pair nor constants
// that are no matrix.
func TestSaturating(t *testing.T) {
	for _, c := range []struct {
		op    string
		code  int8
		shape []int
		rows  int
		want  int
	}{
		{"MatMul", 127, []int{4, 3}, 4, 1},
		{"MatMul", 64, []int{4, 3}, 4, 0},
		{"MatMul", 127, []int{1, 3}, 1, 0},
		{"MatMul", 127, []int{4, 0}, 4, 0},
		{"MatMul", 127, []int{4}, 4, 0},
		{"MatMul", 127, []int{2, 4, 3}, 4, 1},
		{"MatMul", 127, []int{4, 1, 3}, 1, 0}, // one product each
		{"Add", 127, []int{4, 4}, 4, 0},
		{"Mul", 127, nil, 4, 0},
	} {
		w := tensor.New(tensor.Int8, c.shape...)
		for i := range w.Len() {
			tensor.Of[int8](w)[i] = c.code
		}
		g := &graph.Graph{
			In: []*graph.Value{{Name: "q", Type: graph.Of(tensor.Uint8, 1, c.rows)}},
			Nodes: []*graph.Node{
				{Op: "DequantizeLinear", In: []string{"q", "s"}, Out: []string{"x"}},
				{Op: "DequantizeLinear", In: []string{"w", "s"}, Out: []string{"v"}},
				{Op: c.op, In: []string{"x", "v"}, Out: []string{"y"}},
			},
			Out: []*graph.Value{{Name: "y"}},
		}
		g.SetConst("s", tensor.Scalar(0.5))
		g.SetConst("w", w)
		m := &graph.Model{IR: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g}
		facts, err := op.Infer(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := saturating(m, facts); len(got) != c.want {
			t.Errorf("%s by %v of %d: %v", c.op, c.shape, c.code, got)
		}
	}
}
