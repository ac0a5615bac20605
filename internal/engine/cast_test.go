package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestCast converts whole numbers of every kind that has kernels.
func TestCast(t *testing.T) {
	for d := range toFloats {
		k := newMaker(3)
		x := tensor.New(d, 1, 70, 13)
		for i := range x.Raw {
			x.Raw[i] = byte(k.rng.IntN(256))
			if d == tensor.Bool {
				x.Raw[i] &= 1
			}
		}
		k.output(k.node("Cast", []string{k.input(x)}, "to", int64(tensor.Float32)))
		wantKernels(t, k.checkExact(t), d.String()+" to f32")
	}
}

// TestWholeArithmetic adds, subtracts and multiplies whole numbers that may overflow.
func TestWholeArithmetic(t *testing.T) {
	for _, op := range []string{"Add", "Sub", "Mul"} {
		for _, d := range []tensor.DType{tensor.Int32, tensor.Int64} {
			for _, shapes := range [][2][]int{{{2, 9, 5, 4}, {1, 9, 1, 1}}, {{4, 1}, {3, 1, 7}}, {{6, 5}, {6, 5}}, {{3}, {}}} {
				k := newMaker(4)
				in := func(shape []int) string {
					x := tensor.New(d, shape...)
					for i := range x.Raw {
						x.Raw[i] = byte(k.rng.IntN(256))
					}
					return k.input(x)
				}
				k.output(k.node(op, []string{in(shapes[0]), in(shapes[1])}))
				wantKernels(t, k.checkExact(t), d.String()+" "+op)
			}
		}
	}
}
