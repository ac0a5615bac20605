package plan

import (
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// TestLacksExist holds the lists of what targets lack against the operators that exist.
func TestLacksExist(t *testing.T) {
	for _, target := range Targets {
		for name, from := range target.Lacks {
			o := op.Lookup("", name)
			if o == nil {
				t.Errorf("%s: there is no operator %s", target.Name, name)
			} else if !slices.ContainsFunc(o.Schemas, func(s *op.Schema) bool { return s.Since == from }) {
				t.Errorf("%s: %s has no version %d", target.Name, name, from)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	model := func(opset int) *graph.Model {
		swish := &graph.Node{Op: "Swish", In: []string{"x"}, Out: []string{"y"}}
		roll := &graph.Node{Op: "RandomUniformLike", In: []string{"y"}, Out: []string{"z"}}
		return &graph.Model{
			Opsets: []graph.Opset{{Version: opset}}, Graph: &graph.Graph{Nodes: []*graph.Node{swish, roll, roll}},
			Functions: []*graph.Function{{Name: "F", Domain: "d", Opsets: []graph.Opset{{Version: 21}}, Nodes: []*graph.Node{roll}}},
		}
	}
	ort := LookupTarget("ort-cpu")
	if got, want := ort.Missing(model(24)), []string{"RandomUniformLike-22 (2)", "Swish-24 (1)"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	old := model(20)
	old.Graph.Nodes = old.Graph.Nodes[1:]
	if got := ort.Missing(old); got != nil {
		t.Errorf("version 1 of an operator is there: %v", got)
	}
	if got := LookupTarget("this").Missing(model(24)); got != nil {
		t.Errorf("this engine lacks %v", got)
	}
}

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
		if err := LookupTarget("this").Lower(m); err != nil || m.Opset("") != 28 {
			t.Errorf("%s: this engine gets opset %d: %v", c.name, m.Opset(""), err)
		}
		if err := LookupTarget("ort-cpu").Lower(m); err != nil || m.Opset("") != c.want {
			t.Errorf("%s: opset %d, want %d: %v", c.name, m.Opset(""), c.want, err)
		}
	}
}
