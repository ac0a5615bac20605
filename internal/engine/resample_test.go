package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestResample makes images larger and smaller by cubic interpolation and by averages, along any axes and in both layouts.
func TestResample(t *testing.T) {
	for _, coordinates := range []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"} {
		for i, c := range []struct {
			by    []float32
			attrs []any
		}{
			{[]float32{1, 1, 2, 2}, []any{"mode", "cubic"}},
			{[]float32{1, 1, 3.3, 0.5}, []any{"mode", "cubic", "cubic_coeff_a", float32(-0.5)}},
			{[]float32{1, 1, 0.4, 1.7}, []any{"mode", "cubic", "exclude_outside", int64(1)}},
			{[]float32{1, 1, 0.3, 0.45}, []any{"mode", "cubic", "antialias", int64(1)}},
			{[]float32{1, 1, 0.3, 1.6}, []any{"mode", "linear", "antialias", int64(1)}},
			{[]float32{2, 1.5, 0.7, 1}, []any{"mode", "linear"}},
			{[]float32{1, 0.5, 1, 3}, []any{"mode", "linear", "exclude_outside", int64(1)}},
		} {
			t.Run(fmt.Sprint(coordinates, i), func(t *testing.T) {
				k := newMaker(8)
				k.m.Opsets[0].Version = 19
				scales := k.constant(tensor.Float32s(c.by, 4))
				attrs := append([]any{"coordinate_transformation_mode", coordinates}, c.attrs...)
				for _, x := range []string{k.input(k.floats(2, 3, 19, 14)), k.conv3(k.image(1, 3, 13, 17), 3, 12)} {
					k.output(k.node("Resize", []string{x, "", scales}, attrs...))
				}
				wantKernels(t, k.checkFloat(t), "f32 resize")
			})
		}
	}
}

// TestResampleRegions crops regions that reach outside of the image, of all axes and of some.
func TestResampleRegions(t *testing.T) {
	for _, mode := range []string{"linear", "cubic", "nearest"} {
		for _, outside := range []float32{0, 2} {
			k := newMaker(8)
			k.m.Opsets[0].Version = 19
			attrs := []any{"mode", mode, "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", outside}
			x := k.input(k.floats(2, 3, 19, 14))
			all := k.constant(tensor.Float32s([]float32{0, 0, 0.1, -0.2, 1, 1, 0.8, 1.3}, 8))
			two := k.constant(tensor.Float32s([]float32{0.9, 0.2, -0.1, 0.9}, 4))
			k.output(k.node("Resize", []string{x, all, "", k.constant(tensor.Vector(2, 3, 30, 7))}, attrs...))
			k.output(k.node("Resize", []string{x, two, "", k.constant(tensor.Vector(21, 5))}, append(attrs, "axes", []int64{-2, 3})...))
			k.output(k.node("Resize", []string{x, all, k.constant(tensor.Float32s([]float32{1, 1, 1.5, 0.9}, 4))}, attrs...))
			name := "f32 resize"
			if mode == "nearest" && outside == 0 {
				name = "move"
			}
			wantKernels(t, k.checkFloat(t), name)
		}
	}
}

// TestResampleCodes crops codes whose zero is no code of zero.
func TestResampleCodes(t *testing.T) {
	for _, outside := range []float32{0, 2} {
		k := newMaker(8)
		k.m.Opsets[0].Version = 19
		roi, sizes := k.constant(tensor.Float32s([]float32{0, 0, 0.1, -0.2, 1, 1, 0.8, 1.3}, 8)), k.constant(tensor.Vector(2, 3, 30, 7))
		x := k.quantized(k.input(k.floats(2, 3, 19, 14)), 0.02, 77, tensor.Uint8)
		y := k.node("Resize", []string{x, roi, "", sizes}, "mode", "nearest", "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", outside)
		k.output(k.quantized(y, 0.02, 77, tensor.Uint8))
		k.checkExact(t)
	}
}

// TestResampleForms takes sizes along some axes, a policy, volumes, lines, and Upsample.
func TestResampleForms(t *testing.T) {
	k := newMaker(8)
	k.m.Opsets[0].Version = 19
	x := k.input(k.floats(1, 9, 12, 20))
	k.output(k.node("Resize", []string{x, "", "", k.constant(tensor.Vector(5, 31))}, "mode", "cubic", "axes", []int64{1, -1}))
	k.output(k.node("Resize", []string{x, "", "", k.constant(tensor.Vector(31, 40))}, "mode", "cubic", "axes", []int64{3, 2}, "keep_aspect_ratio_policy", "not_larger"))
	k.output(k.node("Resize", []string{k.input(k.floats(2, 3, 4, 5, 6, 7)), "", "", k.constant(tensor.Vector(2, 3, 4, 9, 3, 11))}, "mode", "linear"))
	k.output(k.node("Resize", []string{k.input(k.floats(40)), "", "", k.constant(tensor.Vector(91))}, "mode", "cubic"))
	wantKernels(t, k.checkFloat(t), "f32 resize")
	u := newMaker(8)
	u.m.Opsets[0].Version = 9
	u.output(u.node("Upsample", []string{u.input(u.floats(1, 9, 12, 20)), u.constant(tensor.Float32s([]float32{1, 1, 2, 3}, 4))}, "mode", "linear"))
	u.output(u.node("Upsample", []string{u.input(u.floats(12, 20)), u.constant(tensor.Float32s([]float32{2, 3}, 2))}, "mode", "linear"))
	wantKernels(t, u.checkFloat(t), "f32 resize", "f32 linear resize")
}

// TestResampleIntegers takes images of bytes as they are, whose results are cut off to integers.
func TestResampleIntegers(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		for _, mode := range []string{"linear", "cubic"} {
			for _, antialias := range []int64{0, 1} {
				k := newMaker(8)
				k.m.Opsets[0].Version = 19
				attrs := []any{"mode", mode, "antialias", antialias}
				first, last := k.input(k.codes(d, -128, 127, 2, 3, 19, 14)), k.input(k.codes(d, -128, 127, 1, 19, 14, 3))
				flat := k.input(k.codes(d, 7, 7, 1, 1, 31, 2))
				k.output(k.node("Resize", []string{first, "", k.constant(tensor.Float32s([]float32{1, 1, 0.7, 1.9}, 4))}, attrs...))
				k.output(k.node("Resize", []string{last, "", "", k.constant(tensor.Vector(1, 7, 30, 3))}, attrs...))
				k.output(k.node("Resize", []string{flat, "", "", k.constant(tensor.Vector(17, 5))}, append(attrs, "axes", []int64{2, 3})...))
				k.output(k.node("Resize", []string{first, "", "", k.constant(tensor.Vector(9))}, append(attrs, "axes", []int64{3})...))
				wantKernels(t, k.checkExact(t), "resize of codes")
			}
		}
	}
}
