package engine

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestMeet runs products of codes that what moves numbers parts from their Q or DQ nodes, or from their weights.
func TestMeet(t *testing.T) {
	conv := func(k *maker, x string, cout, cin int) string {
		w, _ := k.weight(0, true, cout, cin, 3, 3)
		return k.node("Conv", []string{x, w}, "pads", []int64{1, 1, 1, 1})
	}
	pool := func(k *maker, x string) string {
		return k.node("MaxPool", []string{x}, "kernel_shape", []int64{3, 3}, "strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1})
	}
	turn := func(k *maker, x string, perm ...int64) string {
		return k.node("Transpose", []string{x}, "perm", perm)
	}
	for _, c := range []struct {
		name   string
		build  func(k *maker, d tensor.DType) string
		kernel string
	}{
		{"channels last around it", func(k *maker, d tensor.DType) string {
			y := conv(k, turn(k, k.codesIn(d, 1, 6, 5, 16), 0, 3, 1, 2), 16, 16)
			return k.node("Relu", []string{turn(k, y, 0, 2, 3, 1)})
		}, "u8s8 conv 3x3"},
		{"pool in front", func(k *maker, d tensor.DType) string { return conv(k, pool(k, k.codesIn(d, 1, 16, 8, 8)), 16, 16) }, "u8s8 conv 3x3"},
		{"pool and clamps behind", func(k *maker, d tensor.DType) string {
			y := pool(k, k.node("Relu", []string{conv(k, k.codesIn(d, 1, 16, 8, 8), 16, 16)}))
			return k.node("Clip", []string{y, k.scalar(0), k.scalar(2)})
		}, "u8 max pool"},
		{"concatenations on both sides", func(k *maker, d tensor.DType) string {
			x := k.node("Concat", []string{k.codesIn(d, 1, 8, 6, 6), k.codesIn(d, 1, 8, 6, 6)}, "axis", int64(1))
			return k.node("Concat", []string{conv(k, x, 16, 16), k.input(k.floats(1, 3, 6, 6)), conv(k, x, 5, 16)}, "axis", int64(1))
		}, "u8s8 conv 3x3"},
		{"split and rows", func(k *maker, d tensor.DType) string {
			n := &graph.Node{Op: "Split", In: []string{k.codesIn(d, 4, 6, 20)}, Out: []string{k.name(), k.name()}}
			n.SetAttr("axis", int64(1))
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
			v, _ := k.weight(1, true, 20, 24)
			w, _ := k.weight(1, true, 20, 24)
			return k.node("Concat", []string{k.node("MatMul", []string{n.Out[0], v}), k.node("MatMul", []string{n.Out[1], w})}, "axis", int64(-1))
		}, "u8s8 gemm"},
		{"transposed matrix", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(0, true, 24, 20)
			return k.node("MatMul", []string{k.codesIn(d, 6, 20), turn(k, w, 1, 0)})
		}, "u8s8 gemm"},
		{"kernels with channels last", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(3, true, 3, 3, 16, 8)
			return k.node("Conv", []string{k.codesIn(d, 1, 16, 6, 6), turn(k, w, 3, 2, 0, 1)})
		}, "u8s8 conv 3x3"},
		{"reshaped depthwise kernels", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(2, true, 3, 3, 16)
			shape := k.constant(tensor.Vector(16, 1, 3, 3))
			return k.node("Conv", []string{k.codesIn(d, 1, 16, 6, 6), k.node("Reshape", []string{turn(k, w, 2, 0, 1), shape})}, "group", int64(16))
		}, "u8s8 depthwise 3x3"},
		{"quantized twice alike", func(k *maker, d tensor.DType) string {
			y := conv(k, k.codesIn(d, 1, 16, 6, 6), 16, 16)
			return k.node("Add", []string{k.quantized(y, outScale, zeroFor(d), d), k.quantized(y, outScale, zeroFor(d), d)})
		}, "u8s8 conv 3x3"},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(c.name+" "+d.String(), func(t *testing.T) {
				k := newMaker(uint64(len(c.name)))
				k.codesOut(c.build(k, d), d)
				steps := k.checkSteps(t, outScale)
				if wantKernels(t, steps, c.kernel); len(steps) > 12 {
					t.Errorf("%d steps: %v", len(steps), kernelsOf(steps))
				}
			})
		}
	}
}

