package engine

import (
	"fmt"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A convCase is the shape of a convolution test.
type convCase struct {
	x, w               []int
	group              int
	strides, dil, pads []int64
	auto               string
	bias               bool
	kernel             string // what is expected to compute it
}

var convCases = []convCase{
	{x: []int{1, 16, 7, 9}, w: []int{24, 16, 1, 1}, group: 1, bias: true, kernel: "conv 1x1"},
	{x: []int{3, 12, 5, 5}, w: []int{20, 12, 1, 1}, group: 1, kernel: "conv 1x1"},
	{x: []int{2, 9, 8, 7}, w: []int{10, 9, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}, bias: true, kernel: "conv 3x3"},
	{x: []int{1, 9, 11, 7}, w: []int{33, 9, 3, 2}, group: 1, pads: []int64{2, 0, 1, 1}, strides: []int64{2, 1}, dil: []int64{1, 2}, bias: true, kernel: "conv 3x2"},
	{x: []int{2, 3, 13, 11}, w: []int{17, 3, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}, strides: []int64{2, 2}, bias: true, kernel: "conv by rows 3x3"},
	{x: []int{1, 1, 9, 9}, w: []int{5, 1, 5, 5}, group: 1, auto: "SAME_UPPER", kernel: "conv by rows 5x5"},
	{x: []int{1, 4, 9, 8}, w: []int{6, 4, 4, 4}, group: 1, auto: "SAME_LOWER", strides: []int64{2, 3}, kernel: "conv by rows 4x4"},
	{x: []int{2, 18, 9, 8}, w: []int{18, 1, 3, 3}, group: 18, pads: []int64{1, 0, 1, 2}, bias: true, kernel: "depthwise 3x3"},
	{x: []int{1, 40, 6, 6}, w: []int{40, 1, 5, 5}, group: 40, auto: "SAME_UPPER", strides: []int64{2, 2}, kernel: "depthwise 5x5"},
	{x: []int{2, 12, 6, 5}, w: []int{18, 4, 3, 3}, group: 3, pads: []int64{1, 1, 1, 1}, bias: true, kernel: "conv 3x3"},
	{x: []int{2, 8, 6, 5}, w: []int{16, 1, 1, 1}, group: 8, kernel: "conv 1x1"},
	{x: []int{2, 10, 21}, w: []int{7, 10, 5}, group: 1, pads: []int64{2, 1}, strides: []int64{2}, bias: true, kernel: "conv 1x5"},
	{x: []int{1, 2, 31}, w: []int{7, 2, 4}, group: 1, dil: []int64{3}, kernel: "conv 1x4"},
	{x: []int{1, 16, 33}, w: []int{16, 1, 3}, group: 16, pads: []int64{1, 1}, kernel: "depthwise 1x3"},
	{x: []int{1, 70, largeSide, largeSide + 1}, w: []int{65, 70, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}, kernel: "conv 3x3"},
	{x: []int{2, 64, 29, 33}, w: []int{40, 64, 1, 1}, group: 1, strides: []int64{2, 2}, bias: true, kernel: "conv 1x1"},
	{x: []int{2, 37, 30, 28}, w: []int{70, 37, 3, 5}, group: 1, pads: []int64{2, 1, 0, 3}, strides: []int64{2, 1}, dil: []int64{2, 1}, kernel: "conv 3x5"},
	{x: []int{1, 24, 200}, w: []int{24, 24, 7}, group: 1, pads: []int64{6, 0}, bias: true, kernel: "conv 1x7"},
	{x: []int{2, 6, 5, 7, 6}, w: []int{10, 6, 3, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1, 1, 1}, bias: true, kernel: "conv 3x3x3"},
	{x: []int{1, 3, 7, 9, 8}, w: []int{17, 3, 3, 2, 5}, group: 1, pads: []int64{2, 0, 1, 0, 1, 2}, strides: []int64{2, 1, 2}, dil: []int64{1, 2, 1}, kernel: "conv 3x2x5"},
	{x: []int{2, 16, 4, 5, 3}, w: []int{20, 8, 1, 1, 1}, group: 2, bias: true, kernel: "conv 1x1x1"},
	{x: []int{1, 9, 4, 5, 3}, w: []int{12, 9, 1, 1, 1}, group: 1, strides: []int64{2, 1, 1}, kernel: "conv 1x1x1"},
	{x: []int{2, 18, 5, 6, 4}, w: []int{18, 1, 3, 3, 3}, group: 18, auto: "SAME_UPPER", strides: []int64{2, 1, 1}, bias: true, kernel: "depthwise 3x3x3"},
	{x: []int{2, 10, 7, 6}, w: []int{12, 10, 3, 3}, group: 1, pads: []int64{9, 9, 9, 9}, dil: []int64{9, 9}, bias: true, kernel: "conv 1x1"},
	{x: []int{1, 10, 7, 9}, w: []int{12, 10, 3, 5}, group: 1, pads: []int64{8, 6, 8, 6}, dil: []int64{8, 3}, bias: true, kernel: "conv 1x5"},
	{x: []int{1, 18, 5, 4}, w: []int{18, 1, 3, 3}, group: 18, pads: []int64{11, 2, 1, 2}, dil: []int64{6, 2}, bias: true, kernel: "depthwise 2x3"},
	{x: []int{1, 48, 16, 15}, w: []int{24, 24, 3, 3}, group: 2, pads: []int64{1, 1, 1, 1}, kernel: "conv 3x3"},
}

func (c convCase) attrs() []any {
	a := []any{"group", int64(c.group)}
	for name, list := range map[string][]int64{"strides": c.strides, "dilations": c.dil, "pads": c.pads} {
		if list != nil {
			a = append(a, name, list)
		}
	}
	if c.auto != "" {
		a = append(a, "auto_pad", c.auto)
	}
	return a
}

func (c convCase) String() string {
	return fmt.Sprintf("x%v w%v g%d s%v d%v p%v %s", c.x, c.w, c.group, c.strides, c.dil, c.pads, c.auto)
}

func TestConvFloat(t *testing.T) {
	for i, c := range convCases {
		t.Run(c.String(), func(t *testing.T) {
			k := newMaker(uint64(i))
			in := []string{k.input(k.floats(c.x...)), k.constant(k.floats(c.w...))}
			if c.bias {
				in = append(in, k.constant(k.floats(c.w[0])))
			}
			k.output(k.node("Conv", in, c.attrs()...))
			wantKernels(t, k.checkFloat(t), "f32 "+c.kernel)
		})
	}
}

// TestConvPlanes convolves to few channels, whose vectors are of pixels, also behind and in front of other layouts.
func TestConvPlanes(t *testing.T) {
	for i, c := range []struct {
		convCase
		after string // an operator behind it
	}{
		{convCase{x: []int{2, 9, 17, 40}, w: []int{1, 9, 7, 3}, group: 1, pads: []int64{3, 1, 3, 1}, bias: true}, "Sigmoid"},
		{convCase{x: []int{1, 12, 33, 31}, w: []int{3, 12, 9, 9}, group: 1, pads: []int64{4, 4, 4, 4}, bias: true}, "Relu"},
		{convCase{x: []int{3, 5, 50, 45}, w: []int{8, 5, 4, 5}, group: 1, pads: []int64{1, 2, 0, 3}, strides: []int64{2, 2}}, "HardSwish"},
		{convCase{x: []int{1, 8, 30, 28}, w: []int{5, 8, 3, 3}, group: 1, auto: "SAME_UPPER", dil: []int64{2, 3}}, ""},
		{convCase{x: []int{2, 1, 4000}, w: []int{1, 1, 256}, group: 1, strides: []int64{2}, bias: true}, "Neg"},
		{convCase{x: []int{1, 16, 700}, w: []int{2, 16, 7}, group: 1, pads: []int64{3, 3}}, "Tanh"},
		{convCase{x: []int{1, 8, 30, 31}, w: []int{8, 8, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}}, "Relu"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			k := newMaker(uint64(i))
			x := k.input(k.floats(c.x...))
			if i%2 == 0 && len(c.x) == 4 {
				x = k.conv3(x, c.x[1], c.x[1])
			}
			in := []string{x, k.constant(k.floats(c.w...))}
			if c.bias {
				in = append(in, k.constant(k.floats(c.w[0])))
			}
			y := k.node("Conv", in, c.attrs()...)
			if c.after != "" {
				y = k.node(c.after, []string{y})
			}
			if i%3 == 0 && len(c.x) == 4 {
				y = k.conv3(y, c.w[0], 12)
			}
			k.output(y)
			wantKernels(t, k.checkFloat(t), "split into planes")
		})
	}
}

