package engine

import (
	"fmt"
	"testing"
)

// TestSoftmaxColumns takes softmaxes along axes that others are behind.
func TestSoftmaxColumns(t *testing.T) {
	for _, op := range []string{"Softmax", "LogSoftmax"} {
		for i, c := range []struct {
			shape []int
			axis  int64
		}{{[]int{7, 5}, 0}, {[]int{300, 3}, 0}, {[]int{2, 9, 31, 40}, 2}, {[]int{3, 2, 5, 1500}, 2}, {[]int{4, 3, 5, 7}, -4}, {[]int{3, 1, 2, 5}, 0}, {[]int{2, 3, 1, 5}, 2}} {
			t.Run(fmt.Sprint(op, c.shape, c.axis), func(t *testing.T) {
				k := newMaker(uint64(i))
				k.output(k.node(op, []string{k.input(k.floats(c.shape...))}, "axis", c.axis))
				wantKernels(t, k.checkFloat(t), "f32 "+op)
			})
		}
	}
}
