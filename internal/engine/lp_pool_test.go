package engine

import (
	"fmt"
	"testing"
)

// TestLpPool pools with even and odd powers, of one to three dimensions, and where padding alone is seen.
func TestLpPool(t *testing.T) {
	for _, p := range []int64{1, 2, 3, 4, 5} {
		for i, c := range []struct {
			shape []int
			attrs []any
		}{
			{[]int{2, 5, 9, 11}, []any{"kernel_shape", []int64{3, 2}, "strides", []int64{2, 1}, "pads", []int64{1, 0, 2, 1}}},
			{[]int{1, 17, 8, 8}, []any{"kernel_shape", []int64{2, 2}, "dilations", []int64{3, 2}, "ceil_mode", int64(1)}},
			{[]int{2, 3, 30}, []any{"kernel_shape", []int64{5}, "auto_pad", "SAME_UPPER"}},
			{[]int{1, 3, 4, 5, 6}, []any{"kernel_shape", []int64{2, 2, 2}}},
		} {
			t.Run(fmt.Sprint(p, i), func(t *testing.T) {
				k := newMaker(uint64(i))
				k.m.Opsets[0].Version = 18
				x := k.input(k.floats(c.shape...))
				k.output(k.node("LpPool", []string{x}, append([]any{"p", p}, c.attrs...)...))
				if p < 3 {
					k.output(k.node("GlobalLpPool", []string{x}, "p", p))
				}
				wantKernels(t, k.checkFloat(t), "f32 LpPool")
			})
		}
	}
}
