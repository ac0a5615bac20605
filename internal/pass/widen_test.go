package pass_test

import (
	"math"
	"runtime"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// TestWiden makes float32 of what computes in 16 bits, in branches too, and leaves inputs and outputs as they are.
func TestWiden(t *testing.T) {
	m := parseModel(t, `g (float16[2,2] x, bool c) => (float16[2,2] y, float16[2,2] z) <float16[2,2] w = {15872, 16384, 16896, 50176}, float16 one = {15360}> {
  h = MatMul (x, w)
  k = Cast <to = 10> (one)
  z = Add (h, k)
  y = If <then_branch = a () => (float16[2,2] p) { p = Mul (z, x) }, else_branch = b () => (float16[2,2] q) { q = Identity (h) }> (c)
}`)
	in := map[string]*tensor.Tensor{"c": {DType: tensor.Bool, Raw: []byte{1}}}
	var err error
	if in["x"], err = format.FromFloats(tensor.Float16, []float64{0.5, -1, 2, 0.25}, true, 2, 2); err != nil {
		t.Fatal(err)
	}
	want, err := op.Run(m, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := pass.Widen(m); !ok || err != nil {
		t.Fatal(ok, err)
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := facts["h"].Type.DType; d != tensor.Float32 {
		t.Errorf("the product is %v", d)
	}
	got, err := op.Run(m, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"y", "z"} {
		a, _ := format.Floats(want[name])
		b, _ := format.Floats(got[name])
		if got[name].DType != tensor.Float16 || len(a) != len(b) {
			t.Fatalf("%s: %v", name, got[name])
		}
		for i := range a {
			if math.Abs(a[i]-b[i]) > 0.01 {
				t.Errorf("%s: %v, want %v", name, b, a)
			}
		}
	}
}

// TestWidenNot leaves networks that compute in float32, from constants of 16 bits, and those whose bits are read.
func TestWidenNot(t *testing.T) {
	for _, text := range []string{
		`g (float[2,2] x) => (float[2,2] y) <float16[2,2] w = {1, 2, 3, 4}> {
  v = Cast <to = 1> (w)
  y = MatMul (x, v)
}`,
		`<ir_version: 13, opset_import: ["" : 26]>
g (float16[2,2] x) => (int16[2,2] y) <float16[2,2] w = {1, 2, 3, 4}> {
  v = MatMul (x, w)
  y = BitCast <to = 5> (v)
}`,
	} {
		m := parseModel(t, text)
		if ok, err := pass.Widen(m); ok || err != nil {
			t.Errorf("%v %v of %s", ok, err, text)
		}
	}
}

// TestHalvesReadAsTheyAre makes no floats of 16-bit constants that no Cast reads.
func TestHalvesReadAsTheyAre(t *testing.T) {
	m := parseModel(t, `<ir_version: 8, opset_import: ["" : 17]> g (float16[N,1024] x) => (float16[N,1024] y) { y = MatMul (x, w) }`)
	m.Graph.SetConst("w", tensor.New(tensor.Float16, 1024, 1024))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := pass.Halves.Run(m); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<19 {
		t.Errorf("a million constants took %d bytes", n)
	}
}
