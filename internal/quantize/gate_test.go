package quantize

import (
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// TestGateOfOtherSizes warns of outputs that are longer or shorter than in float, and takes no network whose outputs
// all are for a good one.
func TestGateOfOtherSizes(t *testing.T) {
	outs := []*graph.Value{{Name: "y"}}
	each := func(sizes ...int) (list []report.Diffs) {
		for _, n := range sizes {
			var d report.Diffs
			d.Add(outs, map[string]*tensor.Tensor{"y": tensor.New(tensor.Float32, 3)}, map[string]*tensor.Tensor{"y": tensor.New(tensor.Float32, n)})
			list = append(list, d)
		}
		return list
	}
	for _, c := range []struct {
		sizes []int
		want  string // part of the only warning
		good  bool
	}{{[]int{3, 3}, "", true}, {[]int{3, 4}, "1 outputs over 2 samples have other sizes", true}, {[]int{2, 4}, "2 outputs over 2 samples have other sizes", false}} {
		g := newGate(each(c.sizes...), 0)
		list := g.warnings()
		if len(list) > 1 || (len(list) == 0) != (c.want == "") || !strings.Contains(strings.Join(list, ""), c.want) {
			t.Errorf("%v: %q", c.sizes, list)
		}
		if g.SQNR >= wantSQNR != c.good || g.incomparable() == c.good {
			t.Errorf("%v: %v", c.sizes, g)
		}
	}
}
