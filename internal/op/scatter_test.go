package op

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// TestElementsAlong holds GatherElements and ScatterElements against one element at a time, with rows of indices that are
// alike and others.
func TestElementsAlong(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		data := scores(r, tensor.Float32, []int{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(4)})
		axis, shape := r.IntN(3), slices.Clone(data.Shape)
		for i := range shape {
			shape[i] = 1 + r.IntN(shape[i])
		}
		alike := []int{1, 1, 1}
		if r.IntN(2) == 0 {
			alike = shape
		} else {
			alike[axis] = shape[axis]
		}
		few := tensor.New(tensor.Int64, alike...)
		for i := range tensor.Of[int64](few) {
			tensor.Of[int64](few)[i] = int64(r.IntN(2*data.Shape[axis]) - data.Shape[axis])
		}
		at, err := strided(few, shape, 0, broadcastStrides(few.Shape, shape))
		if err != nil {
			t.Fatal(err)
		}
		updates := scores(r, tensor.Float32, shape)
		gathered, scattered := tensor.New(tensor.Float32, shape...), data.Clone()
		own := strides(data.Shape)
		eachIndex(shape, [][]int{own}, func(i int, off []int) {
			v := int(tensor.Of[int64](at)[i])
			if v < 0 {
				v += data.Shape[axis]
			}
			old := off[0] / own[axis] % data.Shape[axis]
			p := off[0] + (v-old)*own[axis]
			tensor.Of[float32](gathered)[i] = tensor.Of[float32](data)[p]
			tensor.Of[float32](scattered)[p] = tensor.Of[float32](updates)[i]
		})
		got := run(t, node("GatherElements", 2, 1, "axis", int64(axis)), data, at)[0]
		put := run(t, node("ScatterElements", 3, 1, "axis", int64(axis)), data, at, updates)[0]
		if !slices.Equal(got.Raw, gathered.Raw) || !slices.Equal(put.Raw, scattered.Raw) {
			t.Fatalf("%s along %d at %v", data, axis, tensor.Of[int64](at))
		}
	}
}
