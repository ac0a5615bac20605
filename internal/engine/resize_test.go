package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestLinearResizeDimensions resizes lines and volumes, by scales and to sizes.
func TestLinearResizeDimensions(t *testing.T) {
	for _, c := range []struct {
		x  []int
		by []float32
		to []int64
	}{
		{x: []int{2, 3, 50}, by: []float32{1, 1, 2.5}},
		{x: []int{1, 16, 7}, to: []int64{1, 16, 3}},
		{x: []int{2, 5, 6, 7, 8}, by: []float32{1, 1, 2, 2, 2}},
		{x: []int{1, 17, 9, 8, 1}, to: []int64{1, 17, 4, 8, 3}},
		{x: []int{1, 2, 1, 8, 9}, by: []float32{1, 1, 3, 1, 0.5}},
	} {
		for _, mode := range []string{"half_pixel", "align_corners", "asymmetric"} {
			k := newMaker(9)
			in := []string{k.input(k.floats(c.x...)), ""}
			if c.by != nil {
				in = append(in, k.constant(tensor.Float32s(c.by, len(c.by))))
			} else {
				in = append(in, "", k.constant(tensor.Vector(c.to...)))
			}
			k.output(k.node("Resize", in, "mode", "linear", "coordinate_transformation_mode", mode))
			wantKernels(t, k.checkFloat(t), "f32 linear resize")
		}
	}
}

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

// TestLinearResizeCodes resizes codes to other codes, clamped or not, in parts.
func TestLinearResizeCodes(t *testing.T) {
	for i, c := range []struct {
		x    []int
		by   []float32
		relu bool
	}{
		{x: []int{2, 24, 40, 30}, by: []float32{1, 1, 2, 2}},
		{x: []int{1, 3, 33, 21}, by: []float32{1, 1, 3, 0.5}, relu: true},
		{x: []int{1, 16, 7, 1}, by: []float32{1, 1, 2.5, 1}},
		{x: []int{2, 9, 50}, by: []float32{1, 1, 1.7}, relu: true},
		{x: []int{1, 8, 4, 5}, by: []float32{1, 1, 0.4, 1}},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			for _, mode := range []string{"half_pixel", "align_corners", "asymmetric"} {
				k := newMaker(uint64(i))
				zero := 100
				if d == tensor.Int8 {
					zero = -7
				}
				x := k.quantized(k.input(k.floats(c.x...)), 0.0213, zero, d)
				y := k.node("Resize", []string{x, "", k.constant(tensor.Float32s(c.by, len(c.by)))}, "mode", "linear", "coordinate_transformation_mode", mode)
				if c.relu {
					y = k.node("Relu", []string{y})
				}
				k.output(k.quantized(y, 0.0291, zero+9, d))
				wantKernels(t, k.checkSteps(t, 0.0291), "u8 linear resize")
			}
		}
	}
}
