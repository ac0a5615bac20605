package pass_test

import (
	"testing"

	"lowbit/internal/pass"
)

// TestFlows names the formats of activations from the networks that they were written into.
func TestFlows(t *testing.T) {
	for _, name := range []string{"int8", "uint8", "int16", "uint16", "int4", "uint4", "int2", "uint2", "ristretto8", "ristretto4", "fp16", "bf16", "fp8-e4m3", "fp8-e5m2", "log4", "log4-sqrt2", "log5"} {
		m := parseModel(t, `<ir_version: 10, opset_import: ["" : 21]>
g (float[2,2] x) => (float[2,2] z) <float[2,2] w = {1, -2, 0.5, 0.25}, float[2] c = {1, 2}> {
  [a] y = MatMul (x, w)
  [b] u = Mul (y, c)
  [c] z = MatMul (u, w)
}`)
		if err := quantizeCase(t, m, "activations: {format: "+name+"}", "qdq"); err != nil {
			t.Fatal(name, err)
		}
		if got := pass.Flows(m); got[name] != 3 || len(got) != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
