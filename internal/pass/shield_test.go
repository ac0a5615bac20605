package pass_test

import (
	"fmt"
	"slices"
	"testing"

	"lowbit/internal/pass"
)

// TestFloatBetween finds layers in float between codes, behind what moves values too, and no others.
func TestFloatBetween(t *testing.T) {
	for _, c := range []struct {
		name, nodes string
		want        []string
	}{
		{"next to each other", `[c] b = Conv (a, w)
  e = QuantizeLinear (b, s)`, []string{"c"}},
		{"behind a pool and a clamp", `p = MaxPool <kernel_shape = [2, 2]> (a)
  [c] b = Conv (p, w)
  [r] r = Relu (b)
  e = QuantizeLinear (r, s)`, []string{"c"}},
		{"two readers", `[c] b = Conv (a, w)
  e = QuantizeLinear (b, s)
  f = Relu (b)`, nil},
		{"a sum in between", `[c] b = Conv (a, w)
  r = Add (b, b)
  e = QuantizeLinear (r, s)`, nil},
		{"a weight that is computed", `v = Relu (w)
  [c] b = Conv (a, v)
  e = QuantizeLinear (b, s)`, nil},
		{"behind a Clip", `k = Clip (a)
  [c] b = Conv (k, w)
  e = QuantizeLinear (b, s)`, nil},
	} {
		m := parseModel(t, fmt.Sprintf(`g (uint8[1,2,4,4] x) => (uint8[1,2,M,N] e) <float s = {0.5}, float[2,2,1,1] w = {1, 2, 3, 4}> {
  a = DequantizeLinear (x, s)
  %s
}`, c.nodes))
		if got := pass.FloatBetween(m); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		pass.Shield(m)
		if got := pass.FloatBetween(m); got != nil {
			t.Errorf("%s: %v behind a shield", c.name, got)
		}
	}
}

// TestFloatBetweenOdd passes over a layer that writes nothing, which a file may hold.
func TestFloatBetweenOdd(t *testing.T) {
	m := parseModel(t, `g (uint8[1,2,4,4] x) => (uint8[1,2,4,4] e) <float s = {0.5}, float[2,2,1,1] w = {1, 2, 3, 4}> {
  a = DequantizeLinear (x, s)
  [c] b = Conv (a, w)
  e = QuantizeLinear (a, s)
}`)
	m.Graph.Nodes[1].Out = nil
	if got := pass.FloatBetween(m); got != nil {
		t.Errorf("%v", got)
	}
}

// TestNarrowed finds products of floats and of 16-bit codes with stored matrices, and not those of bytes.
func TestNarrowed(t *testing.T) {
	m := parseModel(t, `g (float[2,2] x) => (float[2,2] a, float[2,2] b, float[2,2] c, float[2,2] d) <float s = {0.5}, uint16 z16 = {7}, uint8 z8 = {7}, int8[2,2] w = {1, 2, 3, 4}> {
  v = DequantizeLinear (w, s)
  [float] a = MatMul (x, v)
  q16 = QuantizeLinear (x, s, z16)
  x16 = DequantizeLinear (q16, s, z16)
  [wide] b = MatMul (x16, v)
  q8 = QuantizeLinear (x, s, z8)
  x8 = DequantizeLinear (q8, s, z8)
  [bytes] c = MatMul (x8, v)
  [flows] d = MatMul (a, b)
}`)
	if got, want := pass.Narrowed(m), []string{"float", "wide"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
