package pass

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/plan"
)

// TestLower takes networks of opset 28 back, unless one of their nodes is not the same before.
func TestLower(t *testing.T) {
	for _, c := range []struct {
		name, nodes string
		want        int
	}{
		{"unchanged", "y = Relu(x)", 27},
		{"more types", "y = Celu(x)", 27},
		{"an attribute without which it was", `a = DepthToSpace<blocksize = 1>(x)
  y = SpaceToDepth<blocksize = 1>(a)`, 27},
		{"a new attribute", `y = SpaceToDepth<blocksize = 1, mode = "CRD">(x)`, 28},
		{"an operator of its own", "y = my.Relu(x)", 27},
	} {
		m, err := graph.ParseText("<ir_version: 10, opset_import: [\"\" : 28, \"my\" : 1]>\ng (float[1,4,2,2] x) => (float[1,4,2,2] y) {\n  " + c.nodes + "\n}")
		if err != nil {
			t.Fatal(err)
		}
		if err := Lower(m, plan.LookupTarget("this")); err != nil || m.Opset("") != 28 {
			t.Errorf("%s: this engine gets opset %d: %v", c.name, m.Opset(""), err)
		}
		if err := Lower(m, plan.LookupTarget("ort-cpu")); err != nil || m.Opset("") != c.want {
			t.Errorf("%s: opset %d, want %d: %v", c.name, m.Opset(""), c.want, err)
		}
	}
}
