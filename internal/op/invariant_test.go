package op

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Loops that carry values round unchanged compute the same without them.
func TestInvariants(t *testing.T) {
	for _, c := range []struct {
		name, body string
		left       int // inputs of the node that is made, 0 where none is
	}{
		{"weights", `y, kept = Loop <body = b (int64 i, bool c, float[1,2] s, float[2,2] v) => (c2, s2, v2) {
			c2 = Identity (c) v1 = Identity (v) s2 = MatMul (s, v1) v2 = Identity (v1) }> (n, "", x, w)`, 3},
		{"handed on as they come", `y, kept = Loop <body = b (int64 i, bool c, float[1,2] s, float[2,2] v) => (c2, s2, v) {
			c2 = Identity (c) s2 = MatMul (s, v) }> (n, "", x, w)`, 3},
		{"in a branch within", `y, kept = Loop <body = b (int64 i, bool c, float[1,2] s, float[2,2] v) => (c2, s2, v) {
			c2 = Identity (c)
			s2 = If <then_branch = t () => (a) { a = MatMul (s, v) }, else_branch = e () => (a2) { a2 = Identity (s) }> (c) }> (n, "", x, w)`, 3},
		{"changed", `y, kept = Loop <body = b (int64 i, bool c, float[1,2] s, float[2,2] v) => (c2, s2, v2) {
			c2 = Identity (c) s2 = MatMul (s, v) v2 = Neg (v) }> (n, "", x, w)`, 0},
		{"swapped", `y, kept = Loop <body = b (int64 i, bool c, float[2,2] u, float[2,2] v) => (c2, v2, u2) {
			c2 = Identity (c) v2 = Identity (v) u2 = Identity (u) }> (n, "", w, w2)`, 0},
		{"the body's own value of that name", `y, kept = Loop <body = b (int64 i, bool c, float[1,2] s, float[2,2] v) => (c2, s2, v) {
			c2 = Identity (c) w = Neg (v) s2 = MatMul (s, w) }> (n, "", x, w)`, 0},
		{"gathered too", `y, kept, all = Loop <body = b (int64 i, bool c, float[1,2] s, float[2,2] v) => (c2, s2, v, v) {
			c2 = Identity (c) s2 = MatMul (s, v) }> (n, "", x, w)`, 0},
		{"scan of less than nothing", `y, kept, each = Scan <num_scan_inputs = -1, body = b (float[1,2] s, float[2,2] v, float[2] e) => (s2, v2, s3) {
			p = MatMul (s, v) s2 = Add (p, e) v2 = Neg (v) s3 = Identity (s2) }> (x, w, w2)`, 0},
		{"scan", `y, kept, each = Scan <num_scan_inputs = 1, body = b (float[1,2] s, float[2,2] v, float[2] e) => (s2, v2, s3) {
			p = MatMul (s, v) s2 = Add (p, e) v2 = Identity (v) s3 = Identity (s2) }> (x, w, w2)`, 2},
	} {
		text := `<ir_version: 8, opset_import: ["" : 17]> g (int64 n, float[1,2] x) => (y, kept)
			<float[2,2] w = {1, 2, 3, 4}, float[2,2] w2 = {1, 0, 2, 1}> { ` + c.body + ` }`
		m, err := graph.ParseText(text)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		list := Invariants(m.Graph.Nodes[0])
		if c.left == 0 {
			if list != nil {
				t.Errorf("%s: taken out", c.name)
			}
			continue
		}
		if len(list) == 0 || len(list[0].In) != c.left {
			t.Errorf("%s: %d nodes, the loop is not one of %d inputs", c.name, len(list), c.left)
			continue
		}
		for _, turns := range []int64{0, 1, 3} {
			in := map[string]*tensor.Tensor{"n": tensor.Wrap(tensor.Int64, []int64{turns}), "x": tensor.Float32s([]float32{1, -1}, 1, 2)}
			changed := *m
			g := *m.Graph
			g.Nodes, changed.Graph = list, &g
			want, err := Run(m, in, Options{})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := Run(&changed, in, Options{})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for name, w := range want {
				if !sameValue(got[name], w) {
					t.Errorf("%s: after %d turns %s is %v, want %v", c.name, turns, name, got[name], w)
				}
			}
		}
	}
}
