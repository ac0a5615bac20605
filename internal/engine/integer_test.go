package engine

import (
	"math"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

const (
	inScale  = 0.02 // of the quantized inputs in these tests
	outScale = 0.05 // and of their results
)

// codesIn adds a quantized input.
func (k *maker) codesIn(d tensor.DType, shape ...int) string {
	return k.quantized(k.input(k.floats(shape...)), inScale, zeroFor(d), d)
}

func (k *maker) codesOut(x string, d tensor.DType) { k.output(k.quantized(x, outScale, zeroFor(d), d)) }

func zeroFor(d tensor.DType) int {
	if d == tensor.Int8 {
		return -9
	}
	return 117
}

// TestCodes runs networks on codes: uint8, and int8.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		name    string
		build   func(k *maker, d tensor.DType) string
		kernels []string
	}{
		{"gemm", func(k *maker, d tensor.DType) string {
			w, s := k.weight(0, true, 40, 33)
			return k.node("Gemm", []string{k.codesIn(d, 5, 33), w, k.biasOf(inScale, s, 40)}, "transB", int64(1))
		}, []string{"u8s8 gemm"}},
		{"matmul and relu", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(1, true, 33, 40)
			return k.node("Relu", []string{k.node("MatMul", []string{k.codesIn(d, 2, 5, 33), w})})
		}, []string{"u8s8 gemm"}},
		{"clip", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(0, false, 16, 8, 1, 1)
			return k.node("Clip", []string{k.node("Conv", []string{k.codesIn(d, 1, 8, 5, 5), w}), k.scalar(0), k.scalar(1.3)})
		}, []string{"u8s8 conv 1x1"}},
		{"behind a clip without bounds", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(0, true, 16, 8, 3, 3)
			return k.node("Conv", []string{k.node("Clip", []string{k.codesIn(d, 1, 8, 5, 5)}), w})
		}, []string{"u8s8 conv 3x3"}},
		{"float bias", func(k *maker, d tensor.DType) string {
			w, _ := k.weight(0, true, 16, 8, 3, 3)
			return k.node("Conv", []string{k.codesIn(d, 1, 8, 5, 5), w, k.constant(k.floats(16))})
		}, []string{"u8s8 conv 3x3"}},
		{"add", func(k *maker, d tensor.DType) string {
			return k.node("Relu", []string{k.node("Add", []string{k.codesIn(d, 1, 8, 5, 5), k.codesIn(d, 1, 8, 5, 5)})})
		}, []string{addKernel()}},
		{"mul by channel", func(k *maker, d tensor.DType) string {
			return k.node("Mul", []string{k.codesIn(d, 1, 8, 1, 1), k.codesIn(d, 1, 8, 5, 6)})
		}, []string{"u8 Mul"}},
		{"concat", func(k *maker, d tensor.DType) string {
			y := k.quantized(k.input(k.floats(1, 3, 5, 6)), 0.01, zeroFor(d)+3, d)
			return k.node("Concat", []string{k.codesIn(d, 1, 8, 5, 6), y}, "axis", int64(1))
		}, []string{"concat", "u8 table"}},
		{"max pool", func(k *maker, d tensor.DType) string {
			return k.node("MaxPool", []string{k.codesIn(d, 2, 8, 5, 6)}, "kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1})
		}, []string{"u8 max pool"}},
		{"average pool", func(k *maker, d tensor.DType) string {
			return k.node("AveragePool", []string{k.codesIn(d, 2, 8, 5, 6)}, "kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1}, "strides", []int64{2, 2})
		}, []string{"u8 average pool"}},
		{"global average", func(k *maker, d tensor.DType) string {
			return k.node("GlobalAveragePool", []string{k.codesIn(d, 2, 8, 5, 6)})
		}, []string{"u8 average pool"}},
		{"move", func(k *maker, d tensor.DType) string {
			return k.node("Transpose", []string{k.codesIn(d, 2, 8, 5, 6)}, "perm", []int64{0, 2, 1, 3})
		}, []string{"permute rows", "u8 table"}},
		{"resize", func(k *maker, d tensor.DType) string {
			return k.node("Resize", []string{k.codesIn(d, 1, 8, 5, 6), "", k.constant(tensor.Float32s([]float32{1, 1, 2, 2}, 4))})
		}, []string{"move"}},
		{"sigmoid", func(k *maker, d tensor.DType) string { return k.node("Sigmoid", []string{k.codesIn(d, 300)}) }, []string{"u8 table"}},
		{"silu", func(k *maker, d tensor.DType) string {
			x := k.codesIn(d, 2, 8, 5, 6)
			return k.node("Mul", []string{x, k.node("Sigmoid", []string{x})})
		}, []string{"u8 table"}},
		{"hard swish", func(k *maker, d tensor.DType) string {
			x := k.codesIn(d, 2, 8, 5, 6)
			y := k.node("Clip", []string{k.node("Add", []string{x, k.scalar(3)}), k.scalar(0), k.scalar(6)})
			return k.node("Div", []string{k.node("Mul", []string{x, y}), k.scalar(6)})
		}, []string{"u8 table"}},
		{"other scale", func(k *maker, d tensor.DType) string { return k.codesIn(d, 300) }, []string{"u8 table"}},
		{"float between", func(k *maker, d tensor.DType) string { return k.node("Softmax", []string{k.codesIn(d, 3, 50)}) }, []string{"u8 to f32", "f32 to u8"}},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(c.name+" "+d.String(), func(t *testing.T) {
				k := newMaker(uint64(len(c.name)))
				k.codesOut(c.build(k, d), d)
				wantKernels(t, k.checkSteps(t, outScale), c.kernels...)
			})
		}
	}
}

