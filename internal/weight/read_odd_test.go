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

// TestReadTimes reads whole numbers times scales as a weight only where these run along one axis.
func TestReadTimes(t *testing.T) {
	for _, c := range []struct {
		scale []int
		want  string
	}{{nil, "int8:tensor"}, {[]int{3, 1, 1}, "int8:channel"}, {[]int{3}, "int8:channel"}, {[]int{1, 1, 3}, ""}, {[]int{3, 1, 3}, ""}, {[]int{1}, ""}, {[]int{1, 3, 1, 1}, ""}} {
		cast := &graph.Node{Op: "Cast", In: []string{"w"}, Out: []string{"u"}}
		cast.SetAttr("to", int64(tensor.Float32))
		g := &graph.Graph{Nodes: []*graph.Node{cast, {Op: "Mul", In: []string{"u", "s"}, Out: []string{"v"}}}, Out: []*graph.Value{{Name: "v"}}}
		g.SetConst("w", tensor.New(tensor.Int8, 3, 2, 3))
		g.SetConst("s", tensor.New(tensor.Float32, c.scale...))
		got := ""
		if w := Read(source{g.Index(), g}, "v"); w != nil {
			got = w.String()
		}
		if got != c.want {
			t.Errorf("scales of %v: %q, want %q", c.scale, got, c.want)
		}
	}
}
