package weight

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// sample returns a weight of some shape; a tenth of it is zero.
func sample(shape ...int) *tensor.Tensor {
	r := rand.New(rand.NewPCG(1, uint64(tensor.Elements(shape))))
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](t) {
		if r.IntN(10) > 0 {
			tensor.Of[float32](t)[i] = float32(r.NormFloat64())
		}
	}
	return t
}

// spelled returns a model whose only output is the constant, as one of a writer's methods spells it.
func spelled(t *testing.T, c *Coded, write func(w *Writer, c *Coded, name, out string) ([]*graph.Node, error)) *graph.Model {
	g := &graph.Graph{Name: "g"}
	used := map[string]bool{}
	w := &Writer{
		Const: func(name string, t *tensor.Tensor) { g.SetConst(name, t) },
		Fresh: func(name string) string {
			for k := 2; used[name]; k++ {
				name = fmt.Sprintf("%s_%d", name, k)
			}
			used[name] = true
			return name
		},
	}
	nodes, err := write(w, c, "w", "y")
	if err != nil {
		t.Fatal(err)
	}
	g.Nodes = nodes
	dims := make([]graph.Dim, len(c.Shape))
	for i, d := range c.Shape {
		dims[i] = graph.Known(d)
	}
	g.Out = []*graph.Value{{Name: "y", Type: graph.OfDims(tensor.Float32, dims)}}
	return &graph.Model{IR: 13, Opsets: []graph.Opset{{Version: 25}}, Graph: g}
}

// source looks names up in a graph.
type source struct {
	*graph.Index
	g *graph.Graph
}

func (s source) ConstTensor(name string) *tensor.Tensor { return s.g.ConstTensor(name) }

// TestSpelling writes weights in every format and block, evaluates the nodes by the operators'
// definitions, and reads them back.
func TestSpelling(t *testing.T) {
	for _, f := range format.All {
		for _, c := range []struct {
			shape []int
			block format.Block
		}{
			{[]int{5, 7}, format.Block{}},
			{[]int{6, 4, 3, 3}, format.Block{Kind: format.Channel, Axis: 0}},
			{[]int{12, 5}, format.Block{Kind: format.Channel, Axis: 1}},
			{[]int{64, 3}, format.Block{Kind: format.Group, Axis: 0, Size: 16}},
			{[]int{3, 40}, format.Block{Kind: format.Group, Axis: 1, Size: 16}},
			{[]int{5, 3, 3, 3}, format.Block{Kind: format.Group, Axis: 1, Size: 16, Flat: true}},
			{[]int{5, 1, 3, 3}, format.Block{Kind: format.Group, Axis: 1, Size: 9, Flat: true}},
			{[]int{130, 80}, format.Block{Kind: format.Group, Axis: 1, Size: 16}},
		} {
			if !f.Scaled() && c.block.Kind != format.Whole {
				continue
			}
			t.Run(fmt.Sprintf("%s by %s of %v", f.Name, c.block, c.shape), func(t *testing.T) { testSpelling(t, f, c.shape, c.block) })
		}
	}
}

func testSpelling(t *testing.T, f *format.Format, shape []int, b format.Block) {
	x := sample(shape...)
	p, err := f.FitTensor(tensor.Of[float32](x), shape, b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Encode(x, f, b, p)
	if err != nil {
		t.Fatal(err)
	}
	testSpelt(t, c, spelled(t, c, (*Writer).Write))
	plain := spelled(t, c, (*Writer).WritePlain)
	if decoded := slices.ContainsFunc(plain.Graph.Nodes, func(n *graph.Node) bool { return n.Op == "DequantizeLinear" }); f == format.Int8 && decoded != (b.Kind == format.Group) {
		t.Errorf("by DequantizeLinear: %t", decoded)
	}
	testSpelt(t, c, plain)
}

// testSpelt evaluates and reads a spelled constant.
func testSpelt(t *testing.T, c *Coded, m *graph.Model) {
	if faults := graph.Check(m, graph.Limits{}); faults.Err() != nil {
		t.Fatal(faults)
	}
	out, err := op.Run(m, nil, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := tensor.Of[float32](c.Decode())
	if got := out["y"]; !slices.Equal(got.Shape, c.Shape) || !slices.Equal(tensor.Of[float32](got), want) {
		t.Fatalf("the nodes give other numbers than Decode")
	}
	back := Read(source{m.Graph.Index(), m.Graph}, "y")
	if back == nil {
		t.Fatal("the nodes are not recognised")
	}
	if back.Format != c.Format || back.Block != c.Block || !slices.Equal(back.Codes, c.Codes) || !slices.Equal(back.Shape, c.Shape) {
		t.Errorf("read back as %s of %v, axis %d", back, back.Shape, back.Block.Axis)
	}
	if !slices.Equal(tensor.Of[float32](back.Decode()), want) {
		t.Error("read back with other numbers")
	}
}