// TestRequantize holds an integer convolution bit by bit against 32-bit sums and the rounding rule.
func TestRequantize(t *testing.T) {
	k := newMaker(4)
	x := k.codes(tensor.Uint8, 0, 255, 1, 7, 6, 5)
	const zx, zy, cout = 90, 31, 9
	q := k.input(x)
	zero := func(v byte) string { return k.constant(&tensor.Tensor{DType: tensor.Uint8, Raw: []byte{v}}) }
	dq := k.node("DequantizeLinear", []string{q, k.scalar(inScale), zero(zx)})
	w, scale := k.weight(0, true, cout, 7, 3, 3)
	y := k.node("Conv", []string{dq, w, k.biasOf(inScale, scale, cout)}, "pads", []int64{1, 1, 1, 1})
	k.output(k.node("QuantizeLinear", []string{k.node("Relu", []string{y}), k.scalar(outScale), zero(zy)}))
	var codes, bias *tensor.Tensor
	for _, c := range k.m.Graph.Consts() {
		if c.Tensor.DType == tensor.Int8 && c.Tensor.Rank() == 4 {
			codes = c.Tensor
		} else if c.Tensor.DType == tensor.Int32 {
			bias = c.Tensor
		}
	}
	want := make([]byte, cout*6*5)
	for o := range cout {
		m := float32(float64(float32(inScale)) * float64(scale[o]) / float64(float32(outScale)))
		for p := range 6 * 5 {
			acc := tensor.Of[int32](bias)[o] + patchSum(x.Raw, tensor.Of[int8](codes)[o*63:], p/5, p%5, zx)
			v := math.RoundToEven(float64(float32(float32(acc)*m))) + zy
			want[o*30+p] = byte(min(max(v, zy), 255))
		}
	}
	for _, r := range allRuns() {
		got, _ := k.evaluate(t, r, nil)
		if g := got[k.m.Graph.Out[0].Name]; string(g.Raw) != string(want) {
			t.Errorf("%v: codes differ from the rule", r)
		}
	}
}

// patchSum is the sum of a 3×3 window of 7 channels of a 6×5 image around (y, x).
func patchSum(x []byte, w []int8, y, col int, zero int32) (acc int32) {
	for c := range 7 {
		for t := range 9 {
			iy, ix := y+t/3-1, col+t%3-1
			if iy >= 0 && iy < 6 && ix >= 0 && ix < 5 {
				acc += (int32(x[c*30+iy*5+ix]) - zero) * int32(w[c*9+t])
			}
		}
	}
	return acc
}

