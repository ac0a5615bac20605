package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestCol2Im adds columns up with blocks that overlap and that do not, with padding, and that leave the image.
func TestCol2Im(t *testing.T) {
	for i, c := range []struct {
		image, block, out []int64
		attrs             []any
	}{
		{[]int64{5, 7}, []int64{3, 3}, []int64{5, 7}, []any{"pads", []int64{1, 1, 1, 1}}},
		{[]int64{5, 7}, []int64{3, 3}, []int64{3, 5}, nil},
		{[]int64{5, 6}, []int64{2, 3}, []int64{6, 6}, []any{"pads", []int64{0, 2, 2, 0}}},
		{[]int64{8, 6}, []int64{2, 2}, []int64{4, 3}, []any{"strides", []int64{2, 2}}},
		{[]int64{9, 11}, []int64{4, 3}, []int64{4, 4}, []any{"strides", []int64{2, 3}, "pads", []int64{1, 2, 0, 1}}},
		{[]int64{9, 11}, []int64{3, 3}, []int64{9, 11}, []any{"dilations", []int64{2, 3}, "pads", []int64{2, 3, 2, 3}}},
		{[]int64{1, 1}, []int64{1, 3}, []int64{1, 9}, []any{"pads", []int64{0, 5, 0, 5}}},
		{[]int64{3, 2}, []int64{1, 5}, []int64{3, 2}, []any{"pads", []int64{0, 4, 0, 0}}},
		{[]int64{12}, []int64{5}, []int64{4}, []any{"strides", []int64{3}, "pads", []int64{1, 1}}},
		{[]int64{12}, []int64{5}, []int64{12}, []any{"pads", []int64{2, 2}}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			k := newMaker(uint64(i))
			k.m.Opsets[0].Version = 18
			taps, size := 1, 1
			for j := range c.block {
				taps, size = taps*int(c.block[j]), size*int(c.out[j])
			}
			in := []string{k.input(k.floats(2, 3*taps, size))}
			for _, list := range [][]int64{c.image, c.block} {
				in = append(in, k.constant(tensor.Int64s(list, len(list))))
			}
			k.output(k.node("Col2Im", in, c.attrs...))
			wantKernels(t, k.checkFloat(t), "f32 Col2Im")
		})
	}
}
