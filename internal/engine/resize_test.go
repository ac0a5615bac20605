package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestLinearResize makes images larger and smaller in several parts.
func TestLinearResize(t *testing.T) {
	for _, mode := range []string{"half_pixel", "align_corners", "asymmetric"} {
		for _, by := range [][]float32{{1, 1, 2, 2}, {1, 1, 3, 0.5}, {1, 1, 0.4, 1.7}} {
			k := newMaker(8)
			x := k.input(k.floats(2, 24, 40, 30))
			k.output(k.node("Resize", []string{x, "", k.constant(tensor.Float32s(by, 4))}, "mode", "linear", "coordinate_transformation_mode", mode))
			wantKernels(t, k.checkFloat(t), "f32 linear resize")
		}
	}
}