// TestQLinear runs the operators on codes.
func TestQLinear(t *testing.T) {
	u8 := func(k *maker, v byte) string { return k.constant(&tensor.Tensor{DType: tensor.Uint8, Raw: []byte{v}}) }
	s8 := func(k *maker, n int) string { return k.constant(tensor.New(tensor.Int8, n)) }
	x := func(k *maker) []string {
		return []string{k.input(k.codes(tensor.Uint8, 0, 255, 1, 6, 5, 5)), k.scalar(inScale), u8(k, 120)}
	}
	out := func(k *maker) []string { return []string{k.scalar(outScale), u8(k, 100)} }
	for _, c := range []struct {
		op    string
		build func(k *maker) ([]string, []any)
	}{
		{"QLinearConv", func(k *maker) ([]string, []any) {
			w := []string{k.constant(k.codes(tensor.Int8, -127, 127, 9, 6, 3, 3)), k.constant(k.positive(9)), s8(k, 9)}
			for i := range tensor.Of[float32](k.m.Graph.ConstTensor(w[1])) {
				tensor.Of[float32](k.m.Graph.ConstTensor(w[1]))[i] *= 0.01
			}
			in := append(append(x(k), w...), out(k)...)
			return append(in, k.constant(k.codes(tensor.Int32, -2000, 2000, 9))), nil
		}},
		{"QLinearConv with one zero point", func(k *maker) ([]string, []any) {
			w := []string{k.constant(k.codes(tensor.Int8, -127, 127, 9, 6, 3, 3)), k.constant(k.positive(9)), k.constant(tensor.Wrap(tensor.Int8, []int8{3}))}
			for i := range tensor.Of[float32](k.m.Graph.ConstTensor(w[1])) {
				tensor.Of[float32](k.m.Graph.ConstTensor(w[1]))[i] *= 0.01
			}
			return append(append(x(k), w...), out(k)...), nil
		}},
		{"QLinearMatMul", func(k *maker) ([]string, []any) {
			a := []string{k.input(k.codes(tensor.Uint8, 0, 255, 5, 20)), k.scalar(inScale), u8(k, 120)}
			w := []string{k.constant(k.codes(tensor.Int8, -127, 127, 20, 9)), k.constant(tensor.Scalar(0.004)), k.constant(tensor.New(tensor.Int8))}
			return append(append(a, w...), out(k)...), nil
		}},
		{"com.microsoft.QLinearAdd", func(k *maker) ([]string, []any) { return append(append(x(k), x(k)...), out(k)...), nil }},
		{"com.microsoft.QLinearMul", func(k *maker) ([]string, []any) { return append(append(x(k), x(k)...), out(k)...), nil }},
		{"com.microsoft.QLinearSigmoid", func(k *maker) ([]string, []any) { return append(x(k), k.scalar(1.0/256), u8(k, 0)), nil }},
		{"com.microsoft.QLinearLeakyRelu", func(k *maker) ([]string, []any) { return append(x(k), out(k)...), []any{"alpha", float32(0.1)} }},
		{"com.microsoft.QLinearConcat", func(k *maker) ([]string, []any) {
			return append(append(out(k), x(k)...), x(k)...), []any{"axis", int64(1)}
		}},
		{"com.microsoft.QLinearSoftmax", func(k *maker) ([]string, []any) {
			return append(x(k), k.scalar(1.0/256), u8(k, 0)), []any{"axis", int64(-1), "opset", int64(13)}
		}},
		{"com.microsoft.QLinearSoftmax of opset 12", func(k *maker) ([]string, []any) {
			return append(x(k), k.scalar(1.0/256), u8(k, 0)), []any{"axis", int64(2), "opset", int64(12)}
		}},
		{"com.microsoft.QGemm to floats", func(k *maker) ([]string, []any) {
			a := []string{k.input(k.codes(tensor.Uint8, 0, 255, 5, 20)), k.scalar(inScale), u8(k, 120)}
			w := []string{k.constant(k.codes(tensor.Int8, -127, 127, 9, 20)), k.constant(tensor.Scalar(0.004)), k.constant(tensor.New(tensor.Int8))}
			return append(append(a, w...), k.constant(k.codes(tensor.Int32, -900, 900, 9))), []any{"transB", int64(1)}
		}},
		{"com.microsoft.QLinearConv of channels that are last", func(k *maker) ([]string, []any) {
			w := []string{k.constant(k.codes(tensor.Int8, -127, 127, 9, 5, 3, 3)), k.constant(tensor.Scalar(0.004)), k.constant(tensor.New(tensor.Int8))}
			return append(append(x(k), w...), out(k)...), []any{"channels_last", int64(1), "pads", []int64{1, 1, 1, 1}}
		}},
		{"com.microsoft.QLinearConv of channels that are first", func(k *maker) ([]string, []any) {
			w := []string{k.constant(k.codes(tensor.Int8, -127, 127, 9, 6, 3, 3)), k.constant(tensor.Scalar(0.004)), k.constant(tensor.New(tensor.Int8))}
			return append(append(x(k), w...), out(k)...), nil
		}},
		{"com.microsoft.NhwcMaxPool", func(k *maker) ([]string, []any) { return x(k)[:1], []any{"kernel_shape", []int64{3, 2}} }},
		{"com.microsoft.QLinearAveragePool of channels that are last", func(k *maker) ([]string, []any) {
			return append(x(k), out(k)...), []any{"channels_last", int64(1), "kernel_shape", []int64{3, 2}}
		}},
		{"com.microsoft.QLinearWhere", func(k *maker) ([]string, []any) {
			c := k.codes(tensor.Bool, 0, 1, 6, 1, 5)
			return append(append(append([]string{k.input(c)}, x(k)...), x(k)...), out(k)...), nil
		}},
		{"com.microsoft.QLinearGlobalAveragePool of channels that are last", func(k *maker) ([]string, []any) {
			return append(x(k), out(k)...), []any{"channels_last", int64(1)}
		}},
		{"com.microsoft.QLinearGlobalAveragePool", func(k *maker) ([]string, []any) { return append(x(k), out(k)...), []any{"channels_last", int64(0)} }},
	} {
		t.Run(c.op, func(t *testing.T) {
			k := newMaker(8)
			in, attrs := c.build(k)
			op, _, _ := strings.Cut(c.op, " ")
			domain, name := cutDomain(op)
			n := &graph.Node{Op: name, Domain: domain, In: in, Out: []string{"y"}}
			for i := 0; i < len(attrs); i += 2 {
				n.SetAttr(attrs[i].(string), attrs[i+1])
			}
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
			k.output("y")
			wantKernels(t, k.checkSteps(t, 1))
		})
	}
}