// TestSmallPlanes refuses planes that strides, dilations or padding make too large for offsets.
func TestSmallPlanes(t *testing.T) {
	small := kernel.Window{OH: 100, OW: 100, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1}
	if !smallPlanes(&small, 64) {
		t.Error("an image of 64 channels is refused")
	}
	for _, change := range []func(w *kernel.Window){
		func(w *kernel.Window) { w.OH = 1 << 30 }, func(w *kernel.Window) { w.StrideH, w.StrideW = 1<<40, 1<<40 }, func(w *kernel.Window) { w.DilW = 1 << 40 },
	} {
		w := small
		change(&w)
		if smallPlanes(&w, 64) {
			t.Errorf("%+v is taken", w)
		}
	}
}

// TestConvCodesByPlanes convolves codes to few channels, in either order of memory, to codes and to floats.
func TestConvCodesByPlanes(t *testing.T) {
	for i, c := range []struct {
		convCase
		before, concat, floats bool
	}{
		{convCase: convCase{x: []int{2, 9, 17, 40}, w: []int{1, 9, 7, 3}, group: 1, pads: []int64{3, 1, 3, 1}, bias: true}},
		{convCase: convCase{x: []int{1, 64, 33, 31}, w: []int{3, 64, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}, bias: true}, before: true, floats: true},
		{convCase: convCase{x: []int{3, 8, 50, 45}, w: []int{5, 8, 4, 5}, group: 1, pads: []int64{1, 2, 0, 3}, strides: []int64{2, 2}}, before: true, concat: true},
		{convCase: convCase{x: []int{1, 3, 30, 28}, w: []int{2, 3, 5, 5}, group: 1, auto: "SAME_UPPER", dil: []int64{2, 3}}},
		{convCase: convCase{x: []int{2, 1, 4000}, w: []int{1, 1, 256}, group: 1, strides: []int64{2}, bias: true}, floats: true},
		{convCase: convCase{x: []int{1, 16, 700}, w: []int{2, 16, 7}, group: 1, pads: []int64{3, 3}}, concat: true},
	} {
		for _, act := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(fmt.Sprint(act, c.convCase), func(t *testing.T) {
				k := newMaker(uint64(i))
				zero := 100
				if act == tensor.Int8 {
					zero = -7
				}
				const scale = 0.02
				x := k.input(k.floats(c.x...))
				if c.before {
					x = k.node("MaxPool", []string{k.quantized(x, scale, zero, act)}, "kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1})
				}
				x = k.quantized(x, scale, zero, act)
				w, ws := k.weight(0, i%2 == 0, c.w...)
				in := []string{x, w}
				if c.bias {
					in = append(in, k.biasOf(scale, ws, c.w[0]))
				}
				y := k.node("Conv", in, c.attrs()...)
				if !c.floats {
					y = k.quantized(y, 0.05, zero, act)
				}
				if c.concat {
					y = k.node("Concat", []string{y, y}, "axis", int64(1))
				}
				k.output(y)
				k.checkSteps(t, 0.05)
				wantKernels(t, k.stepsBelow(t, kernel.AMX), "split into planes")
			})
		}
	}
}

