package engine

import (
	"fmt"
	"math"
	"testing"

	"lowbit/internal/tensor"
)

func TestDFT(t *testing.T) {
	for _, c := range []struct {
		shape             []int
		axis, length      int64 // 0: not given
		inverse, onesided int64
	}{
		{[]int{2, 16, 2}, 1, 0, 0, 0}, {[]int{2, 16, 1}, 1, 0, 0, 0}, {[]int{2, 16, 1}, 1, 0, 0, 1}, {[]int{2, 9, 2}, 1, 0, 1, 1}, {[]int{2, 9, 1}, 1, 0, 1, 1},
		{[]int{2, 9, 2}, 1, 15, 1, 1}, {[]int{2, 9, 2}, 1, 8, 1, 1}, {[]int{2, 5, 2}, 1, 30, 1, 1}, {[]int{3, 15, 1}, 1, 0, 0, 1}, {[]int{3, 15, 1}, 1, 12, 0, 1}, {[]int{3, 15, 1}, 1, 20, 0, 0},
		{[]int{2, 6, 21, 2}, 1, 0, 0, 0}, {[]int{2, 6, 21, 1}, 1, 0, 1, 0}, {[]int{2, 6, 21, 1}, -2, 37, 0, 0}, {[]int{2, 6, 5, 3, 2}, 0, 0, 1, 0}, {[]int{2, 67, 5, 2}, 1, 74, 1, 0},
		{[]int{1, 1, 1}, 1, 0, 0, 0}, {[]int{1, 2, 1}, 1, 0, 0, 1}, {[]int{1, 1, 2}, 1, 2, 0, 0}, {[]int{1, 2, 2}, 1, 0, 1, 1}, {[]int{17, 384, 1}, 1, 0, 0, 0}, {[]int{4, 7, 2}, 0, 0, 0, 0},
	} {
		for _, opset := range []int{17, 20} {
			t.Run(fmt.Sprint(c, opset), func(t *testing.T) {
				k := newMaker(1)
				k.m.Opsets[0].Version = opset
				in, attrs := []string{k.input(k.floats(c.shape...))}, []any{"inverse", c.inverse, "onesided", c.onesided}
				if c.length > 0 || opset == 20 {
					in = append(in, "")
				}
				if c.length > 0 {
					in[1] = k.constant(tensor.Int64s([]int64{c.length}))
				}
				if opset == 20 {
					in = append(in, k.constant(tensor.Int64s([]int64{c.axis})))
				} else {
					attrs = append(attrs, "axis", c.axis)
				}
				k.output(k.node("DFT", in, attrs...))
				wantKernels(t, k.checkFloat(t), "f32 Fourier")
			})
		}
	}
}

// TestDFTApart keeps what is no number to its own signal.
func TestDFTApart(t *testing.T) {
	k := newMaker(1)
	x := k.floats(3, 8, 1)
	tensor.Of[float32](x)[9] = float32(math.Inf(1))
	y := k.node("DFT", []string{k.input(x)})
	k.output(y)
	got, _ := k.evaluate(t, runs{best(), 1}, nil)
	for i, v := range tensor.Of[float32](got[y]) {
		if finite := !(v-v != 0); finite != (i/16 != 1) {
			t.Errorf("[%d] is %g", i, v)
		}
	}
}

func TestSTFT(t *testing.T) {
	for _, c := range []struct {
		shape                 []int
		hop, window, length   int64 // 0: not given
		onesided, constWindow bool
	}{
		{[]int{2, 100, 1}, 10, 16, 0, true, true}, {[]int{2, 100, 1}, 7, 15, 15, true, false}, {[]int{1, 101, 2}, 16, 32, 0, false, true}, {[]int{1, 50, 1}, 5, 0, 20, false, true}, {[]int{1, 24, 1}, 1, 0, 0, true, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			k := newMaker(1)
			onesided := int64(0)
			if c.onesided {
				onesided = 1
			}
			in := []string{k.input(k.floats(c.shape...)), k.constant(tensor.Int64s([]int64{c.hop})), "", ""}
			if c.window > 0 && c.constWindow {
				in[2] = k.constant(k.floats(int(c.window)))
			} else if c.window > 0 {
				in[2] = k.input(k.floats(int(c.window)))
			}
			if c.length > 0 {
				in[3] = k.constant(tensor.Int64s([]int64{c.length}))
			}
			k.output(k.node("STFT", in, "onesided", onesided))
			wantKernels(t, k.checkFloat(t), "f32 Fourier")
		})
	}
}