// cutDomain splits "com.microsoft.Gelu" into domain and operator.
func cutDomain(op string) (domain, name string) {
	i := strings.LastIndexByte(op, '.')
	if i < 0 {
		return "", op
	}
	return op[:i], op[i+1:]
}

// TestDynamic runs products whose activations are quantized in each run; results are those of ONNX's
// nodes bit by bit, up to the activation.
func TestDynamic(t *testing.T) {
	for _, c := range []struct {
		name   string
		x, w   []int
		attrs  []any
		kernel string
	}{
		{"dense", []int{2, 9, 6, 5}, []int{12, 9, 3, 3}, []any{"pads", []int64{1, 1, 1, 1}}, "u8s8 dynamic conv 3x3+Relu"},
		{"pointwise", []int{1, 9, 6, 5}, []int{12, 9, 1, 1}, nil, "u8s8 dynamic conv 1x1+Relu"},
		{"few channels", []int{2, 9, 40, 33}, []int{3, 9, 5, 5}, []any{"pads", []int64{2, 2, 2, 2}}, "u8s8 dynamic conv by planes 5x5+Relu"},
		{"one channel of many", []int{2, 16, 30, 33}, []int{1, 16, 3, 3}, []any{"strides", []int64{1, 2}}, "u8s8 dynamic conv by planes 3x3+Relu"},
		{"tiles", []int{2, 64, 15, 13}, []int{50, 64, 3, 3}, []any{"pads", []int64{1, 1, 1, 1}}, "u8s8 dynamic " + formOf(50, 64, 15, 13) + "+Relu"},
		{"depthwise", []int{2, 18, 6, 5}, []int{18, 1, 3, 3}, []any{"group", int64(18)}, "u8s8 dynamic depthwise 3x3+Relu"},
		{"matrix", []int{2, 5, 33}, []int{33, 20}, nil, "u8s8 dynamic gemm+Relu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(6)
			q := &graph.Node{Op: "DynamicQuantizeLinear", In: []string{k.input(k.floats(c.x...))}, Out: []string{"q", "s", "z"}}
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, q)
			op, bias := "ConvInteger", []int{c.w[0], 1, 1}
			if len(c.w) == 2 {
				op, bias = "MatMulInteger", []int{c.w[1]}
			}
			zero := k.constant(&tensor.Tensor{DType: tensor.Uint8, Raw: []byte{128}})
			sums := k.node(op, []string{"q", k.constant(k.codes(tensor.Uint8, 0, 255, c.w...)), "z", zero}, c.attrs...)
			scale := k.node("Mul", []string{"s", k.scalar(0.01)})
			y := k.node("Mul", []string{k.node("Cast", []string{sums}, "to", int64(tensor.Float32)), scale})
			k.output(k.node("Relu", []string{k.node("Add", []string{y, k.constant(k.floats(bias...))})}))
			steps := k.checkFloat(t)
			if strings.Contains(c.kernel, "by planes") {
				steps = k.stepsBelow(t, kernel.AMX)
			}
			wantKernels(t, steps, c.kernel)
		})
	}
}

