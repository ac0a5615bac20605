package pass

import (
	"context"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestInvalidNodes gives passes nodes that no operator takes, which nothing has refused before they
// run: they are left as they are.
func TestInvalidNodes(t *testing.T) {
	const consts = `<float a = {1}, int8 b = {2}, string s = {"yes"}, uint8[2] w = {1, 2}, uint8 z = {0}>`
	for _, c := range []struct {
		node string
		run  func(m *graph.Model) error
	}{
		{"y = Mul (a, b)", Prepare},
		{"y, p, q = DynamicQuantizeLinear (b)", Prepare},
		{"y = Dropout (x, a, s)", Prepare},
		{"y = com.microsoft.FusedConv (x)", Prepare},
		{"y = com.microsoft.FusedMatMul <alpha = 0.5> (x)", Prepare},
		{"y = com.microsoft.FusedMatMul <alpha = 0.5> (s, x)", Prepare},
		{"y = com.microsoft.SkipLayerNormalization (x)", Prepare},
		{"y = com.microsoft.BiasGelu (x)", Prepare},
		{"y = com.microsoft.FastGelu (x)", Prepare},
		{"y = com.microsoft.QuickGelu ()", Prepare},
		{"y = QuantizeLinear (x)", Spread},
		{"y = com.microsoft.MatMulIntegerToFloat (x, w)", Spread},
		{"y = com.microsoft.DynamicQuantizeMatMul (x, z)", Spread},
		{"y = com.microsoft.QAttention (x, z)", Spread},
		{"y = MatMulInteger (x, z)", Spread},
	} {
		m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]> g (float[2] x) => (y) ` + consts + " { " + c.node + " }")
		if err != nil {
			t.Fatal(err)
		}
		op := m.Graph.Nodes[0].Op
		if err := c.run(m); err != nil {
			t.Errorf("%s: %v", c.node, err)
		} else if len(m.Graph.Nodes) != 1 || m.Graph.Nodes[0].Op != op {
			t.Errorf("%s became %s", c.node, m.Text(graph.TextOptions{}))
		}
	}
}

// TestGatherAlongRows holds that weights whose scales run along the axis that is summed over stay
// as they are: no integer product could scale its sums by them.
func TestGatherAlongRows(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[2,2] x) => (float[2,2] y) <int8[2,2] w = {50, -70, 127, 3}, float[2] ws = {0.01, 0.5}> {
  c, s, z = DynamicQuantizeLinear (x)
  d = DequantizeLinear (c, s, z)
  k = DequantizeLinear <axis = 0> (w, ws)
  y = MatMul (d, k)
}`)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*tensor.Tensor{"x": tensor.Float32s([]float32{0.3, -1, 2, 0.7}, 2, 2)}
	want, err := op.Run(m, in, op.Options{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	if err := Gather(m); err != nil {
		t.Fatal(err)
	}
	got, err := op.Run(m, in, op.Options{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got["y"].Raw, want["y"].Raw) {
		t.Errorf("%v, want %v", tensor.Of[float32](got["y"]), tensor.Of[float32](want["y"]))
	}
}
