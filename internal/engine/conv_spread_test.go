package engine

import (
	"fmt"
	"math"
	"testing"

	"lowbit/internal/tensor"
)

// TestSpreadConv convolves small groups, of one to three dimensions, also where something is added to the sums.
func TestSpreadConv(t *testing.T) {
	for i, c := range []struct {
		x, w  []int
		group int64
		want  string
		attrs []any
	}{
		{[]int{2, 9, 9, 8}, []int{9, 3, 3, 3}, 3, "f32 grouped 3x3", []any{"pads", []int64{1, 0, 2, 1}}},
		{[]int{1, 6, 9, 8}, []int{12, 1, 3, 3}, 6, "f32 grouped 3x3", []any{"strides", []int64{2, 1}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{2, 5, 9, 8}, []int{40, 1, 3, 2}, 5, "f32 grouped 3x2", []any{"dilations", []int64{2, 3}}},
		{[]int{1, 40, 6, 7}, []int{10, 4, 5, 5}, 10, "f32 grouped 5x5", []any{"auto_pad", "SAME_LOWER"}},
		{[]int{1, 14, 6, 7}, []int{21, 2, 3, 3}, 7, "f32 grouped 3x3", nil},
		{[]int{2, 12, 30}, []int{16, 3, 5}, 4, "f32 grouped 1x5", []any{"pads", []int64{4, 4}}},
		{[]int{1, 6, 5, 6, 7}, []int{6, 3, 2, 3, 3}, 2, "f32 grouped 2x3x3", []any{"auto_pad", "SAME_UPPER"}},
	} {
		t.Run(fmt.Sprint(c.want, c.x, c.w), func(t *testing.T) {
			k := newMaker(uint64(i))
			conv := func() string {
				in := []string{k.input(k.floats(c.x...)), k.constant(k.floats(c.w...)), k.constant(k.floats(c.w[0]))}
				return k.node("Conv", in, append([]any{"group", c.group}, c.attrs...)...)
			}
			k.output(k.node("Relu", []string{k.node("Add", []string{conv(), conv()})}), k.node("LeakyRelu", []string{conv()}))
			wantKernels(t, k.checkFloat(t), "spread groups", c.want)
		})
	}
}

// TestSpreadConvApart keeps what is infinite in one group out of the others.
func TestSpreadConvApart(t *testing.T) {
	k := newMaker(1)
	x := k.floats(1, 6, 8, 8)
	for i := range tensor.Of[float32](x)[3*64:] {
		tensor.Of[float32](x)[3*64+i] = float32(math.Inf(1))
	}
	k.output(k.node("Conv", []string{k.input(x), k.constant(k.floats(6, 3, 3, 3))}, "group", int64(2)))
	got, want := k.m.Graph.Out[0].Name, k.reference(t)
	for _, r := range allRuns() {
		out, _ := k.evaluate(t, r, nil)
		half := func(o map[string]*tensor.Tensor) *tensor.Tensor {
			return tensor.Float32s(tensor.Of[float32](o[got])[:3*36], 3, 36)
		}
		within(t, fmt.Sprint(r), half(out), half(want), 1e-4, 1e-5)
	}
}
