package engine

import (
	"fmt"
	"testing"
)

// TestComputedConv convolves with weights that are inputs of the network.
func TestComputedConv(t *testing.T) {
	for i, c := range []struct {
		x, w, b []int
		want    string
		attrs   []any
	}{
		{[]int{2, 5, 9, 8}, []int{7, 5, 3, 3}, []int{7}, "f32 computed conv 3x3", []any{"pads", []int64{1, 0, 2, 1}}},
		{[]int{3, 6, 7, 7}, []int{4, 6, 1, 1}, nil, "f32 computed conv 1x1", nil},
		{[]int{1, 6, 9, 9}, []int{9, 2, 3, 2}, []int{9}, "f32 computed conv 3x2", []any{"group", int64(3), "strides", []int64{2, 1}}},
		{[]int{1, 35, 12, 11}, []int{35, 1, 4, 5}, nil, "f32 computed depthwise conv 4x5", []any{"group", int64(35)}},
		{[]int{2, 4, 30}, []int{3, 4, 5}, []int{3}, "f32 computed conv 1x5", []any{"dilations", []int64{2}}},
		{[]int{1, 3, 5, 6, 7}, []int{4, 3, 2, 3, 3}, nil, "f32 computed conv 2x3x3", []any{"auto_pad", "SAME_UPPER"}},
	} {
		t.Run(fmt.Sprint(c.want, c.x), func(t *testing.T) {
			k := newMaker(uint64(i))
			in := []string{k.input(k.floats(c.x...)), k.input(k.floats(c.w...))}
			if c.b != nil {
				in = append(in, k.input(k.floats(c.b...)))
			}
			k.output(k.node("Relu", []string{k.node("Conv", in, c.attrs...)}))
			wantKernels(t, k.checkFloat(t), "pack f32", c.want)
		})
	}
}

// TestComputedGemm multiplies two matrices that are both inputs, and a transposed one with a constant.
func TestComputedGemm(t *testing.T) {
	for i, c := range []struct {
		a, b, c  []int
		constant bool
		want     string
		attrs    []any
	}{
		{[]int{9, 5}, []int{5, 7}, nil, false, "f32 matmul", nil},
		{[]int{5, 9}, []int{5, 7}, []int{7}, false, "f32 matmul", []any{"transA", int64(1), "alpha", float32(0.5)}},
		{[]int{5, 9}, []int{7, 5}, []int{9, 1}, false, "f32 matmul", []any{"transA", int64(1), "transB", int64(1), "beta", float32(2)}},
		{[]int{5, 9}, []int{5, 7}, []int{7}, true, "f32 gemm", []any{"transA", int64(1), "alpha", float32(0.5)}},
		{[]int{5, 9}, []int{7, 5}, nil, true, "f32 gemm", []any{"transA", int64(1), "transB", int64(1)}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			k := newMaker(uint64(i))
			in := []string{k.input(k.floats(c.a...))}
			if c.constant {
				in = append(in, k.constant(k.floats(c.b...)))
			} else {
				in = append(in, k.input(k.floats(c.b...)))
			}
			if c.c != nil {
				in = append(in, k.input(k.floats(c.c...)))
			}
			k.output(k.node("Gemm", in, c.attrs...))
			wantKernels(t, k.checkFloat(t), c.want)
		})
	}
}

// TestComputedConvTranspose spreads images by weights, or adds a bias, that are inputs of the network.
func TestComputedConvTranspose(t *testing.T) {
	for i, c := range []struct {
		x, w  []int
		want  string
		attrs []any
	}{
		{[]int{2, 6, 5, 4}, []int{6, 9, 3, 3}, "gather taps", []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}, "output_padding", []int64{1, 1}}},
		{[]int{1, 6, 5, 4}, []int{6, 4, 3, 2}, "gather taps", []any{"group", int64(2), "dilations", []int64{2, 1}}},
		{[]int{2, 6, 5, 4}, []int{6, 5, 2, 3}, "gather taps", []any{"strides", []int64{2, 3}}},
		{[]int{2, 6, 3, 5, 4}, []int{6, 5, 2, 2, 2}, "gather taps", []any{"strides", []int64{2, 2, 2}}},
		{[]int{2, 6, 5, 4}, []int{6, 3, 4, 4}, "gather taps", []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{2, 6, 9}, []int{6, 1, 8}, "gather taps", []any{"strides", []int64{4}, "pads", []int64{2, 3}}},
		{[]int{1, 6, 5, 4}, []int{6, 2, 3, 3}, "gather taps", []any{"dilations", []int64{1, 4}, "pads", []int64{1, 5, 1, 5}}},
		{[]int{2, 35, 5, 4}, []int{35, 1, 4, 4}, "f32 depthwise conv transpose 4x4", []any{"group", int64(35), "strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{2, 6, 5, 4}, []int{6, 17, 4, 4}, "f32 conv transpose by phases 4x4", []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{1, 6, 5, 4}, []int{6, 16, 3, 3}, "f32 conv transpose by phases 3x3", []any{"group", int64(2), "strides", []int64{1, 2}, "pads", []int64{0, 1, 0, 0}}},
		{[]int{1, 6, 25}, []int{6, 33, 8}, "f32 conv transpose by phases 1x8", []any{"strides", []int64{4}, "pads", []int64{2, 2}}},
	} {
		channels := c.w[1]
		if c.attrs[0] == "group" {
			channels *= int(c.attrs[1].(int64))
		}
		for _, b := range []string{"none", "constant", "computed", "computed alone"} {
			t.Run(fmt.Sprint(c.want, c.x, b), func(t *testing.T) {
				k := newMaker(uint64(i))
				in := []string{k.input(k.floats(c.x...))}
				names := []string{"pack f32", c.want}
				if b == "computed alone" {
					in, names = append(in, k.constant(k.floats(c.w...))), names[1:]
				} else {
					in = append(in, k.input(k.floats(c.w...)))
				}
				switch b {
				case "constant":
					in = append(in, k.constant(k.floats(channels)))
				case "computed", "computed alone":
					in, names = append(in, k.input(k.floats(channels))), append(names, "add bias")
				}
				y := k.node("ConvTranspose", in, c.attrs...)
				k.output(y, k.node("Relu", []string{y}))
				wantKernels(t, k.checkFloat(t), names...)
			})
		}
	}
}
