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
