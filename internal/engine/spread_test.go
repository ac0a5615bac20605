package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestSpread repeats constants over results, in either layout.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		constant []int
		last     bool // channels-last
	}{
		{[]int{8, 1, 4}, false}, {[]int{1, 8, 1, 4}, false}, {[]int{2, 1, 5, 1}, false}, {[]int{4}, false}, {[]int{8, 1, 1}, false},
		{[]int{1, 1, 5, 4}, true}, {[]int{2, 8, 1, 1}, true}, {[]int{5, 1}, true},
	} {
		t.Run(tensor.FormatShape(c.constant), func(t *testing.T) {
			k := newMaker(3)
			x := k.input(k.floats(2, 8, 5, 4))
			if c.last {
				x = k.conv3(x, 8, 8)
			}
			w := k.constant(k.floats(c.constant...))
			k.output(k.node("Mul", []string{x, w}), k.node("Sub", []string{w, x}))
			wantKernels(t, k.checkFloat(t), "Mul", "Sub")
		})
	}
}
