package engine

import (
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// sign gives each element of x the scale with its sign.
func (k *maker) sign(x string, scale float32) string {
	return k.node("Where", []string{k.node("Less", []string{x, k.scalar(0)}), k.scalar(-scale), k.scalar(scale)})
}

// picked adds weights that stored codes pick from a table of marks, with a scale for each index of axis.
func (k *maker) picked(marks []int8, axis int, shape ...int) string {
	table := k.constant(&tensor.Tensor{DType: tensor.Int8, Shape: []int{len(marks)}, Raw: bytesOf(marks)})
	codes := k.node("Cast", []string{k.constant(k.codes(tensor.Uint8, 0, len(marks)-1, shape...))}, "to", int64(tensor.Int32))
	scale := tensor.Of[float32](k.positive(shape[axis]))
	for i := range scale {
		scale[i] *= 0.01
	}
	w := k.node("Gather", []string{table, codes})
	return k.node("DequantizeLinear", []string{w, k.constant(tensor.Float32s(scale, len(scale)))}, "axis", int64(axis))
}

func bytesOf(list []int8) []byte {
	out := make([]byte, len(list))
	for i, v := range list {
		out[i] = byte(v)
	}
	return out
}

// TestSigns multiplies signs by signs, on every level by what is fastest there.
func TestSigns(t *testing.T) {
	pads := []any{"pads", []int64{1, 1, 1, 1}}
	for _, c := range []struct {
		name    string
		x, w    []int
		attrs   []any
		kernels []string // that one of them is used is enough
	}{
		{"conv", []int{2, 80, 6, 5}, []int{24, 80, 3, 3}, append(pads, "strides", []int64{2, 1}), []string{"b1b1 conv 3x3 to f32"}},
		{"few pixels", []int{1, 70, 3, 4}, []int{20, 70, 3, 3}, pads, []string{"b1b1 conv 3x3 to f32"}},
		{"few channels", []int{1, 20, 3, 3}, []int{20, 20, 3, 3}, pads, []string{"u8s8 conv 3x3 to f32"}},
		{"many pixels", []int{1, 64, 9, 9}, []int{20, 64, 3, 3}, pads, []string{"b1b1 conv 3x3 to f32", "u8s8 conv 3x3 to f32"}},
		{"groups", []int{1, 216, 5, 5}, []int{12, 72, 3, 3}, append(pads, "group", int64(3)), []string{"b1b1 conv 3x3 to f32"}},
		{"matrix", []int{5, 100}, []int{100, 20}, nil, []string{"b1b1 gemm to f32"}},
		{"stack of matrices", []int{2, 3, 65}, []int{65, 20}, nil, []string{"b1b1 gemm to f32"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(uint64(len(c.name)))
			k.m.Opsets[0].Version = 21
			op, axis, in := "MatMul", 1, []string(nil)
			if len(c.w) == 4 {
				op, axis = "Conv", 0
				in = []string{k.constant(k.floats(c.w[0]))}
			}
			w := k.picked([]int8{1, -1}, axis, c.w...)
			x := k.sign(k.input(k.floats(c.x...)), 0.7)
			k.output(k.node(op, append([]string{x, w}, in...), c.attrs...))
			steps := k.checkFloat(t)
			wantKernels(t, steps, "f32 to signs")
			if !slices.ContainsFunc(steps, func(s StepTime) bool { return slices.Contains(c.kernels, s.Kernel) }) {
				t.Errorf("none of %q among %q", c.kernels, kernelsOf(steps))
			}
		})
	}
}

// TestNoSigns leaves choices alone that are none between a number and its negative.
func TestNoSigns(t *testing.T) {
	k := newMaker(5)
	x := k.input(k.floats(3, 40))
	less := k.node("Less", []string{x, k.scalar(0)})
	k.output(k.node("Where", []string{less, k.scalar(-1), k.scalar(2)}), k.node("Where", []string{less, k.scalar(1), k.scalar(-1)}))
	k.checkFloat(t)
}
