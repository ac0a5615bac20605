package engine

import (
	"fmt"
	"math"
	"testing"

	"lowbit/internal/tensor"
)

// TestPoolPlanes pools values in row-major order: odd and even rows, several bands of them, and windows
// of padding alone.
func TestPoolPlanes(t *testing.T) {
	for i, c := range []struct {
		shape []int
		attrs []any
	}{
		{[]int{2, 5, 19, 23}, []any{"kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{1, 3, 200, 41}, []any{"kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1}, "strides", []int64{2, 2}}},
		{[]int{1, 9, 33, 40}, []any{"kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{2, 3, 120, 64}, []any{"kernel_shape", []int64{2, 2}, "strides", []int64{2, 2}}},
		{[]int{1, 4, 31, 50}, []any{"kernel_shape", []int64{5, 4}, "strides", []int64{3, 1}, "pads", []int64{4, 3, 2, 2}, "ceil_mode", int64(1)}},
		{[]int{1, 4, 30, 51}, []any{"kernel_shape", []int64{3, 3}, "strides", []int64{1, 2}, "auto_pad", "SAME_UPPER"}},
		{[]int{1, 4, 30, 50}, []any{"kernel_shape", []int64{3, 3}, "strides", []int64{2, 1}, "auto_pad", "SAME_LOWER"}},
		{[]int{1, 2, 40, 40}, []any{"kernel_shape", []int64{1, 1}, "strides", []int64{2, 2}}},
		{[]int{1, 2, 20, 33}, []any{"kernel_shape", []int64{1, 3}}},
		{[]int{2, 3, 700}, []any{"kernel_shape", []int64{7}, "pads", []int64{6, 5}, "strides", []int64{2}}},
		{[]int{1, 2, 300, 1000}, []any{"kernel_shape", []int64{2, 2}, "strides", []int64{2, 2}, "pads", []int64{0, 1, 1, 0}}},
	} {
		for _, more := range [][]any{nil, {"count_include_pad", int64(1)}, {"dilations", []int64{2, 3}[:len(c.shape)-2]}} {
			for _, op := range []string{"MaxPool", "AveragePool"} {
				if op == "MaxPool" && more != nil && more[0] == "count_include_pad" {
					continue
				}
				t.Run(fmt.Sprint(op, i, more), func(t *testing.T) {
					k := newMaker(uint64(i))
					k.m.Opsets[0].Version = 19
					x := k.floats(c.shape...)
					k.output(k.node(op, []string{k.input(x)}, append(more, c.attrs...)...))
					name := map[string]string{"MaxPool": "f32 max pool of planes", "AveragePool": "f32 average pool of planes"}[op]
					wantKernels(t, k.checkFloat(t), name)
				})
			}
		}
	}
}

// TestMaxPoolPlanesExactly finds the largest of infinities and NaNs, which win, also at the edges.
func TestMaxPoolPlanesExactly(t *testing.T) {
	for i, attrs := range [][]any{
		{"kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1}},
		{"kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1}, "strides", []int64{2, 2}},
		{"kernel_shape", []int64{2, 2}, "strides", []int64{2, 2}},
	} {
		k := newMaker(uint64(i))
		x := k.floats(2, 3, 20, 21)
		list := tensor.Of[float32](x)
		for j := range list {
			switch k.rng.IntN(12) {
			case 0:
				list[j] = float32(math.NaN())
			case 1:
				list[j] = float32(math.Inf(1))
			case 2, 3, 4, 5, 6:
				list[j] = float32(math.Inf(-1))
			}
		}
		k.output(k.node("MaxPool", []string{k.input(x)}, attrs...))
		wantKernels(t, k.checkExact(t), "f32 max pool of planes")
	}
}