// TestDynamicCodes runs products of what dynamic codes stand for with dequantized weights of few bits: on integers.
func TestDynamicCodes(t *testing.T) {
	for _, c := range []struct {
		name, op string
		w        tensor.DType
		x, shape []int
		axis     int
		attrs    []any
		kernel   string
	}{
		{"dense", "Conv", tensor.Int4, []int{2, 9, 6, 5}, []int{12, 9, 3, 3}, 0, []any{"pads", []int64{1, 1, 1, 1}}, "u8s8 dynamic conv 3x3+Relu"},
		{"depthwise", "Conv", tensor.Int4, []int{2, 18, 6, 5}, []int{18, 1, 3, 3}, 0, []any{"group", int64(18)}, "u8s8 dynamic depthwise 3x3+Relu"},
		{"matrix", "MatMul", tensor.Int4, []int{2, 5, 33}, []int{33, 20}, 1, nil, "u8s8 dynamic gemm+Relu"},
		{"without zero", "MatMul", tensor.Uint4, []int{5, 32}, []int{32, 20}, 1, nil, "u8s8 dynamic gemm+Relu"},
		{"turned", "Gemm", tensor.Int4, []int{5, 33}, []int{20, 33}, 0, []any{"transB", int64(1)}, "u8s8 dynamic gemm+Relu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(6)
			k.m.Opsets[0].Version = 21
			q := &graph.Node{Op: "DynamicQuantizeLinear", In: []string{k.input(k.floats(c.x...))}, Out: []string{"q", "s", "z"}}
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, q)
			scale := k.floats(c.shape[c.axis])
			for i, v := range tensor.Of[float32](scale) {
				tensor.Of[float32](scale)[i] = 0.01 + v*v
			}
			lo, hi := int64(-8), int64(8)
			if c.w == tensor.Uint4 {
				lo, hi = 0, 16
			}
			codes := make([]int64, tensor.Elements(c.shape))
			for i := range codes {
				codes[i] = lo + k.rng.Int64N(hi-lo)
			}
			w, err := format.FromInts(c.w, codes, c.shape...)
			if err != nil {
				t.Fatal(err)
			}
			back := k.node("DequantizeLinear", []string{k.constant(w), k.constant(scale)}, "axis", int64(c.axis))
			y := k.node(c.op, []string{k.node("DequantizeLinear", []string{"q", "s", "z"}), back}, c.attrs...)
			bias := []int{c.shape[c.axis], 1, 1}
			if c.op != "Conv" {
				bias = bias[:1]
			}
			k.output(k.node("Relu", []string{k.node("Add", []string{y, k.constant(k.floats(bias...))})}))
			wantKernels(t, k.checkFloat(t), c.kernel)
		})
	}
}

