package engine

import (
	"fmt"
	"math"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// halved returns numbers as a tensor of a 16-bit float.
func halved(t *testing.T, d tensor.DType, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	v, err := format.Floats(x)
	if err != nil {
		t.Fatal(err)
	}
	h, err := format.FromFloats(d, v, true, x.Shape...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHalves computes a network on 16-bit floats, between Casts or with such inputs and outputs.
// The reference rounds every value, the engine only where the file says Cast.
func TestHalves(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
		for _, bare := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s bare %v", d, bare), func(t *testing.T) { testHalves(t, d, bare) })
		}
	}
}

func testHalves(t *testing.T, d tensor.DType, bare bool) {
	k := newMaker(3)
	k.m.Opsets[0].Version = 22
	x := k.floats(2, 6, 8, 8)
	var in string
	if bare {
		in = k.input(halved(t, d, x))
	} else {
		in = k.node("Cast", []string{k.input(x)}, "to", int64(d))
	}
	w := k.constant(halved(t, d, k.floats(10, 6, 3, 3)))
	b := k.constant(halved(t, d, k.floats(10)))
	y := k.node("Relu", []string{k.node("Conv", []string{in, w, b}, "pads", []int64{1, 1, 1, 1})})
	y = k.node("MaxPool", []string{y}, "kernel_shape", []int64{2, 2}, "strides", []int64{2, 2})
	z := k.node("Reshape", []string{y, k.constant(tensor.Vector(2, 160))})
	z = k.node("MatMul", []string{z, k.constant(halved(t, d, k.floats(160, 5)))})
	if !bare {
		z = k.node("Cast", []string{z}, "to", int64(tensor.Float32))
	}
	k.output(z)
	want := k.reference(t)[z]
	tolerance := map[tensor.DType]float64{tensor.Float16: 0.002, tensor.BFloat16: 0.016}[d] // of the largest: four roundings in a row
	for _, r := range allRuns() {
		got, steps := k.evaluate(t, r, []string{y})
		a, _ := format.Floats(got[z])
		ref, _ := format.Floats(want)
		within(t, fmt.Sprint(r), asFloat32(a), asFloat32(ref), tolerance, tolerance)
		wantKernels(t, steps, "f32 gemm")
	}
}

func asFloat32(x []float64) *tensor.Tensor {
	t := tensor.New(tensor.Float32, len(x))
	for i, v := range x {
		tensor.Of[float32](t)[i] = float32(v)
	}
	return t
}

// TestRounding keeps the rounding that a file asks for: float32 to a 16-bit float and back.
func TestRounding(t *testing.T) {
	k := newMaker(4)
	x := k.input(k.floats(3, 40))
	var out []string
	for _, d := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
		out = append(out, k.node("Cast", []string{k.node("Cast", []string{x}, "to", int64(d))}, "to", int64(tensor.Float32)))
	}
	k.output(out...)
	want := k.reference(t)
	got, steps := k.evaluate(t, runs{kernel.Generic, 1}, nil)
	for _, name := range out {
		if string(got[name].Raw) != string(want[name].Raw) {
			t.Errorf("%s is rounded otherwise than the definition says", name)
		}
	}
	wantKernels(t, steps, "f32 to float16", "float16 to f32", "f32 to bfloat16", "bfloat16 to f32")
}

