package pass

import (
	"testing"

	"lowbit/internal/graph"
)

// TestBranchInputs holds that the branches of an If list no inputs afterwards, and still read what they named.
func TestBranchInputs(t *testing.T) {
	branch := &graph.Graph{
		In:    []*graph.Value{{Name: "x"}},
		Nodes: []*graph.Node{{Op: "Neg", In: []string{"x"}, Out: []string{"y"}}},
		Out:   []*graph.Value{{Name: "y"}},
	}
	n := &graph.Node{Op: "If", In: []string{"c"}, Out: []string{"z"}}
	n.SetAttr("then_branch", branch)
	m := &graph.Model{IR: 8, Graph: &graph.Graph{Nodes: []*graph.Node{n}}}
	for _, p := range []*Pass{InitInputs, UniqueNames} {
		if err := p.Run(m); err != nil {
			t.Fatal(err)
		}
	}
	if len(branch.In) > 0 || branch.Nodes[0].In[0] != "x" {
		t.Errorf("the branch lists %d inputs and reads %v", len(branch.In), branch.Nodes[0].In)
	}
}
