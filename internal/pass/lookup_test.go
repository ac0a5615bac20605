package pass_test

import (
	"math/rand/v2"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// TestLookUp stores a table that two nodes look rows up in once, in codes by row, in every mode, and
// an output of the network keeps its name.
func TestLookUp(t *testing.T) {
	for _, arg := range []string{"scheme: W8A8", "mode: dynamic", "mode: weights"} {
		m := parseModel(t, `g (int64[2,3] i, int64[K] j) => (float[2,3,64] y, float[K,64] r) <float[600,64] e, float[64,64] w> {
  [look] x = Gather <axis = 0> (e, i)
  [a] y = MatMul (x, w)
  [out] r = Gather (e, j)
}`)
		rng := rand.New(rand.NewPCG(1, 2))
		random := func(name string, rows int) {
			v := make([]float32, rows*64)
			for k := range v {
				v[k] = float32(rng.NormFloat64())
			}
			m.Graph.SetConst(name, tensor.Float32s(v, rows, 64))
		}
		random("e", 600)
		random("w", 64)
		in := map[string]*tensor.Tensor{"i": tensor.Wrap(tensor.Int64, []int64{0, 599, -1, 7, 7, 300}, 2, 3), "j": tensor.Vector(5, -600)}
		want, err := op.Run(m, in, op.Options{})
		if err != nil {
			t.Fatal(err)
		}
		q := pass.Clone(m)
		if err := quantizeCase(t, q, arg, ""); err != nil {
			t.Fatal(arg, err)
		}
		if l := graph.Check(q, graph.Limits{}); l.Len() > 0 {
			t.Errorf("%s: %v", arg, l)
		}
		codes := 0
		for _, c := range q.Graph.Consts() {
			if c.Tensor.Len() == 600*64 {
				if codes++; c.Tensor.DType != tensor.Int8 {
					t.Errorf("%s: %s is %s", arg, c.Name, c.Tensor)
				}
			}
		}
		got, err := op.Run(q, in, op.Options{})
		if err != nil {
			t.Fatal(arg, err)
		}
		for name, least := range map[string]float64{"y": 20, "r": 40} {
			var d report.Diff
			if d.Add(tensor.Of[float32](want[name]), tensor.Of[float32](got[name])); d.SQNR() < least || codes != 1 {
				t.Errorf("%s: %s at %.1f dB, %d tables", arg, name, d.SQNR(), codes)
			}
		}
	}
}
