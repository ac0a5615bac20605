package weight

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestReadOdd reads constants without elements, and with scales along an axis that there is not, as none.
func TestReadOdd(t *testing.T) {
	for _, c := range []struct {
		shape, scale []int
		axis         int64
	}{{[]int{4, 0}, nil, 0}, {[]int{0}, nil, 0}, {[]int{2, 3}, []int{2}, 5}, {[]int{2, 3}, []int{2}, -5}} {
		n := &graph.Node{Op: "DequantizeLinear", In: []string{"w", "s"}, Out: []string{"v"}}
		n.SetAttr("axis", c.axis)
		g := &graph.Graph{Nodes: []*graph.Node{n, {Op: "Neg", In: []string{"v"}, Out: []string{"y"}}}, Out: []*graph.Value{{Name: "y"}}}
		g.SetConst("w", tensor.New(tensor.Int8, c.shape...))
		g.SetConst("s", tensor.New(tensor.Float32, c.scale...))
		if found := Find(&graph.Model{Graph: g}); len(found) > 0 {
			t.Errorf("%+v: %v", c, found)
		}
	}
}
