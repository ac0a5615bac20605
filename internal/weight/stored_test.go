package weight

import (
	"slices"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestReadStored leaves the codes of matrices where they are, and finds there what Read does.
func TestReadStored(t *testing.T) {
	for _, f := range []*format.Format{format.Int2, format.Uint2, format.Ternary, format.Int4, format.Uint4, format.Ristretto4, format.Int8, format.Uint8} {
		for _, b := range []format.Block{{}, {Kind: format.Channel}, {Kind: format.Channel, Axis: 1}, {Kind: format.Group, Size: 16}, {Kind: format.Group, Axis: 1, Size: 16}} {
			x := sample(31, 33)
			p, err := f.FitTensor(tensor.Of[float32](x), x.Shape, b)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Encode(x, f, b, p)
			if err != nil {
				t.Fatal(err)
			}
			g := spelled(t, c, (*Writer).Write).Graph
			src := source{g.Index(), g}
			want, s := Read(src, "y"), ReadStored(src, "y")
			if s == nil || s.Codes != nil {
				t.Errorf("%s is read as %+v", c, s)
				continue
			}
			if got := s.codes(); !slices.Equal(got.Codes, want.Codes) || !slices.Equal(got.Params, want.Params) || got.Block != want.Block {
				t.Errorf("%s is read otherwise", c)
			}
		}
	}
}

// TestReadNotStored refuses what is no matrix of whole numbers with parameters for each block.
func TestReadNotStored(t *testing.T) {
	for name, c := range map[string]struct {
		codes, scale, zero *tensor.Tensor
		op                 string
	}{
		"floats":       {codes: tensor.New(tensor.Float8E4M3FN, 2, 4), scale: tensor.New(tensor.Float32)},
		"wide numbers": {codes: tensor.New(tensor.Int16, 2, 4), scale: tensor.New(tensor.Float32)},
		"a vector":     {codes: tensor.New(tensor.Int8, 4), scale: tensor.New(tensor.Float32)},
		"no elements":  {codes: tensor.New(tensor.Int8, 0, 4), scale: tensor.New(tensor.Float32)},
		"few scales":   {codes: tensor.New(tensor.Int8, 2, 4), scale: tensor.New(tensor.Float32, 3)},
		"few zeros":    {codes: tensor.New(tensor.Int8, 2, 4), scale: tensor.New(tensor.Float32, 4), zero: tensor.New(tensor.Int8)},
		"an operator":  {codes: tensor.New(tensor.Int8, 2, 4), scale: tensor.New(tensor.Float32), op: "Mul"},
	} {
		n := &graph.Node{Op: "DequantizeLinear", In: []string{"w", "s"}, Out: []string{"y"}}
		g := &graph.Graph{Name: "g", Nodes: []*graph.Node{n}}
		g.SetConst("w", c.codes)
		g.SetConst("s", c.scale)
		if c.zero != nil {
			g.SetConst("z", c.zero)
			n.In = append(n.In, "z")
		}
		if c.op != "" {
			n.Op = c.op
		}
		if s := ReadStored(source{g.Index(), g}, "y"); s != nil {
			t.Errorf("%s are read as %s", name, s)
		}
	}
}