// TestParts runs products of codes with weights whose marks take two whole numbers each: on integers where the level
// has dot products of bytes, for static and dynamic codes. Weights of a few thousand numbers are
// known before.
func TestParts(t *testing.T) {
	for _, f := range []*format.Format{format.Log5, format.Log4Sqrt2} {
		for _, c := range []struct {
			name, op, kernel string
			x, shape         []int
			block            format.Block
			attrs            []any
			bias             int // its length; 0: none
			dynamic          bool
		}{
			{"conv", "Conv", "u8s8 conv 3x3 to f32", []int{2, 20, 6, 5}, []int{24, 20, 3, 3}, format.Block{Kind: format.Channel}, []any{"pads", []int64{1, 1, 1, 1}}, 24, false},
			{"whole", "MatMul", "u8s8 gemm to f32", []int{17, 211}, []int{211, 20}, format.Block{}, nil, 0, false},
			{"columns", "MatMul", "u8s8 gemm to f32", []int{2, 9, 211}, []int{211, 20}, format.Block{Kind: format.Channel, Axis: 1}, nil, 0, false},
			{"turned", "Gemm", "u8s8 gemm to f32", []int{17, 211}, []int{20, 211}, format.Block{Kind: format.Channel}, []any{"transB", int64(1)}, 20, false},
			{"dynamic", "MatMul", "u8s8 dynamic gemm", []int{17, 211}, []int{211, 20}, format.Block{Kind: format.Channel, Axis: 1}, nil, 0, true},
			{"few rows", "MatMul", "u8s8 gemm to f32", []int{3, 211}, []int{211, 20}, format.Block{}, nil, 0, false},
		} {
			t.Run(f.Name+" "+c.name, func(t *testing.T) {
				k := newMaker(9)
				k.m.Opsets[0].Version = 21
				codes, scale, zero := "", k.scalar(inScale), k.constant(&tensor.Tensor{DType: tensor.Uint8, Raw: []byte{99}})
				if x := k.input(k.floats(c.x...)); c.dynamic {
					codes, scale, zero = "q", "s", "z"
					k.m.Graph.Nodes = append(k.m.Graph.Nodes, &graph.Node{Op: "DynamicQuantizeLinear", In: []string{x}, Out: []string{codes, scale, zero}})
				} else {
					codes = k.node("QuantizeLinear", []string{x, scale, zero})
				}
				in := []string{k.node("DequantizeLinear", []string{codes, scale, zero}), k.coded(t, f, c.block, c.shape...)}
				if c.bias > 0 {
					in = append(in, k.constant(k.floats(c.bias)))
				}
				k.output(k.node(c.op, in, c.attrs...))
				for _, l := range levels() {
					parts := 0
					_, steps := k.evaluate(t, runs{l, 1}, nil)
					for _, s := range steps {
						if s.Kernel == c.kernel {
							parts++
						}
					}
					pay := l.DotsBytes()
					if c.x[0] < partsRows && c.op == "MatMul" && len(c.x) == 2 {
						pay = f == format.Log5 && l >= kernel.AVX2
					}
					if want := map[bool]int{true: 2}[pay]; parts != want {
						t.Errorf("%v: %d products of integers", l, parts)
					}
				}
				k.checkFloat(t)
			})
		}
	}
}

// TestIntegerSums runs products whose sums something else reads: codes and zero points of either sign,
// weights whose zero points differ by column and whose differences leave int8.
func TestIntegerSums(t *testing.T) {
	for _, c := range []struct {
		name         string
		x            tensor.DType
		size, w      []int
		zeroX, zeroW []byte // of the image, none where nil; of the columns
		attrs        []any
		kernels      []string
	}{
		{"dense", tensor.Uint8, []int{2, 9, 6, 5}, []int{12, 9, 3, 3}, []byte{77}, []byte{128}, []any{"pads", []int64{1, 1, 1, 1}}, []string{"u8s8 dynamic conv 3x3 sums"}},
		{"tiles", tensor.Uint8, []int{1, 64, 15, 13}, []int{50, 64, 3, 3}, []byte{77}, []byte{128}, []any{"pads", []int64{1, 1, 1, 1}}, []string{"u8s8 dynamic " + formOf(50, 64, 15, 13) + " sums"}},
		{"signed", tensor.Int8, []int{2, 9, 6, 5}, []int{12, 9, 3, 3}, []byte{250}, []byte{128}, []any{"pads", []int64{1, 1, 1, 1}}, []string{"u8s8 dynamic conv 3x3 sums"}},
		{"depthwise", tensor.Uint8, []int{2, 18, 6, 5}, []int{18, 1, 3, 3}, []byte{9}, []byte{128}, []any{"group", int64(18)}, []string{"u8s8 dynamic depthwise 3x3 sums"}},
		{"by column", tensor.Uint8, []int{2, 5, 33}, []int{33, 4}, nil, []byte{128, 90, 129, 128}, nil, []string{"u8s8 dynamic gemm sums", "i32 Add"}},
		{"far", tensor.Int8, []int{2, 5, 33}, []int{33, 20}, nil, []byte{3}, nil, []string{"u8s8 dynamic gemm sums", "i32 Add"}},
		{"far image", tensor.Uint8, []int{1, 5, 6, 5}, []int{3, 5, 3, 3}, []byte{3}, []byte{0, 255, 128}, nil, []string{"u8s8 dynamic conv 3x3 sums", "i32 Add"}},
		{"farthest", tensor.Uint8, []int{2, 5, 33}, []int{33, 64}, nil, []byte{0}, nil, []string{"u8s8 dynamic gemm sums", "i32 Add"}},
		{"farthest image", tensor.Uint8, []int{1, 5, 6, 5}, []int{24, 5, 3, 3}, nil, []byte{0}, nil, []string{"u8s8 dynamic conv 3x3 sums", "i32 Add"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(6)
			op := "ConvInteger"
			if len(c.w) == 2 {
				op = "MatMulInteger"
			}
			x, zeroX := k.input(k.codes(c.x, 0, 255, c.size...)), ""
			if c.zeroX != nil {
				zeroX = k.constant(&tensor.Tensor{DType: c.x, Raw: c.zeroX})
			}
			zeroW := &tensor.Tensor{DType: tensor.Uint8, Raw: c.zeroW}
			if len(c.zeroW) > 1 {
				zeroW.Shape = []int{len(c.zeroW)}
			}
			w := k.constant(k.codes(tensor.Uint8, 0, 255, c.w...))
			k.output(k.node(op, []string{x, w, zeroX, k.constant(zeroW)}, c.attrs...))
			wantKernels(t, k.checkExact(t), c.kernels...)
		})
	}
}

