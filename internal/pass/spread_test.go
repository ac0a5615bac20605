package pass

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestSpread holds that operators on codes and what they are spread into compute the same, but for ties.
func TestSpread(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>
g (float[1,2,4,4] x) => (float[1,2,2,2] y) <
  float s = {0.02}, uint8 z = {128}, float[3] ws = {0.01, 0.02, 0.005}, int8 wz = {0}, int32[3] b = {100, -50, 7},
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

// TestSpreadDynamic holds that products whose scale is found while running and what they are spread into
// compute the same, but for rounding: in every form in which tools write them.
func TestSpreadDynamic(t *testing.T) {
	const weights = `int8[4,3] w = {50, -70, 127, 3, -9, 80, 1, 2, 3, -4, 5, -127}, int8 wz = {0}, float[3] ws = {0.01, 0.02, 0.005}, float one = {0.02}, float[3] b = {1, -2, 3},
  int8[3,2,1,1] k = {50, -70, 127, 3, -9, 80}, float[3,1,1] ks = {0.01, 0.02, 0.005}, float[1,3,1,1] kb = {1, -2, 3}`
	for name, text := range map[string]string{
		"matmul": `g (float[2,4] x) => (float[2,3] y) <` + weights + `> {
  c, s, z = DynamicQuantizeLinear (x)
  [p] i = MatMulInteger (c, w, z, wz)
  f = Cast <to = 1> (i)
  m = Mul (s, ws)
  y = Mul (f, m)
}`,
		"one factor after the other": `g (float[2,4] x) => (float[2,3] y) <` + weights + `> {
  c, s, z = DynamicQuantizeLinear (x)
  [p] i = MatMulInteger (c, w, z, wz)
  f = Cast <to = 1> (i)
  m = Mul (s, f)
  h = Mul (one, m)
  y = Add (h, b)
}`,
		"conv": `g (float[1,2,2,2] x) => (float[1,3,2,2] y) <` + weights + `> {
  c, s, z = DynamicQuantizeLinear (x)
  [p] i = ConvInteger (c, k, z, wz)
  f = Cast <to = 1> (i)
  m = Mul (s, ks)
  h = Mul (f, m)
  y = Add (h, kb)
}`,
		"contrib": `g (float[2,4] x) => (float[2,3] y) <` + weights + `> {
  [p] h = com.microsoft.DynamicQuantizeMatMul (x, w, ws, wz, b)
  c, s, z = DynamicQuantizeLinear (x)
  [r] k2 = com.microsoft.MatMulIntegerToFloat (c, w, s, one, z, wz, b)
  y = Add (h, k2)
}`,
		"attention": `g (float[1,2,4] x) => (float[1,2,1] y) <` + weights + `> {
  c, s, z = DynamicQuantizeLinear (x)
  [p] y = com.microsoft.QAttention <num_heads = 1> (c, w, b, s, ws, , z, wz)
}`,
		"rows": `g (float[2,4] x) => (float[2,3] y) <` + weights + `, uint8 z = {128}, float half = {127.0}, float mid = {128.0}> {
  a = Abs (x)
  top = ReduceMax <axes = [-1]> (a)
  s = Div (top, half)
  q = Div (x, s)
  r = Round (q)
  v = Add (r, mid)
  c = Cast <to = 2> (v)
  [p] i = MatMulInteger (c, w, z, wz)
  f = Cast <to = 1> (i)
  m = Mul (s, ws)
  y = Mul (f, m)
}`,
	} {
		m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]> ` + text)
		if err != nil {
			t.Fatal(name, err)
		}
		s := Clone(m)
		if err := Spread(s); err != nil {
			t.Fatal(name, err)
		}
		shape, _ := m.Graph.In[0].Type.Static()
		x := []float32{0.3, -1, 2, 0.7, 1.1, -0.4, 0.2, -2.5}
		in := map[string]*tensor.Tensor{"x": tensor.Float32s(x, shape...)}
		want, err := op.Run(m, in, op.Options{Context: context.Background()})
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := op.Run(s, in, op.Options{Context: context.Background()})
		if err != nil {
			t.Fatal(name, err)
		}
		for _, n := range s.Graph.Nodes {
			if integerForms[n.Op].op != "" || contribForms[n.Op] != nil {
				t.Errorf("%s: %s is left", name, n.Label())
			}
		}
		if err := Gather(s); err != nil {
			t.Fatal(name, err)
		}
		again, err := op.Run(s, in, op.Options{Context: context.Background()})
		if err != nil {
			t.Fatal(name, err)
		}
		for i, v := range tensor.Of[float32](want["y"]) {
			for _, got := range []float32{tensor.Of[float32](got["y"])[i], tensor.Of[float32](again["y"])[i]} {
				if d := math.Abs(float64(v - got)); d > 1e-5 {
					t.Errorf("%s: element %d: %v, want %v", name, i, got, v)
				}
			}
		}
		if on := slices.ContainsFunc(s.Graph.Nodes, func(n *graph.Node) bool { return integerForms[n.Op].op != "" }); on != (name != "rows" && name != "attention") {
			t.Errorf("%s: gathered on integers: %v", name, on)
		}
	}
}

// TestSpreadRecurrence holds that an LSTM on codes is spread into the one on their values, which differs by the
// rounding of the states alone.
func TestSpreadRecurrence(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>
g (float[3,1,2] x) => (float[3,1,1,1] y) <
  int8[1,2,4] w = {50, -70, 127, 3, -9, 80, 1, 2}, float[1,4] ws = {0.01, 0.02, 0.005, 0.01}, int8[1,4] wz = {0, 0, 0, 0},
  int8[1,1,4] r = {50, -70, 12, 30}, float[1] rs = {0.01}, int8[1] rz = {0}, float[1,8] b = {1, 2, 3, 4, 0, 0, 0, 0}
> {
  [p] y = com.microsoft.DynamicQuantizeLSTM <hidden_size = 1> (x, w, r, b, , , , , ws, wz, rs, rz)
}`)
	if err != nil {
		t.Fatal(err)
	}
	s := Clone(m)
	if err := Spread(s); err != nil {
		t.Fatal(err)
	}
	in := map[string]*tensor.Tensor{"x": tensor.Float32s([]float32{0.3, -1, 2, 0.7, 1.1, -0.4}, 3, 1, 2)}
	want, err := op.Run(m, in, op.Options{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := op.Run(s, in, op.Options{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensor.Of[float32](want["y"]) {
		if d := math.Abs(float64(v - tensor.Of[float32](got["y"])[i])); d > 2e-3 {
			t.Errorf("step %d: %v, want %v", i, tensor.Of[float32](got["y"])[i], v)
		}
	}
}