// TestStored runs weights whose codes pick marks from tables, packed or not.
func TestStored(t *testing.T) {
	k := newMaker(6)
	x := k.input(k.floats(4, 32))
	index := func(codes *tensor.Tensor) string {
		return k.node("Cast", []string{k.constant(codes)}, "to", int64(tensor.Int32))
	}
	k.m.Opsets[0].Version = 21
	four := tensor.Pack(tensor.Uint4, k.codes(tensor.Uint8, 0, 15, 32*8).Raw, 32, 8)
	w := k.node("Gather", []string{k.constant(k.floats(16)), index(four)})
	a := k.node("MatMul", []string{x, k.node("Mul", []string{w, k.constant(k.positive(8))})})

	signs := tensor.New(tensor.Int8, 256, 8)
	for i := range signs.Raw {
		signs.Raw[i] = byte(1 - i>>3>>(i&7)&1*2)
	}
	v := k.node("Gather", []string{k.constant(signs), index(k.codes(tensor.Uint8, 0, 255, 32))})
	v = k.node("Reshape", []string{v, k.constant(tensor.Vector(32, 8))})
	q := k.quantized(x, 0.03, 128, tensor.Uint8)
	b := k.node("MatMul", []string{q, k.node("DequantizeLinear", []string{v, k.constant(k.positive(8))}, "axis", int64(1))})
	k.output(a, b)
	wantKernels(t, k.checkFloat(t), "f32 gemm")
}

// TestFloat8 rounds values to floats of eight bits and back, with and without a zero point.
func TestFloat8(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float8E4M3FN, tensor.Float8E5M2} {
		k := newMaker(7)
		k.m.Opsets[0].Version = 21
		x, s := k.input(k.floats(3, 50)), k.scalar(0.02)
		a := k.node("QuantizeLinear", []string{x, s}, "output_dtype", int64(d))
		b := k.node("QuantizeLinear", []string{x, s, k.constant(&tensor.Tensor{DType: d, Raw: []byte{0}})})
		out := []string{k.node("DequantizeLinear", []string{a, s}), k.node("DequantizeLinear", []string{b, s})}
		k.output(out...)
		want := k.reference(t)
		got, steps := k.evaluate(t, runs{kernel.Generic, 1}, nil)
		for _, name := range out {
			if string(got[name].Raw) != string(want[name].Raw) {
				t.Errorf("%s: other numbers than the definition gives", d)
			}
		}
		wantKernels(t, steps, "f32 to "+d.String(), d.String()+" to f32")
	}
}

// TestHalfCasts runs Q and DQ of float32 between Casts in a network on 16-bit floats.
func TestHalfCasts(t *testing.T) {
	for _, channels := range []int{8, 32} { // few enough weights for inference to know, and more
		k := newMaker(6)
		to := func(x string, d tensor.DType) string { return k.node("Cast", []string{x}, "to", int64(d)) }
		w, _ := k.weight(0, true, channels, channels, 3, 3)
		x := k.quantized(to(k.input(halved(t, tensor.Float16, k.floats(1, channels, 7, 7))), tensor.Float32), inScale, 120, tensor.Uint8)
		y := k.node("Conv", []string{to(x, tensor.Float16), to(w, tensor.Float16), k.constant(halved(t, tensor.Float16, k.floats(channels)))})
		k.output(k.quantized(to(k.node("Relu", []string{y}), tensor.Float32), 1, 0, tensor.Uint8))
		_, steps := k.evaluate(t, runs{best(), 1}, nil)
		wantKernels(t, steps, "u8s8 conv 3x3")
		want := k.reference(t)
		for name, v := range want {
			got, _ := k.evaluate(t, runs{kernel.Generic, 1}, nil)
			within(t, name, got[name], v, 0, 1)
		}
	}
}

