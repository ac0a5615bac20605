package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestDeformConv convolves at offsets, in groups of weights and of offsets that cross, with and without shares and bias, and
// with an activation behind.
func TestDeformConv(t *testing.T) {
	for i, c := range []struct {
		c, filters, kh, kw, groups, offsets int
		stride, dilation, pad               int64
		bias, mask                          bool
	}{
		{c: 12, filters: 10, kh: 3, kw: 3, groups: 1, offsets: 1, stride: 1, dilation: 1, pad: 1},
		{c: 16, filters: 8, kh: 3, kw: 2, groups: 1, offsets: 2, stride: 2, dilation: 1, pad: 1, bias: true, mask: true},
		{c: 12, filters: 6, kh: 1, kw: 3, groups: 2, offsets: 3, stride: 1, dilation: 2, pad: 2, mask: true},
		{c: 3, filters: 5, kh: 3, kw: 3, groups: 1, offsets: 1, stride: 1, dilation: 2, bias: true},
		{c: 8, filters: 8, kh: 3, kw: 3, groups: 4, offsets: 1, stride: 2, dilation: 1, pad: 1},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			k := newMaker(uint64(i))
			k.m.Opsets[0].Version = 19
			h, w := 11, 14
			out := func(n, kernel int) int {
				return (n+2*int(c.pad)-int(c.dilation)*(kernel-1)-1)/int(c.stride) + 1
			}
			oh, ow, taps := out(h, c.kh), out(w, c.kw), c.kh*c.kw
			offset := k.floats(2, c.offsets*taps*2, oh, ow)
			for j, v := range tensor.Of[float32](offset) {
				tensor.Of[float32](offset)[j] = 3 * v
			}
			tensor.Of[float32](offset)[5], tensor.Of[float32](offset)[6], tensor.Of[float32](offset)[7] = inf, inf-inf, 0
			in := []string{k.input(k.floats(2, c.c, h, w)), k.constant(k.floats(c.filters, c.c/c.groups, c.kh, c.kw)), k.input(offset), "", ""}
			if c.bias {
				in[3] = k.constant(k.floats(c.filters))
			}
			if c.mask {
				in[4] = k.input(k.floats(2, c.offsets*taps, oh, ow))
			}
			y := k.node("DeformConv", in, "group", int64(c.groups), "offset_group", int64(c.offsets), "strides", []int64{c.stride, c.stride},
				"dilations", []int64{c.dilation, c.dilation}, "pads", []int64{c.pad, c.pad, c.pad, c.pad})
			k.output(k.node("Relu", []string{y}))
			wantKernels(t, k.checkFloat(t), "f32 deformed columns")
		})
	}
}
