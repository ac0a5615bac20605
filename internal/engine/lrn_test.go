package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestLRN takes powers by roots and by logarithms, windows of even and odd sizes and wider than the channels, in either layout.
func TestLRN(t *testing.T) {
	for i, c := range []struct {
		size  int64
		attrs []any
	}{
		{5, nil}, {1, nil}, {2, nil}, {4, []any{"beta", float32(0.5)}}, {3, []any{"beta", float32(1), "bias", float32(2)}},
		{99, nil}, {5, []any{"beta", float32(0.6), "alpha", float32(0.7)}}, {3, []any{"beta", float32(-0.3), "bias", float32(0.1), "alpha", float32(3)}},
	} {
		for _, shape := range [][]int{{2, 9, 7, 5}, {1, 13, 60, 70}, {3, 6}, {2, 5, 33}, {1, 3000, 3, 7}, {2, 1, 4, 4}} {
			for _, last := range []bool{false, true} {
				if last && (len(shape) != 4 || shape[1] > 1000) {
					continue
				}
				t.Run(fmt.Sprint(i, shape, last), func(t *testing.T) {
					k := newMaker(uint64(i))
					x := k.input(k.floats(shape...))
					if last {
						x = k.conv3(x, shape[1], 21)
					}
					k.output(k.node("LRN", []string{x}, append([]any{"size", c.size}, c.attrs...)...))
					wantKernels(t, k.checkFloat(t), "f32 LRN")
				})
			}
		}
	}
}

// TestLpNormalization divides rows and columns, also of zeros and of numbers whose squares float32 does not hold.
func TestLpNormalization(t *testing.T) {
	for _, p := range []int64{1, 2} {
		for _, shape := range [][]int{{7}, {3, 50}, {4, 3, 5, 6}, {2, 3, 70, 41}, {1, 1, 5}} {
			for axis := -1; axis < len(shape)-1; axis++ {
				t.Run(fmt.Sprint(p, shape, axis), func(t *testing.T) {
					k := newMaker(uint64(p))
					x := k.floats(shape...)
					for i, v := range tensor.Of[float32](x) {
						tensor.Of[float32](x)[i] = v * []float32{1, 0, 1e-25, 1e25}[i/shape[len(shape)-1]%4]
					}
					for _, in := range []string{k.input(x), k.input(tensor.New(tensor.Float32, shape...)), k.input(k.floats(shape...))} {
						k.output(k.node("LpNormalization", []string{in}, "axis", int64(axis), "p", p))
					}
					if len(shape) == 4 {
						k.output(k.node("LpNormalization", []string{k.conv3(k.input(k.floats(shape...)), shape[1], 7)}, "axis", int64(axis), "p", p))
					}
					wantKernels(t, k.checkFloat(t), "f32 LpNormalization")
				})
			}
		}
	}
}