// TestWeightOnly folds weights behind DQ nodes into floats where the activations are floats.
func TestWeightOnly(t *testing.T) {
	k := newMaker(2)
	w, _ := k.weight(0, true, 12, 9, 3, 3)
	k.output(k.node("Conv", []string{k.image(1, 9, 5, 5), w}))
	wantKernels(t, k.checkFloat(t), "f32 conv 3x3")
}

// TestCodesByChannel quantizes activations with a scale for each channel, and in 16 bits; both stay
// outside of the integer operators.
func TestCodesByChannel(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		k := newMaker(3)
		x := k.conv3(k.image(2, 9, 5, 6), 9, 12)
		s, z := k.constant(k.positive(12)), k.constant(k.codes(d, 10, 90, 12))
		q := k.node("QuantizeLinear", []string{x, s, z}, "axis", int64(1))
		k.output(k.node("DequantizeLinear", []string{q, s, z}, "axis", int64(-3)))
		wantKernels(t, k.checkSteps(t, 1.5), "QuantizeLinear by channel", "DequantizeLinear by channel")
	}
	for _, d := range []tensor.DType{tensor.Uint16, tensor.Int16} {
		k := newMaker(3)
		k.m.Opsets[0].Version = 21
		s, z := k.scalar(0.001), k.constant(tensor.New(d))
		q := k.node("QuantizeLinear", []string{k.image(2, 9, 5, 6), s, z})
		k.output(k.node("DequantizeLinear", []string{q, s, z}))
		wantKernels(t, k.checkSteps(t, 0.001), "QuantizeLinear", "DequantizeLinear")
	}
}

func TestCodeBounds(t *testing.T) {
	a := affine{scale: 0.5, zero: 10}
	for _, c := range []struct {
		lo, hi float32
		l, h   int32
	}{{-inf, inf, 0, 255}, {0, inf, 10, 255}, {0, 6, 10, 22}, {-100, 1e30, 0, 255}, {0.25, 0.75, 10, 12}} {
		if l, h := a.bounds(c.lo, c.hi); l != c.l || h != c.h {
			t.Errorf("bounds(%g, %g) = %d, %d, not %d, %d", c.lo, c.hi, l, h, c.l, c.h)
		}
	}
	if lo, hi, ok := (function{op: kernel.Relu}).clamp(); !ok || lo != 0 || hi != inf {
		t.Errorf("Relu clamps to %g, %g, %v", lo, hi, ok)
	}
}

// addKernel names what adds codes with scales of many bits on the best level of the machine.
func addKernel() string {
	if l, err := kernel.Best(); err == nil && l >= kernel.AVX2 {
		return "u8 Add by FMA"
	}
	return "u8 Add"
}

// TestFusedDynamic runs dynamic products that ONNX Runtime fused.
func TestFusedDynamic(t *testing.T) {
	for _, bias := range []bool{false, true} {
		for _, c := range []struct {
			codes             tensor.DType
			zero, least, most int
		}{{tensor.Int8, 0, -127, 127}, {tensor.Uint8, 90, 0, 255}, {tensor.Uint8, 0, 0, 255}} {
			k := newMaker(9)
			x := k.input(k.floats(2, 5, 20))
			w, s := k.constant(k.codes(c.codes, c.least, c.most, 20, 24)), k.constant(k.positive(24))
			z := k.constant(k.codes(c.codes, c.zero, c.zero, 24))
			q := &graph.Node{Op: "DynamicQuantizeLinear", In: []string{x}, Out: []string{"q", "qs", "qz"}}
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, q)
			a, b := []string{"q", w, "qs", s, "qz", z}, []string{x, w, s, z}
			if bias {
				row := k.constant(k.floats(24))
				a, b = append(a, row), append(b, row)
			}
			k.output(k.node("com.microsoft.MatMulIntegerToFloat", a), k.node("com.microsoft.DynamicQuantizeMatMul", b))
			wantKernels(t, k.checkFloat(t), "u8s8 dynamic gemm")
		}
	}
}

