package pass_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// rowsModel multiplies twice, with a bias and without; its input has rows of very different size.
func rowsModel(t *testing.T, opset string) (*graph.Model, map[string]*tensor.Tensor) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : ` + opset + `]>
g (float[1,4,16] x) => (float[1,4,5] y, float[4,5] z) <float[16,5] w, float[5,16] v, float[5] b, int64[2] s = {4, 16}> {
  y = MatMul (x, w)
  f = Reshape (x, s)
  z = Gemm <transB = 1> (f, v, b)
}`)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	normals := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	m.Graph.SetConst("w", tensor.Float32s(normals(80), 16, 5))
	m.Graph.SetConst("v", tensor.Float32s(normals(80), 5, 16))
	m.Graph.SetConst("b", tensor.Float32s(normals(5), 5))
	x := normals(64)
	for i := range x {
		x[i] *= []float32{1000, 1, 0.001, 0}[i/16] // the last row holds zeros only
	}
	return m, map[string]*tensor.Tensor{"x": tensor.Float32s(x, 1, 4, 16)}
}

// rowNoise is the largest error of each row relative to the row.
func rowNoise(want, got *tensor.Tensor) (noise [4]float64) {
	a, b := tensor.Of[float32](want), tensor.Of[float32](got)
	for r := range noise {
		top := 1e-12
		for _, v := range a[5*r : 5*r+5] {
			top = max(top, math.Abs(float64(v)))
		}
		for i := 5 * r; i < 5*r+5; i++ {
			noise[r] = max(noise[r], math.Abs(float64(a[i])-float64(b[i]))/top)
		}
	}
	return noise
}

// TestDynamicRows gives each row its own scale: small rows are as exact as large ones, which they are
// not where all share one.
func TestDynamicRows(t *testing.T) {
	for _, opset := range []string{"13", "18"} {
		for _, rows := range []bool{false, true} {
			m, in := rowsModel(t, opset)
			want, err := op.Run(m, in, op.Options{})
			if err != nil {
				t.Fatal(err)
			}
			facts, err := op.Infer(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			set, err := plan.Default("W8A8")
			if err != nil {
				t.Fatal(err)
			}
			set.Mode = plan.Dynamic
			if rows {
				set.Acts.Block = format.Block{Kind: format.Channel}
			}
			p := plan.Decide(m, facts, set, nil)
			if err := p.Fit(m, nil, set, 1); err != nil {
				t.Fatal(err)
			}
			if err := pass.Dynamic(m, p); err != nil {
				t.Fatal(err)
			}
			if rows {
				checkScaledInTurn(t, m.Graph)
			}
			got, err := op.Run(m, in, op.Options{})
			if err != nil {
				t.Fatal(err)
			}
			y := rowNoise(want["y"], got["y"])
			if rows && max(y[0], y[1], y[2], y[3]) > 0.03 {
				t.Errorf("opset %s: relative errors of rows %v", opset, y)
			}
			if !rows && y[2] < 0.5 {
				t.Errorf("opset %s: with one scale the small row is off by %v only", opset, y[2])
			}
		}
	}
}

// checkScaledInTurn holds sums to be multiplied by a constant first: a runtime that finds them multiplied by the
// product of two scales may take that of the activations to be one for all rows.
func checkScaledInTurn(t *testing.T, g *graph.Graph) {
	t.Helper()
	x, seen := g.Index(), 0
	for _, n := range g.Nodes {
		if n.Op != "MatMulInteger" {
			continue
		}
		seen++
		mul := x.OnlyUse(x.OnlyUse(n.Out[0]).Out[0])
		if mul.Op != "Mul" || g.ConstTensor(mul.In[1]) == nil {
			t.Errorf("%s: its sums go through %s of %v", n.Name, mul.Op, mul.In)
		}
	}
	if seen == 0 {
		t.Error("no product on integers")
	}
}

// TestSplitColumns splits two columns off a product; the network stays the same.
func TestSplitColumns(t *testing.T) {
	m, in := rowsModel(t, "13")
	want, err := op.Run(m, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	split := pass.SplitColumns(m, func(string) []int { return []int{3, 15} })
	if len(split) != 2 {
		t.Errorf("split: %v", split)
	}
	got, err := op.Run(m, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"y", "z"} {
		if n := rowNoise(want[name], got[name]); max(n[0], n[1], n[2], n[3]) > 1e-5 {
			t.Errorf("%s changes by %v", name, n)
		}
	}
	if all := pass.SplitColumns(m, func(string) []int { return nil }); len(all) != 0 {
		t.Errorf("without columns: %v", all)
	}
}
