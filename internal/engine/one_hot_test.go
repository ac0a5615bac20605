package engine

import (
	"math"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// TestPickedRows multiplies what OneHot makes: the rows of a matrix are picked where all else is zero times finite numbers.
func TestPickedRows(t *testing.T) {
	const depth, cols = 9, 7
	index := func(k *maker) *tensor.Tensor { return tensor.Int64s([]int64{0, 8, 3, -1, -9, 9, -10, 1 << 40}, 2, 4) }
	hot := func(k *maker, at *tensor.Tensor, off, on float32) string {
		return k.node("OneHot", []string{k.input(at), k.constant(tensor.Vector(depth)), k.constant(tensor.Float32s([]float32{off, on}, 2))})
	}
	for _, c := range []struct {
		name   string
		picked bool
		build  func(k *maker) string
	}{
		{"rows", true, func(k *maker) string {
			return k.node("MatMul", []string{hot(k, index(k), 0, 1), k.constant(k.floats(depth, cols))})
		}},
		{"reshaped, by int32", true, func(k *maker) string {
			at := tensor.Wrap(tensor.Int32, []int32{0, 8, 3, -1, -9, 9, -10, 5}, 2, 4)
			x := k.node("Reshape", []string{hot(k, at, 0, -3), k.constant(tensor.Vector(-1, depth))})
			return k.node("MatMul", []string{x, k.constant(k.floats(depth, cols))})
		}},
		{"codes", true, func(k *maker) string {
			w, _ := k.weight(1, true, depth, cols)
			return k.node("MatMul", []string{k.quantized(hot(k, index(k), 0, 1), 1.0/255, 3, tensor.Uint8), w})
		}},
		{"one", true, func(k *maker) string {
			return k.node("MatMul", []string{hot(k, tensor.Int64s([]int64{5}), 0, 2), k.constant(k.floats(depth, cols))})
		}},
		{"not zero elsewhere", false, func(k *maker) string {
			return k.node("MatMul", []string{hot(k, index(k), 0.5, 1), k.constant(k.floats(depth, cols))})
		}},
		{"along another axis", false, func(k *maker) string {
			x := k.node("OneHot", []string{k.input(index(k)), k.constant(tensor.Vector(depth)), k.constant(tensor.Float32s([]float32{0, 1}, 2))}, "axis", int64(0))
			return k.node("MatMul", []string{x, k.constant(k.floats(4, cols))})
		}},
		{"reshaped across rows", false, func(k *maker) string {
			x := k.node("Reshape", []string{hot(k, index(k), 0, 1), k.constant(tensor.Vector(depth, -1))})
			return k.node("MatMul", []string{x, k.constant(k.floats(8, cols))})
		}},
		{"two matrices", false, func(k *maker) string {
			return k.node("MatMul", []string{hot(k, index(k), 0, 1), k.constant(k.floats(2, depth, cols))})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(3)
			k.output(c.build(k))
			got := kernelsOf(k.checkFloat(t))
			if slices.Contains(got, "pick rows") != c.picked {
				t.Errorf("%v", got)
			}
		})
	}
	t.Run("not finite", func(t *testing.T) {
		k := newMaker(3)
		w := k.floats(depth, cols)
		tensor.Of[float32](w)[10] = float32(math.Inf(1))
		k.output(k.node("MatMul", []string{hot(k, index(k), 0, 1), k.constant(w)}))
		if _, steps := k.evaluate(t, allRuns()[0], nil); slices.Contains(kernelsOf(steps), "pick rows") {
			t.Errorf("rows are picked where zeros are multiplied with what is not finite")
		}
	})
}
