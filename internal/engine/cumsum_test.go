package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

func TestCumSum(t *testing.T) {
	for _, shape := range [][]int{{7}, {3, 5}, {2, 4, 3}, {1, 300, 17}, {2, 1, 3}} {
		for axis := -1; axis < len(shape); axis++ {
			for bits := range 4 {
				t.Run(fmt.Sprint(shape, axis, bits), func(t *testing.T) {
					k := newMaker(uint64(bits))
					attrs := []any{"exclusive", int64(bits & 1), "reverse", int64(bits >> 1)}
					at := k.constant(tensor.Int64s([]int64{int64(axis)}))
					k.output(k.node("CumSum", []string{k.input(k.floats(shape...)), at}, attrs...))
					k.output(k.node("CumSum", []string{k.input(k.codes(tensor.Int32, -1<<31, 1<<31-1, shape...)), at}, attrs...))
					long := tensor.New(tensor.Int64, shape...)
					for i := range tensor.Of[int64](long) {
						tensor.Of[int64](long)[i] = int64(k.rng.Uint64())
					}
					k.output(k.node("CumSum", []string{k.input(long), at}, attrs...))
					wantKernels(t, k.checkExact(t), "float CumSum", "int32 CumSum", "int64 CumSum")
				})
			}
		}
	}
}
