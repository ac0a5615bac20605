package engine

import (
	"math"
	"testing"

	"lowbit/internal/tensor"
)

// gridOf returns a grid whose points lie within the image, beyond it, on its borders, and nowhere.
func (k *maker) gridOf(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	odd := []float32{-1, 1, 0, -1.5, 3, 1e30, float32(math.NaN()), float32(math.Inf(-1))}
	for i := range tensor.Of[float32](t) {
		v := 3 * (k.rng.Float32() - 0.5)
		if i%5 == 0 {
			v = odd[i/5%len(odd)]
		}
		tensor.Of[float32](t)[i] = v
	}
	return t
}

func TestGridSample(t *testing.T) {
	for _, mode := range []string{"linear", "nearest"} {
		for _, pad := range []string{"zeros", "border", "reflection"} {
			for _, corners := range []int64{0, 1} {
				for _, x := range [][]int{{2, 1, 6, 9}, {2, 3, 7, 5}, {2, 200, 6, 9}, {1, 5, 1, 4}} {
					t.Run(mode+" "+pad+tensor.FormatShape(x), func(t *testing.T) {
						k := newMaker(5)
						k.m.Opsets[0].Version = 20
						attrs := []any{"mode", mode, "padding_mode", pad, "align_corners", corners}
						image, grid := k.image(x[0], x[1], x[2], x[3]), k.input(k.gridOf(x[0], 13, 17, 2))
						k.output(k.node("GridSample", []string{image, grid}, attrs...))
						k.output(k.node("GridSample", []string{k.conv3(image, x[1], 6), grid}, attrs...))
						double := tensor.New(tensor.Float64, x[0], 3, 5, 2)
						for i, v := range tensor.Of[float32](k.gridOf(double.Shape...)) {
							tensor.Of[float64](double)[i] = float64(v) / 3
						}
						k.output(k.node("GridSample", []string{image, k.input(double)}, attrs...))
						wantKernels(t, k.checkFloat(t), "f32 GridSample")
					})
				}
			}
		}
	}
}

// TestGridSampleOlder reads the names of modes that opset 16 has, and leaves cubic and volumes to the definition.
func TestGridSampleOlder(t *testing.T) {
	for _, mode := range []string{"bilinear", "nearest", "bicubic"} {
		k := newMaker(6)
		k.output(k.node("GridSample", []string{k.image(2, 3, 7, 5), k.input(k.gridOf(2, 4, 5, 2))}, "mode", mode))
		steps := k.checkFloat(t)
		if mode != "bicubic" {
			wantKernels(t, steps, "f32 GridSample")
		}
	}
	k := newMaker(7)
	k.m.Opsets[0].Version = 20
	k.output(k.node("GridSample", []string{k.input(k.floats(2, 3, 4, 7, 5)), k.input(k.gridOf(2, 2, 4, 5, 3))}))
	k.checkFloat(t)
}
