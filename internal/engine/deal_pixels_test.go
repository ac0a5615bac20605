package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestDealPixels deals rows of elements of every size out, in parts.
func TestDealPixels(t *testing.T) {
	for _, b := range []int{2, 3} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int16, tensor.Float32, tensor.Int64} {
			for _, shape := range [][]int{{2, 3, 4 * b, 35 * b}, {1, 5, b, b}, {1, 3, 60 * b, 50 * b}} {
				t.Run(fmt.Sprint(b, d, shape), func(t *testing.T) {
					k := newMaker(uint64(b))
					x := tensor.New(d, shape...)
					for i := range x.Raw {
						x.Raw[i] = byte(k.rng.Uint32())
					}
					if d == tensor.Float32 {
						x = k.floats(shape...)
					}
					k.output(k.node("SpaceToDepth", []string{k.input(x)}, "blocksize", int64(b)))
					wantKernels(t, k.checkExact(t), "deal pixels")
				})
			}
		}
	}
}
