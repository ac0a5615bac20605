package engine

import (
	"fmt"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// TestFoldedCodes holds the floats that constant codes fold to, to the bits of the definition.
func TestFoldedCodes(t *testing.T) {
	shape := []int{5, 1, 7, 3}
	for _, d := range []tensor.DType{tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Uint16} {
		for axis := -4; axis <= 4; axis++ { // 4: one scale in all
			for _, zero := range []bool{false, true} {
				k, n := newMaker(uint64(axis+9)), 1
				k.m.Opsets[0].Version = 21
				if axis < 4 {
					n = shape[(axis+4)%4]
				}
				codes, zeros, scale := tensor.New(d, shape...), tensor.New(d, n), k.floats(n)
				for _, raw := range [][]byte{codes.Raw, zeros.Raw} {
					for i := range raw {
						raw[i] = byte(k.rng.IntN(256))
					}
				}
				var attrs []any
				if axis == 4 {
					scale, zeros = scale.Reshape(), zeros.Reshape()
				} else {
					attrs = []any{"axis", int64(axis)}
				}
				in := []string{k.constant(codes), k.constant(scale)}
				if zero {
					in = append(in, k.constant(zeros))
				}
				x := k.input(k.floats(1))
				k.output(k.node("Add", []string{x, x}), k.node("DequantizeLinear", in, attrs...))
				t.Run(fmt.Sprintf("%v axis %d zero %v", d, axis, zero), func(t *testing.T) {
					if steps := k.checkExact(t); slices.Contains(kernelsOf(steps), "reference") || len(steps) > 1 {
						t.Errorf("steps are %v", kernelsOf(steps))
					}
				})
			}
		}
	}
}
