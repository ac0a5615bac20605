package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

func TestGatherBlocks(t *testing.T) {
	for _, c := range []struct {
		d           tensor.DType
		bits        int
		cols, block int // in codes
		zero        bool
	}{
		{tensor.Uint8, 4, 64, 16, true}, {tensor.Uint8, 4, 80, 32, true}, {tensor.Uint8, 4, 72, 16, false}, {tensor.Uint8, 2, 68, 16, true}, {tensor.Uint8, 2, 64, 32, false},
		{tensor.Uint8, 8, 41, 16, true}, {tensor.Uint8, 8, 40, 16, false}, {tensor.Int4, 4, 62, 16, true}, {tensor.Uint4, 4, 62, 16, true}, {tensor.Uint4, 4, 64, 32, false}, {tensor.Int4, 4, 128, 64, false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			k := newMaker(uint64(c.cols))
			k.m.Opsets[0].Version, k.m.IR = 21, 10
			const rows = 9
			blocks := (c.cols + c.block - 1) / c.block
			width, points := c.cols, blocks
			if c.d == tensor.Uint8 {
				width, points = c.cols*c.bits/8, (blocks*c.bits+7)/8
			}
			codes := func(cols int) string {
				x := tensor.New(c.d, rows, cols)
				for i := range x.Raw {
					x.Raw[i] = byte(k.rng.Uint32())
				}
				return k.constant(x)
			}
			index := tensor.Int64s([]int64{0, 8, -1, -9, 3, 9, -10, 3}, 2, 4)
			in := []string{codes(width), k.input(index), k.constant(k.floats(rows, blocks))}
			if c.zero {
				in = append(in, codes(points))
			}
			k.output(k.node("com.microsoft.GatherBlockQuantized", in, "bits", int64(c.bits), "block_size", int64(c.block)))
			wantKernels(t, k.checkExact(t), "rows of codes")
		})
	}
}
