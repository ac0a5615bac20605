package conform

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// FuzzInfer decodes bytes as a model and infers its shapes: no panic, and no model of some
// kilobytes may take long.
func FuzzInfer(f *testing.F) {
	for _, name := range []string{"Relu", "Shape", "NonZero", "Gelu"} {
		b, err := onnx.Encode(oneNode(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(loopModel(f))
	seeds, _ := filepath.Glob("../../../shared/data/onnx-conformance/node/*/model.onnx")
	for i, path := range seeds {
		if b, err := os.ReadFile(path); err == nil && len(b) < 4096 && (i%8 == 0 || os.Getenv("LOWBIT_FUZZ") != "") {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		m, err := onnx.Decode(b, onnx.Limits{Memory: 1 << 24})
		if err != nil {
			return
		}
		start := time.Now()
		_, _ = op.Infer(m, nil)
		if d := time.Since(start); d > 5*time.Second {
			t.Fatalf("inference takes %v", d)
		}
	})
}

// loopModel is a model with a subgraph, a constant and shape arithmetic.
func loopModel(t testing.TB) []byte {
	m := oneNode("Shape")
	g := m.Graph
	g.Nodes[0].Out[0] = "s"
	g.SetConst("three", tensor.Int64s([]int64{3}))
	g.SetConst("go", tensor.Wrap(tensor.Bool, []bool{true}))
	body := &graph.Graph{Name: "body", Nodes: []*graph.Node{
		{Op: "Concat", In: []string{"v", "s"}, Out: []string{"w"}, Attrs: []*graph.Attr{{Name: "axis", Value: int64(0)}}},
		{Op: "Identity", In: []string{"go"}, Out: []string{"on"}}}}
	for i, name := range []string{"i", "c", "v"} {
		typ := []graph.Type{graph.Of(tensor.Int64), graph.Of(tensor.Bool), graph.OfDims(tensor.Int64, []graph.Dim{graph.Unknown})}[i]
		body.In = append(body.In, &graph.Value{Name: name, Type: typ})
	}
	body.Out = []*graph.Value{{Name: "on", Type: graph.Of(tensor.Bool)}, {Name: "w", Type: graph.OfDims(tensor.Int64, []graph.Dim{graph.Unknown})}}
	g.Nodes = append(g.Nodes,
		&graph.Node{Op: "Loop", In: []string{"three", "", "s"}, Out: []string{"l"}, Attrs: []*graph.Attr{{Name: "body", Value: body}}},
		&graph.Node{Op: "Slice", In: []string{"l", "s", "l"}, Out: []string{"y"}})
	g.Out[0].Type = graph.OfDims(tensor.Int64, []graph.Dim{graph.Unknown})
	b, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.Decode(b, onnx.Limits{}); err != nil {
		t.Fatal(err)
	}
	return b
}
