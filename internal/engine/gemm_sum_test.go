package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestGemmSum adds a computed matrix, row or column to products of floats and of codes.
func TestGemmSum(t *testing.T) {
	for _, shape := range [][]int{{5, 40}, {1, 40}, {40}, {5, 1}, {}} {
		k := newMaker(uint64(len(shape)))
		c := k.input(k.floats(shape...))
		k.output(k.node("Gemm", []string{k.input(k.floats(5, 33)), k.constant(k.floats(40, 33)), c}, "transB", int64(1), "alpha", float32(0.5)))
		wantKernels(t, k.checkFloat(t))

		k = newMaker(uint64(len(shape)))
		w, _ := k.weight(0, true, 40, 33)
		x := k.node("Gemm", []string{k.codesIn(tensor.Uint8, 5, 33), w, k.codesIn(tensor.Uint8, shape...)}, "transB", int64(1))
		k.codesOut(x, tensor.Uint8)
		wantKernels(t, k.checkSteps(t, outScale), "u8s8 gemm to f32")
	}
}

// TestGemmSumScaled leaves a factor of the sum to the definition.
func TestGemmSumScaled(t *testing.T) {
	k := newMaker(1)
	k.output(k.node("Gemm", []string{k.input(k.floats(3, 4)), k.constant(k.floats(4, 5)), k.input(k.floats(3, 5))}, "beta", float32(2)))
	k.checkFloat(t)
}
