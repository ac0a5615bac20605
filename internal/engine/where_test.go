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

// TestLogic joins truths with ways of broadcasting, between convolutions too.
func TestLogic(t *testing.T) {
	for i, c := range [][2][]int{{{2, 3, 5, 7}, {2, 3, 5, 7}}, {{1, 1, 5, 7}, {2, 3, 1, 1}}, {{}, {4, 5}}, {{7}, {5, 1}}, {{1}, {}}, {{0, 3}, {1}}} {
		for _, op := range []string{"And", "Or"} {
			k := newMaker(uint64(i))
			in := []string{k.input(k.codes(tensor.Bool, 0, 1, c[0]...)), k.input(k.codes(tensor.Bool, 0, 1, c[1]...))}
			if len(c[0]) == 4 && c[0][1] == 3 {
				in[0] = k.node("IsNaN", []string{k.conv3(k.input(k.floats(c[0]...)), 3, 3)})
			}
			k.output(k.node(op, in))
			if steps := k.checkExact(t); i < 5 {
				wantKernels(t, steps, "bool Where")
			}
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
