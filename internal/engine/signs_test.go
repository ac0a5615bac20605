package engine

import (
	"math"
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
		{"few channels", []int{1, 20, 3, 3}, []int{20, 20, 3, 3}, pads, []string{"u8s8 conv 3x3 to f32", "b1b1 conv 3x3 to f32"}}, // plain Go counts bits
		{"many pixels", []int{1, 64, 9, 9}, []int{20, 64, 3, 3}, pads, []string{"b1b1 conv 3x3 to f32"}},
		{"pixels that tiles read in place", []int{1, 64, 16, 16}, []int{32, 64, 3, 3}, pads, []string{"b1b1 conv 3x3 to f32", "u8s8 conv 3x3 to f32"}},
		{"groups", []int{1, 216, 5, 5}, []int{12, 72, 3, 3}, append(pads, "group", int64(3)), []string{"b1b1 conv 3x3 to f32"}},
		{"matrix", []int{5, 100}, []int{100, 20}, nil, []string{"b1b1 gemm to f32"}},
		{"many rows", []int{64, 256}, []int{256, 256}, nil, []string{"b1b1 gemm to f32", "u8s8 gemm to f32"}},
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

// exponent rounds x in the log domain to steps of the exponent between lo and hi.
func (k *maker) exponent(x string, lo, hi float32) string {
	log := k.node("Mul", []string{k.node("Log", []string{k.node("Abs", []string{x})}), k.scalar(1 / math.Ln2)})
	e := k.node("Clip", []string{k.node("Round", []string{log}), k.scalar(lo), k.scalar(hi)})
	return k.node("Mul", []string{k.node("Pow", []string{k.scalar(2), e}), k.node("Sign", []string{x})})
}

// logMarks are those of log4.
var logMarks = []int8{0, 1, 2, 4, 8, 16, 32, 64, -1, -2, -4, -8, -16, -32, -64}

// TestExponents multiplies powers of two, padding being zero.
func TestExponents(t *testing.T) {
	for _, c := range []struct {
		name   string
		lo, hi float32
		x, w   []int
		kernel string
	}{
		{"conv", -4, 2, []int{2, 19, 6, 5}, []int{24, 19, 3, 3}, "u8s8 conv 3x3 to f32"},
		{"few steps", -3, 0, []int{1, 40, 6, 5}, []int{24, 40, 3, 3}, "u8s8 conv 3x3 to f32"},
		{"one step", -1, -1, []int{1, 40, 6, 5}, []int{24, 40, 3, 3}, "u8s8 conv 3x3 to f32"},
		{"matrix", -6, 0, []int{5, 100}, []int{100, 20}, "u8s8 gemm to f32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(uint64(len(c.name)))
			k.m.Opsets[0].Version = 21
			op, axis, attrs := "MatMul", 1, []any(nil)
			if len(c.w) == 4 {
				op, axis, attrs = "Conv", 0, []any{"pads", []int64{1, 1, 1, 1}}
			}
			x := k.exponent(k.input(k.floats(c.x...)), c.lo, c.hi)
			k.output(k.node(op, []string{x, k.picked(logMarks, axis, c.w...)}, attrs...))
			wantKernels(t, k.checkFloat(t), "f32 to log codes", c.kernel)
		})
	}
}

// TestExponentBounds holds the codes against the definition at and around every bound.
func TestExponentBounds(t *testing.T) {
	k := newMaker(8)
	var x []float32
	for e := -7; e < 5; e++ {
		v := float32(math.Sqrt2 * math.Exp2(float64(e)))
		for range 8 {
			v = math.Nextafter32(v, 0)
		}
		for range 16 {
			x = append(x, v, -v)
			v = math.Nextafter32(v, 100)
		}
	}
	x = append(x, 0, float32(math.Copysign(0, -1)), 1e-45, math.MaxFloat32, float32(math.Inf(-1)))
	k.output(k.exponent(k.input(tensor.Float32s(x, len(x))), -4, 2))
	want := k.reference(t)
	for _, r := range allRuns() {
		got, steps := k.evaluate(t, r, nil)
		wantKernels(t, steps, "f32 to log codes")
		for name, w := range want {
			for i, v := range tensor.Of[float32](got[name]) {
				if v != tensor.Of[float32](w)[i] {
					t.Fatalf("%v: %g gives %g, not %g", r, x[i], v, tensor.Of[float32](w)[i])
				}
			}
		}
	}
}
