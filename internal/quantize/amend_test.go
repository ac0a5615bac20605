package quantize

import (
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// TestNothingStays tries repairs on a layer whose bias asks for larger scales of its weights than any repair would
// choose: what moves them moves nothing in the end, and is told so.
func TestNothingStays(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[8,8] x) => (float[8,8] y) <float[8,8] w, float[8] c> { y = Gemm (x, w, c) }`)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	normals := func(times float64, shape ...int) *tensor.Tensor {
		x := make([]float32, tensor.Elements(shape))
		for i := range x {
			x[i] = float32(times * r.NormFloat64())
		}
		return tensor.Float32s(x, shape...)
	}
	m.Graph.SetConst("w", normals(1e-7, 8, 8))
	m.Graph.SetConst("c", normals(1e3, 8))
	x := normals(1, 8, 8)
	data := dataset.New(dataset.Info{Form: "made", Path: "one", Total: 2}, func(int) (*dataset.Sample, error) {
		return &dataset.Sample{Inputs: map[string]*tensor.Tensor{"x": x}}, nil
	})
	set, err := plan.Default("W4A8")
	if err != nil {
		t.Fatal(err)
	}
	res, err := Run(t.Context(), m, Options{Settings: set, Data: data, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range res.Fixes {
		if f.Name != "kquant" {
			continue
		}
		if seen++; f.Made || len(f.Changes) > 0 || !strings.Contains(f.Note, "stays as it was") {
			t.Errorf("%+v", f)
		}
	}
	if seen == 0 {
		t.Error("the repair was not tried")
	}
}
