package quantize

import (
	"math"
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

// TestGateError holds the standard error of the ratio against a calculation by hand, and at its ends.
func TestGateError(t *testing.T) {
	outs := []*graph.Value{{Name: "y"}}
	gate := func(noise ...float32) *Gate {
		var list []report.Diffs
		for _, v := range noise {
			var d report.Diffs
			d.Add(outs, map[string]*tensor.Tensor{"y": tensor.Float32s([]float32{10}, 1)}, map[string]*tensor.Tensor{"y": tensor.Float32s([]float32{10 + v}, 1)})
			list = append(list, d)
		}
		return newGate(list, 0)
	}
	nan, few := float32(math.NaN()), make([]float32, 20)
	few[7] = 1
	for _, c := range []struct {
		noise []float32
		want  string
	}{
		{[]float32{1}, "20.0 dB"},
		{[]float32{1, 2}, "16.0 ± 3.0 dB"}, // without each sample 14.0 and 20.0
		{[]float32{0, 0, 0, 0, 0, 0, 0}, "999.0 dB"},
		{make([]float32, 20), "999.0 dB"},
		{few, "33.0 ± 4.3 dB"}, // noise to signal is 0 without that sample and 20/19 of it without another, a standard error of 1
		{[]float32{1, nan, 1, 1}, "-999.0 dB"},
	} {
		if got := gate(c.noise...).String(); got != c.want {
			t.Errorf("%v: %s, not %s", c.noise, got, c.want)
		}
	}
}
