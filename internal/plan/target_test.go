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