func TestConvInteger(t *testing.T) {
	for i, c := range convCases {
		for _, act := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(fmt.Sprint(act, c), func(t *testing.T) {
				k := newMaker(uint64(i))
				zero := 100
				if act == tensor.Int8 {
					zero = -7
				}
				const scale = 0.02
				x := k.quantized(k.input(k.floats(c.x...)), scale, zero, act)
				w, ws := k.weight(0, i%2 == 0, c.w...)
				in := []string{x, w}
				if c.bias {
					in = append(in, k.biasOf(scale, ws, c.w[0]))
				}
				y := k.node("Conv", in, c.attrs()...)
				if i%3 == 0 {
					y = k.node("Relu", []string{y})
				}
				k.output(k.quantized(y, 0.05, zero, act))
				wantKernels(t, k.checkSteps(t, 0.05), "u8s8 "+c.kernel)
			})
		}
	}
}

// groupCases are convolutions in small groups, of which several are computed together.
var groupCases = []convCase{
	{x: []int{2, 32, 9, 13}, w: []int{32, 2, 3, 3}, group: 16, pads: []int64{1, 1, 1, 1}, bias: true},
	{x: []int{1, 64, 11, 9}, w: []int{64, 4, 3, 3}, group: 16, pads: []int64{1, 1, 1, 1}, strides: []int64{2, 2}, bias: true},
	{x: []int{1, 128, 8, 7}, w: []int{128, 8, 3, 3}, group: 16, pads: []int64{1, 1, 1, 1}},
	{x: []int{2, 48, 7, 9}, w: []int{48, 8, 5, 3}, group: 6, auto: "SAME_UPPER", bias: true},
	{x: []int{1, 24, 6, 20}, w: []int{24, 4, 3, 3}, group: 6, dil: []int64{2, 1}, bias: true},
	{x: []int{1, 32, 7, 8}, w: []int{32, 16, 3, 3}, group: 2, pads: []int64{1, 1, 1, 1}, bias: true},
	{x: []int{2, 20, 5, 8}, w: []int{20, 5, 3, 3}, group: 4, pads: []int64{1, 1, 1, 1}, bias: true},
	{x: []int{1, 16, 5, 8}, w: []int{32, 1, 3, 3}, group: 16, pads: []int64{1, 1, 1, 1}},
	{x: []int{1, 64, 5, 8}, w: []int{64, 4, 1, 1}, group: 16, bias: true},
	{x: []int{1, 16, 40}, w: []int{16, 4, 5}, group: 4, pads: []int64{2, 2}, bias: true},
	{x: []int{1, 16, 4, 5, 6}, w: []int{16, 8, 3, 3, 3}, group: 2, pads: []int64{1, 1, 1, 1, 1, 1}},
}

