package pass_test

import (
	"fmt"
	"slices"
	"testing"

	"lowbit/internal/graph"
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
		{"a weight that is computed from constants", `u = Cast <to = 1> (q)
  v = Mul (u, s)
  [c] b = Conv (a, v)
  e = QuantizeLinear (b, s)`, []string{"c"}},
		{"a weight in codes", `v = DequantizeLinear (q, s)
  [c] b = Conv (a, v)
  e = QuantizeLinear (b, s)`, nil},
		{"a weight that is computed from what flows", `t = DequantizeLinear (x, s)
  u = ReduceMean <axes = [0, 2, 3]> (t)
  v = Mul (w, u)
  [c] b = Conv (a, v)
  e = QuantizeLinear (b, s)`, nil},
		{"behind a Clip", `k = Clip (a)
  [c] b = Conv (k, w)
  e = QuantizeLinear (b, s)`, nil},
	} {
		m := parseModel(t, fmt.Sprintf(`g (uint8[1,2,4,4] x) => (uint8[1,2,M,N] e) <float s = {0.5}, float[2,2,1,1] w = {1, 2, 3, 4}, int8[2,2,1,1] q = {1, 2, 3, 4}> {
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

// TestShieldBias keeps a float bias from 32 bits that do not hold it in steps of the scales' product, and from steps at all beside
// 8-bit floats.
func TestShieldBias(t *testing.T) {
	for _, c := range []struct {
		name, s, bias, codes string
		want                 int
	}{
		{"as bytes have them", "0.01", "{1, 2}", "int8", 0},
		{"beyond 32 bits", "0.00001", "{0.1, 2}", "int8", 1},
		{"below them", "0.00001", "{0.1, -0.2}", "int8", 0},
		{"one beyond, the other way", "0.00001", "{-0.3, 0}", "int8", 1},
		{"8-bit floats", "0.01", "{1, 2}", "float8e5m2", 1},
	} {
		m := parseModel(t, fmt.Sprintf(`g (float8e5m2[1,2,4,4] x) => (uint8[1,2,4,4] e) <float s = {%s}, float[2] t = {0.00001, 0.00002}, float[2] b = %s, %s[2,2,1,1] w = {1, 2, 3, 4}> {
  a = DequantizeLinear (x, s)
  v = DequantizeLinear <axis = 0> (w, t)
  [c] y = Conv (a, v, b)
  r = Relu (y)
  e = QuantizeLinear (r, s)
}`, c.s, c.bias, c.codes))
		pass.Shield(m)
		if got := countOps(m, "Clip"); got != c.want {
			t.Errorf("%s: %d shields, want %d", c.name, got, c.want)
		}
	}
}

// TestShieldTwoBits keeps convolutions and products of codes with weights of two bits as they are, and lets others become what they may.
func TestShieldTwoBits(t *testing.T) {
	for _, c := range []struct {
		weights, node string
		want          int
	}{
		{"int2", "Conv (a, v)", 1}, {"uint2", "Conv (a, v)", 1}, {"int4", "Conv (a, v)", 0}, {"int2", "ConvTranspose (a, v)", 0}, {"int2", "Conv (f, v)", 0},
		{"int2", "MatMul (a, v)", 1}, {"int8", "MatMul (a, v)", 0}, {"int2", "Relu (a)\n  z = MatMul (y, v)", 0},
	} {
		m := parseModel(t, fmt.Sprintf(`<ir_version: 13, opset_import: ["" : 25]>
g (uint8[1,2,4,4] x, float[1,2,4,4] f) => (uint8[1,2,4,4] e) <float s = {0.5}, %s[2,2,1,1] w = {1, 0, 1, 1}> {
  a = DequantizeLinear (x, s)
  v = DequantizeLinear (w, s)
  y = %s
  e = QuantizeLinear (y, s)
}`, c.weights, c.node))
		pass.Shield(m)
		if got := countOps(m, "Clip"); got != c.want {
			t.Errorf("%s %s: %d shields, want %d", c.weights, c.node, got, c.want)
		}
	}
}

// TestShieldSigned stands in the way of a QuantizeLinear to int8 that would move, where its type is an attribute.
func TestShieldSigned(t *testing.T) {
	const down, up, between = `a = DequantizeLinear (c, s, z)
  b = Reshape (a, n)
  y = Relu (b)`, `a = Relu (x)
  b = Reshape (a, n)
  q = QuantizeLinear (b, s, z)
  y = DequantizeLinear (q, s, z)`, `a = DequantizeLinear (c, s, z)
  b = Reshape (a, n)
  q = QuantizeLinear (b, s, z)
  y = DequantizeLinear (q, s, z)`
	for _, c := range []struct {
		name, kind, nodes string
		opset, want       int
	}{
		{"down", "int8", down, 21, 1}, {"up", "int8", up, 21, 1}, {"between codes", "int8", between, 21, 0},
		{"unsigned", "uint8", down, 21, 0}, {"unsigned, up", "uint8", up, 21, 0}, {"no attribute", "int8", down, 19, 0}, {"no attribute, up", "int8", up, 19, 0},
	} {
		m := parseModel(t, fmt.Sprintf(`<ir_version: 10, opset_import: ["" : %d]>
g (%s[2,2] c, float[2,2] x) => (float[4] y) <float s = {0.5}, %s z = {0}, int64[1] n = {4}> {
  %s
}`, c.opset, c.kind, c.kind, c.nodes))
		pass.Shield(m)
		if got := countOps(m, "Clip"); got != c.want {
			t.Errorf("%s: %d shields, want %d", c.name, got, c.want)
		}
	}
}

func countOps(m *graph.Model, op string) (n int) {
	for _, node := range m.Graph.Nodes {
		if node.Op == op {
			n++
		}
	}
	return n
}