// TestHalfCodes runs Q and DQ with scales of 16-bit floats as those of float32; the definition divides in 16 bits, so that
// some codes are one off.
func TestHalfCodes(t *testing.T) {
	k := newMaker(6)
	k.m.Opsets[0].Version = 19
	scale := func(v float32, n int) string {
		x := tensor.New(tensor.Float32, n)
		for i := range n {
			tensor.Of[float32](x)[i] = v
		}
		return k.constant(halved(t, tensor.Float16, x))
	}
	const step = 0.125
	both := func(x string, v float32) string {
		s, z := scale(v, 1), k.constant(&tensor.Tensor{DType: tensor.Uint8, Shape: []int{1}, Raw: []byte{120}})
		return k.node("DequantizeLinear", []string{k.node("QuantizeLinear", []string{x, s, z}), s, z})
	}
	w := k.node("DequantizeLinear", []string{k.constant(k.codes(tensor.Int8, -127, 127, 16, 16, 3, 3)), scale(1.0/256, 16), k.constant(tensor.New(tensor.Int8, 16))}, "axis", int64(0))
	x := both(k.input(halved(t, tensor.Float16, k.floats(1, 16, 7, 7))), 0.03125)
	y := k.node("Conv", []string{x, w, k.constant(halved(t, tensor.Float16, k.floats(16)))})
	k.output(both(k.node("Relu", []string{y}), step))
	want := k.reference(t)
	for _, r := range allRuns() {
		got, steps := k.evaluate(t, r, nil)
		wantKernels(t, steps, "u8s8 conv 3x3")
		for name, v := range want {
			a, _ := format.Floats(got[name])
			ref, _ := format.Floats(v)
			off := 0
			for i := range ref {
				if d := math.Abs(a[i] - ref[i]); d > step*1.01 {
					t.Fatalf("%v: %g instead of %g", r, a[i], ref[i])
				} else if d > 0 {
					off++
				}
			}
			if off > len(ref)/20 {
				t.Errorf("%v: %d of %d codes are one off", r, off, len(ref))
			}
		}
	}
}

// TestHalfBlocks multiplies by weights of few bits, and looks rows of them up, whose scales are 16-bit floats.
func TestHalfBlocks(t *testing.T) {
	k := newMaker(5)
	k.m.Opsets[0].Version = 21
	in, out, block := 64, 24, 16
	index := k.input(tensor.Int64s([]int64{0, 23, 7, 7, 1}, 1, 5))
	codes := k.constant(k.codes(tensor.Uint8, 0, 255, out, in/2))
	x := k.node("com.microsoft.GatherBlockQuantized", []string{codes, index, k.constant(halved(t, tensor.Float16, k.floats(out, in/block)))}, "bits", int64(4), "block_size", int64(block))
	names := []string{x, k.constant(k.codes(tensor.Uint8, 0, 255, out, in/block, block/2)), k.constant(halved(t, tensor.Float16, k.positive(out*in/block)))}
	y := k.node("com.microsoft.MatMulNBits", names, "K", int64(in), "N", int64(out), "bits", int64(4), "block_size", int64(block))
	k.output(y)
	k.checkHalf(t, 0.002, "rows of codes", "f32×u4 gemm")
}

// TestHalfFused normalizes a sum of 16-bit floats, which is a result too.
func TestHalfFused(t *testing.T) {
	k := newMaker(6)
	n := &graph.Node{Op: "SkipLayerNormalization", Domain: "com.microsoft", Out: []string{k.name(), "", "", k.name()}}
	for range 2 {
		n.In = append(n.In, k.input(halved(t, tensor.Float16, k.floats(2, 3, 24))), k.constant(halved(t, tensor.Float16, k.floats(24))))
	}
	n.In[1], n.In[2] = n.In[2], n.In[1]
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
	k.output(n.Out[0], n.Out[3])
	k.checkHalf(t, 0.002, "Add", "f32 LayerNorm")
}

// checkHalf holds all runs to the definition, but for roundings in between, and to each other.
func (k *maker) checkHalf(t *testing.T, tolerance float64, kernels ...string) {
	t.Helper()
	want := k.reference(t)
	for _, r := range allRuns() {
		got, steps := k.evaluate(t, r, nil)
		for name, w := range want {
			if got[name].DType != w.DType || !sameShape(got[name].Shape, w.Shape) {
				t.Fatalf("%v: %s is %v %v, want %v %v", r, name, got[name].DType, got[name].Shape, w.DType, w.Shape)
			}
			a, _ := format.Floats(got[name])
			b, _ := format.Floats(w)
			within(t, fmt.Sprint(r, name), asFloat32(a), asFloat32(b), tolerance, tolerance)
		}
		wantKernels(t, steps, kernels...)
	}
}
