package engine

import (
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// rois returns regions within the image, across its borders, beyond it, empty and turned around.
func (k *maker) rois(n int, size float32) *tensor.Tensor {
	t := tensor.New(tensor.Float32, n, 4)
	v := tensor.Of[float32](t)
	for i := range v {
		v[i] = size * (1.6*k.rng.Float32() - 0.3)
	}
	copy(v, []float32{0, 0, size, size, 2, 2, 2, 2, -3 * size, 0, -2 * size, size})
	return t
}

func TestRoiAlign(t *testing.T) {
	for _, mode := range []string{"half_pixel", "output_half_pixel"} {
		for _, ratio := range []int64{0, 1, 2, 3} {
			for _, x := range [][]int{{2, 3, 9, 12}, {1, 40, 7, 5}, {3, 256, 6, 9}, {1, 1, 1, 1}} {
				t.Run(mode+tensor.FormatShape(x), func(t *testing.T) {
					k := newMaker(uint64(ratio))
					k.m.Opsets[0].Version = 20
					const n = 17
					image := tensor.New(tensor.Int64, n)
					for i := range tensor.Of[int64](image) {
						tensor.Of[int64](image)[i] = int64(k.rng.IntN(x[0]))
					}
					attrs := []any{"coordinate_transformation_mode", mode, "sampling_ratio", ratio, "output_height", int64(3), "output_width", int64(4), "spatial_scale", float32(0.5)}
					in := []string{k.image(x[0], x[1], x[2], x[3]), k.input(k.rois(n, 2*float32(x[2]))), k.input(image)}
					k.output(k.node("RoiAlign", in, attrs...))
					wantKernels(t, k.checkFloat(t), "f32 RoiAlign")
				})
			}
		}
	}
}

// TestRoiAlignRefuses refuses what the definition refuses.
func TestRoiAlignRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		at, image float32
		kind      fault.Kind
	}{"image": {1, 1, fault.Invalid}, "coordinate": {1e20, 0, fault.Invalid}, "samples": {1e5, 0, fault.Limit}} {
		t.Run(name, func(t *testing.T) {
			k := newMaker(1)
			k.m.Opsets[0].Version = 16
			roi := tensor.Float32s([]float32{0, 0, c.at, c.at}, 1, 4)
			k.output(k.node("RoiAlign", []string{k.image(1, 2, 4, 4), k.input(roi), k.input(tensor.Vector(int64(c.image)))}))
			s, err := Compile(k.m, Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Run(t.Context(), k.in); fault.KindOf(err) != c.kind {
				t.Errorf("%v", err)
			}
		})
	}
}
