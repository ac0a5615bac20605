package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// TestProductsBF16 computes convolutions, in groups and with a residual, and products of matrices on
// bfloat16: on tiles where the level has them.
func TestProductsBF16(t *testing.T) {
	k := newMaker(9)
	k.m.Opsets[0].Version = 22
	brain := func(x *tensor.Tensor) *tensor.Tensor { return halved(t, tensor.BFloat16, x) }
	weight := func(shape ...int) string { return k.constant(brain(k.floats(shape...))) }
	x := k.input(brain(k.floats(2, 48, 9, 7)))
	y := k.node("Conv", []string{x, weight(64, 48, 3, 3), weight(64)}, "pads", []int64{1, 1, 1, 1})
	z := k.node("Conv", []string{k.node("Relu", []string{y}), weight(64, 32, 1, 1)}, "group", int64(2))
	y = k.node("MaxPool", []string{k.node("Add", []string{y, z})}, "kernel_shape", []int64{3, 3}, "strides", []int64{3, 3})
	m := k.node("Reshape", []string{y, k.constant(tensor.Vector(6, 128))})
	m = k.node("MatMul", []string{m, weight(128, 70)})
	m = k.node("Gemm", []string{k.node("Relu", []string{m}), weight(40, 70), weight(40)}, "transB", int64(1), "alpha", float32(0.5))
	k.output(m)
	want, _ := format.Floats(k.reference(t)[m])
	for _, r := range allRuns() {
		got, steps := k.evaluate(t, r, nil)
		a, _ := format.Floats(got[m])
		within(t, fmt.Sprint(r), asFloat32(a), asFloat32(want), 0.016, 0.016)
		if r.level.TilesBF16() {
			wantKernels(t, steps, "bf16 conv 3x3", "bf16 conv 1x1 after Add", "bf16 gemm+Relu", "bf16 gemm", "f32 to bfloat16")
		}
	}
}

// TestRoundedBF16 multiplies as bfloat16 what the file rounds to it and widens again, as quantized networks
// have it, and in float32 where the weight is no such number.
func TestRoundedBF16(t *testing.T) {
	for _, whole := range []bool{true, false} {
		k := newMaker(11)
		cast := func(x string, d tensor.DType) string { return k.node("Cast", []string{x}, "to", int64(d)) }
		w := k.floats(64, 32)
		c := k.constant(w)
		if whole {
			c = cast(k.constant(halved(t, tensor.BFloat16, w)), tensor.Float32)
		}
		x := cast(cast(k.input(k.floats(5, 64)), tensor.BFloat16), tensor.Float32)
		k.output(k.node("MatMul", []string{x, c}))
		k.checkFloat(t)
		name := "f32 gemm"
		if whole && best().TilesBF16() {
			name = "bf16 gemm"
		}
		_, steps := k.evaluate(t, runs{best(), 1}, nil)
		wantKernels(t, steps, name)
	}
}

// TestScaledBF16 keeps a weight in float32 that is no longer one of bfloat16.
func TestScaledBF16(t *testing.T) {
	k := newMaker(10)
	k.m.Opsets[0].Version = 22
	brain := func(x *tensor.Tensor) *tensor.Tensor { return halved(t, tensor.BFloat16, x) }
	y := k.node("MatMul", []string{k.input(brain(k.floats(5, 64))), k.constant(brain(k.floats(64, 32)))})
	y = k.node("Mul", []string{y, k.constant(brain(k.floats(32)))})
	k.output(y)
	want, _ := format.Floats(k.reference(t)[y])
	for _, r := range allRuns() {
		got, steps := k.evaluate(t, r, nil)
		a, _ := format.Floats(got[y])
		within(t, fmt.Sprint(r), asFloat32(a), asFloat32(want), 0.016, 0.016)
		wantKernels(t, steps, "f32 gemm")
	}
}
