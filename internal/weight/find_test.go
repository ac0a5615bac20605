package weight

import (
	"runtime"
	"slices"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestFind lists the weights of a model, each once for the node that reads it, and nothing that
// they are made of.
func TestFind(t *testing.T) {
	x := sample(40, 32)
	b := format.Block{Kind: format.Group, Axis: 0, Size: 16}
	for _, f := range []*format.Format{format.NVFP4, format.NF4, format.MXFP4, format.Int4, format.Log5} {
		p, err := f.FitTensor(tensor.Of[float32](x), x.Shape, b)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Encode(x, f, b, p)
		if err != nil {
			t.Fatal(err)
		}
		m := spelled(t, c, (*Writer).Write)
		m.Graph.Nodes = append(m.Graph.Nodes, &graph.Node{Op: "MatMul", In: []string{"x", "y"}, Out: []string{"z"}}, &graph.Node{Op: "MatMul", In: []string{"z", "y"}, Out: []string{"v"}})
		found := Find(m)
		if len(found) != 2 || found[0].Format != f || found[0].Name != "y" || found[1].Node.Out[0] != "v" {
			t.Errorf("%s: found %d", f.Name, len(found))
		}
		for _, w := range found {
			if got := w.Load(); w.Codes != nil || got == nil || !slices.Equal(got.Codes, c.Codes) || w.Bits() != c.Bits() {
				t.Errorf("%s: loaded %v, with %d codes before", f.Name, got, len(w.Codes))
			}
		}
	}
}

// TestFindTwin lists weights behind ONNX Runtime's own DequantizeLinear.
func TestFindTwin(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	g.SetConst("w", tensor.New(tensor.Int8, 4, 3))
	g.SetConst("s", tensor.Float32s([]float32{1, 2, 3, 4}, 4))
	d := &graph.Node{Op: "DequantizeLinear", Domain: "com.microsoft", In: []string{"w", "s"}, Out: []string{"y"}}
	d.SetAttr("axis", int64(0))
	g.Nodes = []*graph.Node{d, {Op: "MatMul", In: []string{"y", "x"}, Out: []string{"z"}}}
	if found := Find(&graph.Model{Graph: g}); len(found) != 1 || found[0].Format != format.Int8 || found[0].Name != "y" {
		t.Errorf("found %v", found)
	}
}

// TestFindIntegers lists the weights of operators on codes, and those that are stored as halves.
func TestFindIntegers(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	g.SetConst("w", tensor.New(tensor.Int8, 4, 3, 1, 1))
	g.SetConst("s", tensor.Float32s([]float32{1, 2, 3, 4}, 4))
	g.SetConst("z", tensor.New(tensor.Int8))
	g.SetConst("h", tensor.New(tensor.Float16, 2, 2))
	g.SetConst("v", tensor.New(tensor.Uint8, 2, 2))
	g.Nodes = []*graph.Node{
		{Op: "QLinearConv", In: []string{"x", "xs", "xz", "w", "s", "z", "ys", "yz"}, Out: []string{"y"}},
		{Op: "MatMul", In: []string{"x", "h"}, Out: []string{"u"}},
		{Op: "MatMulInteger", In: []string{"x", "v"}, Out: []string{"i"}},
	}
	found := Find(&graph.Model{Opsets: []graph.Opset{{Version: 17}}, Graph: g})
	want := []string{"int8:channel", "fp16", "uint8:tensor"}
	if len(found) != len(want) {
		t.Fatalf("found %d", len(found))
	}
	for i, f := range found {
		if f.String() != want[i] {
			t.Errorf("found %s, want %s", f, want[i])
		}
		if n := len(f.Load().Codes); n != tensor.Elements(f.Shape) {
			t.Errorf("%s has %d codes", f, n)
		}
	}
}

// TestFindMemory holds what lists weights to keep no copies of them.
func TestFindMemory(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	g.SetConst("h", tensor.New(tensor.Float16, 1024, 1024))
	g.SetConst("i", tensor.New(tensor.Int8, 1024, 1024))
	g.SetConst("q", tensor.New(tensor.Uint8, 1024, 32, 16))
	g.SetConst("s", tensor.New(tensor.Float32, 1024*32))
	g.SetConst("e", tensor.New(tensor.Float32, 1024, 1024)) // an embedding, no table of marks
	q := &graph.Node{Op: "MatMulNBits", Domain: Microsoft, In: []string{"x", "q", "s"}, Out: []string{"w"}}
	for name, v := range map[string]int{"K": 1024, "N": 1024, "bits": 4, "block_size": 32} {
		q.SetAttr(name, int64(v))
	}
	g.Nodes = []*graph.Node{
		{Op: "MatMul", In: []string{"x", "h"}, Out: []string{"u"}},
		{Op: "MatMulInteger", In: []string{"y", "i"}, Out: []string{"v"}},
		q,
		{Op: "Gather", In: []string{"e", "k"}, Out: []string{"r"}},
		{Op: "Mul", In: []string{"r", "g"}, Out: []string{"t"}},
		{Op: "MatMul", In: []string{"t", "z"}, Out: []string{"p"}},
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	found := Find(&graph.Model{Opsets: []graph.Opset{{Version: 17}}, Graph: g})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; len(found) != 3 || n > 1<<19 {
		t.Errorf("%d weights of a million codes took %d bytes", len(found), n)
	}
}

// TestFindQAttention lists the weights that make query, key and value, by column.
func TestFindQAttention(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	g.SetConst("w", tensor.New(tensor.Int8, 4, 3))
	g.SetConst("s", tensor.Float32s([]float32{1, 2, 3}, 3))
	g.Nodes = []*graph.Node{{Op: "QAttention", Domain: "com.microsoft", In: []string{"x", "w", "b", "xs", "s", "", "xz", "wz"}, Out: []string{"y"}}}
	found := Find(&graph.Model{Graph: g})
	if len(found) != 1 || found[0].Name != "w" || len(found[0].Params) != 3 || found[0].Params[2].Scale != 3 || found[0].Block != (format.Block{Kind: format.Channel, Axis: 1}) {
		t.Errorf("found %+v", found)
	}
}