// TestWideWeights runs products with uint8 weights whose zero points leave more than eight bits: up to 255, which
// no two numbers of int8 add up to.
func TestWideWeights(t *testing.T) {
	for _, c := range []struct{ channels, least, most int }{{1, 20, 120}, {16, 20, 120}, {1, 0, 0}, {16, 0, 255}} {
		k := newMaker(8)
		scale := k.positive(c.channels)
		for i := range tensor.Of[float32](scale) {
			tensor.Of[float32](scale)[i] *= 0.004
		}
		zero := k.codes(tensor.Uint8, c.least, c.most, c.channels)
		if c.channels == 1 {
			scale, zero = scale.Reshape(), zero.Reshape()
		}
		w := k.node("DequantizeLinear", []string{k.constant(k.codes(tensor.Uint8, 0, 255, 16, 16, 3, 3)), k.constant(scale), k.constant(zero)}, "axis", int64(0))
		k.output(k.node("Conv", []string{k.codesIn(tensor.Uint8, 1, 16, 9, 9), w, k.constant(k.floats(16))}))
		steps := k.checkFloat(t)
		if wantKernels(t, steps); best().DotsBytes() {
			wantKernels(t, steps, "u8s8 conv 3x3 to f32", "Add")
		}
	}
}

// TestClampedCodes runs Clip on codes of any numbers, and of products.
func TestClampedCodes(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		clipped := func(k *maker, x string, lo, hi int) string {
			var bounds []string
			for _, v := range []int{zeroFor(d), lo, hi} {
				bounds = append(bounds, k.constant(&tensor.Tensor{DType: d, Raw: []byte{byte(v)}}))
			}
			s := k.scalar(outScale)
			q := k.node("QuantizeLinear", []string{x, s, bounds[0]})
			return k.node("DequantizeLinear", []string{k.node("Clip", append([]string{q}, bounds[1:]...)), s, bounds[0]})
		}
		k := newMaker(12)
		x := k.floats(600)
		tensor.Of[float32](x)[7], tensor.Of[float32](x)[8] = float32(math.NaN()), inf
		in := k.input(x)
		k.output(clipped(k, in, zeroFor(d)-8, zeroFor(d)+7), clipped(k, in, zeroFor(d), zeroFor(d)))
		wantKernels(t, k.checkExact(t), "u8 table")

		k = newMaker(13)
		w, _ := k.weight(0, true, 16, 16, 3, 3)
		k.output(clipped(k, k.node("Conv", []string{k.codesIn(d, 1, 16, 9, 9), w}), zeroFor(d)-3, zeroFor(d)+7))
		steps := k.checkSteps(t, outScale)
		if wantKernels(t, steps, "u8s8 conv 3x3"); slices.Contains(kernelsOf(steps), "u8 table") {
			t.Errorf("steps are %v", kernelsOf(steps))
		}
	}
}

// TestContribCodes runs Q and DQ of ONNX Runtime's domain as those of ONNX, and zero points of another rank than their scales.
func TestContribCodes(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		k := newMaker(31)
		s, z := k.constant(tensor.Float32s([]float32{inScale}, 1)), k.constant(&tensor.Tensor{DType: d, Raw: []byte{byte(zeroFor(d))}})
		both := func(x string) string {
			return k.node("com.microsoft.DequantizeLinear", []string{k.node("com.microsoft.QuantizeLinear", []string{x, s, z}), s, z})
		}
		codes, scale := k.constant(k.codes(tensor.Int8, -127, 127, 16, 8, 3, 3)), k.constant(k.positive(16))
		for i := range tensor.Of[float32](k.m.Graph.ConstTensor(scale)) {
			tensor.Of[float32](k.m.Graph.ConstTensor(scale))[i] *= 0.002
		}
		w := k.node("com.microsoft.DequantizeLinear", []string{codes, scale, k.constant(tensor.New(tensor.Int8, 16))}, "axis", int64(0))
		k.output(both(k.node("Conv", []string{both(k.input(k.floats(1, 8, 6, 6))), w})))
		wantKernels(t, k.checkSteps(t, inScale), "u8s8 conv 3x3")
	}
}
