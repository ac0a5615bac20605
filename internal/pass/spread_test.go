package pass

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestSpread holds that operators on codes and what they are spread into compute the same, but for ties.
func TestSpread(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>
g (float[1,2,4,4] x) => (float[1,2,2,2] y) <
  float s = {0.02}, uint8 z = {128}, float[3] ws = {0.01, 0.02, 0.005}, int8[3] wz = {0, 0, 0}, int32[3] b = {100, -50, 7},
  float t = {0.05}, uint8 tz = {100}, int8[3,2,1,1] w = {50, -70, 127, 3, -9, 80}, int64[1] from = {0}, int64[1] to = {2}, int64[1] axis = {1}
> {
  c = QuantizeLinear (x, s, z)
  d = QLinearConv (c, s, z, w, ws, wz, t, tz, b)
  e = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (d)
  f = Slice (e, from, to, axis)
  h = com.microsoft.QLinearAdd (f, t, tz, f, t, tz, t, tz)
  y = DequantizeLinear (h, t, tz)
}`)
	if err != nil {
		t.Fatal(err)
	}
	s := Clone(m)
	if err := Spread(s); err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Graph.Nodes {
		if IsQuantized(n) && n.Op != "QuantizeLinear" && n.Op != "DequantizeLinear" {
			t.Errorf("%s is left", n.Label())
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 32)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	in := map[string]*tensor.Tensor{"x": tensor.Float32s(x, 1, 2, 4, 4)}
	want, err := op.Run(m, in, op.Options{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := op.Run(s, in, op.Options{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensor.Of[float32](want["y"]) {
		if d := math.Abs(float64(v - tensor.Of[float32](got["y"])[i])); d > 1e-6 {
			t.Errorf("element %d: %v, want %v", i, tensor.Of[float32](got["y"])[i], v)
		}
	}
}