// TestFollow lets products of codes take over what changes their channels by constants.
func TestFollow(t *testing.T) {
	conv := func(k *maker, x string) string {
		w, s := k.weight(0, true, 16, 16, 3, 3)
		return k.node("Conv", []string{x, w, k.biasOf(inScale, s, 16)})
	}
	for _, c := range []struct {
		name   string
		build  func(k *maker) string
		kernel string
	}{
		{"row in front of a matrix", func(k *maker) string {
			w, _ := k.weight(1, true, 20, 24)
			y := k.node("MatMul", []string{k.codesIn(tensor.Uint8, 6, 20), w})
			return k.node("Relu", []string{k.node("Add", []string{k.constant(k.floats(24)), y})})
		}, "u8s8 gemm"},
		{"channels of an image", func(k *maker) string {
			y := k.node("Add", []string{conv(k, k.codesIn(tensor.Int8, 1, 16, 6, 6)), k.constant(k.floats(16, 1, 1))})
			return k.node("Add", []string{k.node("Mul", []string{y, k.scalar(-0.2)}), k.scalar(0.3)})
		}, "u8s8 conv 3x3"},
		{"batch normalization and move", func(k *maker) string {
			y := k.node("BatchNormalization", []string{conv(k, k.codesIn(tensor.Int8, 1, 16, 6, 6)), k.constant(k.floats(16)), k.constant(k.floats(16)), k.constant(k.floats(16)), k.constant(k.positive(16))})
			return k.node("Transpose", []string{k.node("Relu", []string{y})}, "perm", []int64{0, 2, 3, 1})
		}, "u8s8 conv 3x3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(uint64(len(c.name)))
			k.codesOut(c.build(k), tensor.Uint8)
			steps := k.checkSteps(t, outScale)
			if wantKernels(t, steps, c.kernel); len(steps) > 7 {
				t.Errorf("%d steps: %v", len(steps), kernelsOf(steps))
			}
			k = newMaker(uint64(len(c.name)))
			k.output(c.build(k))
			if steps := k.checkFloat(t); len(steps) > 7 {
				t.Errorf("%d steps to floats: %v", len(steps), kernelsOf(steps))
			}
		})
	}
}

// TestAnyScales multiplies stored codes whose scales are negative, or zero.
func TestAnyScales(t *testing.T) {
	k := newMaker(5)
	scale := k.floats(24)
	for i := range tensor.Of[float32](scale) {
		tensor.Of[float32](scale)[i] *= 0.01
	}
	tensor.Of[float32](scale)[3] = 0
	w := k.node("DequantizeLinear", []string{k.constant(k.codes(tensor.Int8, -127, 127, 20, 24)), k.constant(scale)}, "axis", int64(1))
	y := k.node("MatMul", []string{k.codesIn(tensor.Uint8, 6, 20), w})
	k.output(y, k.node("MatMul", []string{k.input(k.floats(6, 20)), w}), k.node("Add", []string{k.node("MatMul", []string{k.codesIn(tensor.Uint8, 6, 20), w}), k.constant(k.floats(24))}))
	wantKernels(t, k.checkFloat(t), "u8s8 gemm to f32")
}

// TestMeetKeeps leaves alone what is seen, or read by others.
func TestMeetKeeps(t *testing.T) {
	k := newMaker(5)
	x := k.node("MaxPool", []string{k.codesIn(tensor.Uint8, 1, 16, 8, 8)}, "kernel_shape", []int64{2, 2})
	w, _ := k.weight(0, true, 16, 16, 3, 3)
	y := k.node("Conv", []string{x, w})
	z := k.node("Transpose", []string{y}, "perm", []int64{0, 2, 3, 1})
	k.output(x, k.quantized(z, outScale, 100, tensor.Uint8), k.node("Exp", []string{z}))
	k.checkFloat(t)
}

// TestMeetLadder looks for products behind values that are joined with themselves again and again: not along every way there.
func TestMeetLadder(t *testing.T) {
	k := newMaker(5)
	x := k.quantized(k.input(k.floats(1, 8, 4, 4)), 0.02, 100, tensor.Uint8)
	for range 40 {
		two := k.node("Concat", []string{x, x}, "axis", int64(2))
		x = k.node("MaxPool", []string{two}, "kernel_shape", []int64{2, 1}, "strides", []int64{2, 1})
	}
	w, _ := k.weight(0, true, 8, 8, 1, 1)
	k.output(k.quantized(k.node("Conv", []string{x, w}), 0.05, 100, tensor.Uint8))
	k.checkSteps(t, 0.05)
}