// TestConvGroups convolves in small groups, adds and clamps: floats, codes, and codes of each run.
func TestConvGroups(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range groupCases {
		alone := c.strides != nil || c.dil != nil || c.w[0] != c.x[1] // the result has another shape
		add := func(k *maker, y, x string) string {
			if !alone {
				y = k.node("Add", []string{y, x})
			}
			return k.node("Relu", []string{y})
		}
		size := strings.ReplaceAll(strings.Trim(fmt.Sprint(c.w[2:]), "[]"), " ", "x")
		if len(c.w) == 3 {
			size = "1x" + size
		}
		t.Run("f32 "+c.String(), func(t *testing.T) {
			k := newMaker(uint64(i))
			x := k.input(k.floats(c.x...))
			in := []string{x, k.constant(k.floats(c.w...))}
			if c.bias {
				in = append(in, k.constant(k.floats(c.w[0])))
			}
			k.output(add(k, k.node("Conv", in, c.attrs()...), x))
			steps := k.checkFloat(t)
			if c.w[1] == c.w[0]/c.group && level.GroupsPayF32(c.w[0], c.w[1], tensor.Elements(c.w[2:])) {
				name := "f32 grouped " + size + "+Relu"
				if !alone {
					name += " after Add"
				}
				wantKernels(t, steps, name)
			}
		})
		t.Run("u8s8 "+c.String(), func(t *testing.T) {
			k := newMaker(uint64(i))
			x := k.quantized(k.input(k.floats(c.x...)), 0.02, 100, tensor.Uint8)
			w, ws := k.weight(0, i%2 == 0, c.w...)
			in := []string{x, w}
			if c.bias {
				in = append(in, k.biasOf(0.02, ws, c.w[0]))
			}
			y := k.quantized(k.node("Conv", in, c.attrs()...), 0.05, 90, tensor.Uint8)
			k.output(k.quantized(add(k, y, x), 0.05, 7, tensor.Uint8))
			wantKernels(t, k.checkSteps(t, 0.05), "u8s8 conv "+size)
		})
		t.Run("dynamic "+c.String(), func(t *testing.T) {
			k := newMaker(uint64(i))
			x := k.input(k.floats(c.x...))
			q := &graph.Node{Op: "DynamicQuantizeLinear", In: []string{x}, Out: []string{"q", "s", "z"}}
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, q)
			sums := k.node("ConvInteger", []string{"q", k.constant(k.codes(tensor.Int8, -128, 127, c.w...)), "z"}, c.attrs()...)
			scale := k.node("Mul", []string{"s", k.scalar(0.01)})
			k.output(k.node("Relu", []string{k.node("Mul", []string{k.node("Cast", []string{sums}, "to", int64(tensor.Float32)), scale})}))
			wantKernels(t, k.checkFloat(t), "u8s8 dynamic conv "+size+"+Relu")
		})
	}
}

