package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestWhere chooses with every way of broadcasting, in either order of memory.
func TestWhere(t *testing.T) {
	for i, c := range [][3][]int{
		{{2, 3, 5, 7}, {2, 3, 5, 7}, {2, 3, 5, 7}},
		{{2, 3, 5, 7}, {}, {2, 3, 5, 7}},
		{{2, 3, 5, 7}, {2, 3, 5, 7}, {1}},
		{{1, 1, 5, 7}, {2, 3, 5, 7}, {}},
		{{2, 1, 1, 7}, {2, 3, 1, 1}, {3, 5, 7}},
		{{7}, {5, 1}, {2, 3, 1, 1}},
		{{2, 3, 5, 1}, {2, 3, 5, 7}, {7}},
		{{1}, {1, 1}, {1}},
		{{2, 3, 1, 1}, {2, 3, 5, 7}, {2, 3, 5, 7}},
	} {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int32, tensor.Bool} {
			k := newMaker(uint64(i))
			of := func(d tensor.DType, shape []int) string {
				switch d {
				case tensor.Float32:
					x := k.input(k.floats(shape...))
					if len(shape) == 4 && shape[1] == 3 && i%2 == 0 {
						x = k.conv3(x, 3, 3)
					}
					return x
				case tensor.Bool:
					x := tensor.New(d, shape...)
					for j := range tensor.Of[bool](x) {
						tensor.Of[bool](x)[j] = k.rng.IntN(2) > 0
					}
					return k.input(x)
				}
				return k.input(k.codes(d, -100, 100, shape...))
			}
			k.output(k.node("Where", []string{of(tensor.Bool, c[0]), of(d, c[1]), of(d, c[2])}))
			wantKernels(t, k.checkFloat(t), d.String()+" Where")
		}
	}
}

// TestNoNaN takes numbers in place of what is none, as exports guard Softmax.
func TestNoNaN(t *testing.T) {
	k := newMaker(3)
	x := k.floats(4, 65)
	tensor.Of[float32](x)[7] = -1
	y := k.node("Sqrt", []string{k.input(x)})
	k.output(k.node("Where", []string{k.node("IsNaN", []string{y}), k.scalar(0), y}))
	wantKernels(t, k.checkFloat(t), "f32 IsNaN", "float Where")
}