// TestConvDirect convolves to few channels, in front of an activation that is not a clamp, a sum and a clamp.
func TestConvDirect(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		convCase
		form string
	}{
		{convCase{x: []int{2, 3, 33, 21}, w: []int{16, 3, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}, strides: []int64{2, 2}, bias: true}, "direct by rows 3x3"},
		{convCase{x: []int{1, 24, 17, 19}, w: []int{16, 24, 3, 3}, group: 1, auto: "SAME_UPPER"}, "direct 3x3"},
		{convCase{x: []int{1, 40, 9, 14}, w: []int{16, 40, 1, 1}, group: 1, bias: true}, "direct 1x1"},
		{convCase{x: []int{1, 16, 9, 14}, w: []int{16, 16, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}, bias: true}, "direct 3x3"},
		{convCase{x: []int{1, 64, 9, 14}, w: []int{16, 64, 3, 3}, group: 1, pads: []int64{1, 1, 1, 1}}, "conv 3x3"}, // sums are too long
		{convCase{x: []int{1, 16, 5, 64}, w: []int{16, 16, 1, 25}, group: 1}, "conv 1x25"},
	} {
		k := newMaker(uint64(i))
		in := []string{k.input(k.floats(c.x...)), k.constant(k.floats(c.w...))}
		if c.bias {
			in = append(in, k.constant(k.floats(c.w[0])))
		}
		y := k.node("Conv", in, c.attrs()...)
		z := k.node("Mul", []string{y, k.node("Sigmoid", []string{y})})
		k.output(k.node("Relu", []string{k.node("Add", []string{z, k.node("Conv", []string{z, k.constant(k.floats(16, 16, 1, 1))})})}))
		steps := k.checkFloat(t)
		if level.DirectPaysF32(16, c.w[1], 1) {
			wantKernels(t, steps, "f32 "+c.form+"+Silu", "f32 direct 1x1+Relu after Add")
		}
	}
}

// biasOf adds an int32 bias in steps of the sums.
func (k *maker) biasOf(x float32, w []float32, n int) string {
	scale := make([]float32, n)
	for i := range scale {
		scale[i] = x * w[i%len(w)]
	}
	b := k.constant(k.codes(tensor.Int32, -3000, 3000, n))
	return k.node("DequantizeLinear", []string{b, k.constant(tensor.Float32s(scale, n))}, "axis", int64(0))
}
