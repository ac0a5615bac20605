package engine

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A floatCase builds a float network; the kernels named must be among its steps.
type floatCase struct {
	name    string
	build   func(k *maker) string
	kernels []string
}

func runFloatCases(t *testing.T, cases []floatCase) {
	t.Helper()
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(uint64(i))
			k.output(c.build(k))
			wantKernels(t, k.checkFloat(t), c.kernels...)
		})
	}
}

// conv3 is a 3×3 convolution of x, whose result lies channels-last.
func (k *maker) conv3(x string, in, out int) string {
	w := k.floats(out, in, 3, 3)
	for i := range tensor.Of[float32](w) {
		tensor.Of[float32](w)[i] *= 0.2
	}
	return k.node("Conv", []string{x, k.constant(w)}, "pads", []int64{1, 1, 1, 1})
}

// image adds an input (n, c, h, w).
func (k *maker) image(n, c, h, w int) string { return k.input(k.floats(n, c, h, w)) }

// positive returns a tensor of numbers from 0.5 to 1.5.
func (k *maker) positive(shape ...int) *tensor.Tensor { return k.uniform(0.5, 1, shape...) }

// uniform returns a tensor of numbers from the first one on, in a range.
func (k *maker) uniform(from, width float32, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](t) {
		tensor.Of[float32](t)[i] = from + width*k.rng.Float32()
	}
	return t
}

func TestFunctions(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		t.Run(name, func(t *testing.T) {
			k := newMaker(3)
			k.m.Opsets[0].Version = 24 // Swish is the newest
			domain, op := cutDomain(name)
			x := k.floats(2, 7, 9, 5)
			switch name {
			case "Sqrt", "Log":
				x = k.positive(2, 7, 9, 5)
			case "Acosh":
				x = k.uniform(1, 1, 2, 7, 9, 5)
			case "Asin", "Acos", "Atanh":
				x = k.uniform(-0.99, 1.98, 2, 7, 9, 5)
			}
			in := []string{k.input(x)}
			if name == "Clip" {
				in = append(in, k.scalar(-0.5), k.scalar(0.7))
			}
			k.output(k.node(op, in))
			k.m.Graph.Nodes[0].Domain = domain
			steps := k.checkFloat(t)
			if len(steps) != 1 || steps[0].Kernel == "reference" {
				t.Errorf("steps are %v", kernelsOf(steps))
			}
		})
	}
}

// broadcastShape is the shape that two of equal rank give together.
func broadcastShape(s [2][]int) []int {
	a, b := s[0], padShape(s[1], len(s[0]))
	out := slices.Clone(a)
	for i := range out {
		out[i] = max(a[i], b[i])
	}
	return out
}

func TestBroadcast(t *testing.T) {
	shapes := [][2][]int{
		{{2, 3, 4, 5}, {2, 3, 4, 5}}, {{2, 3, 4, 5}, {}}, {{2, 3, 4, 5}, {5}}, {{2, 3, 4, 5}, {3, 1, 1}}, {{2, 3, 4, 5}, {1, 3, 1, 1}},
		{{2, 3, 4, 5}, {2, 1, 4, 1}}, {{1, 3, 1, 5}, {2, 1, 4, 1}}, {{1}, {4, 70}}, {{300}, {1}}, {{3, 1}, {1, 200}}, {{2, 3, 1, 1}, {2, 3, 4, 5}},
	}
	for _, op := range slices.Sorted(maps.Keys(binaries)) {
		for i, s := range shapes {
			for _, last := range []bool{false, true} {
				if last && len(s[0]) != 4 || op == "PRelu" && len(s[1]) > len(s[0]) || op == "PRelu" && !sameShape(broadcastShape(s), s[0]) {
					continue
				}
				t.Run(op+tensor.FormatShape(s[0])+tensor.FormatShape(s[1]), func(t *testing.T) {
					k := newMaker(uint64(i))
					x := k.input(k.floats(s[0]...))
					if last {
						x = k.conv3(x, s[0][1], 6)
						x = k.conv3(x, 6, s[0][1])
					}
					if op == "Pow" {
						x = k.node("Abs", []string{x})
					}
					y := k.input(k.positive(s[1]...))
					k.output(k.node(op, []string{x, y}))
					wantKernels(t, k.checkFloat(t))
				})
			}
		}
	}
}

func TestFusion(t *testing.T) {
	norm := func(k *maker, x string, c int) string {
		return k.node("BatchNormalization", []string{x, k.constant(k.floats(c)), k.constant(k.floats(c)), k.constant(k.floats(c)), k.constant(k.positive(c))})
	}
	runFloatCases(t, []floatCase{
		{"norm and relu", func(k *maker) string {
			return k.node("Relu", []string{norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 20), 20)})
		}, []string{"f32 conv 3x3+Relu"}},
		{"bias by Add", func(k *maker) string {
			return k.node("Sigmoid", []string{k.node("Add", []string{k.constant(k.floats(20, 1, 1)), k.conv3(k.image(2, 9, 6, 7), 9, 20)})})
		}, []string{"f32 conv 3x3+Sigmoid"}},
		{"residual", func(k *maker) string {
			x := k.image(1, 9, 6, 7)
			return k.node("Relu", []string{k.node("Add", []string{x, k.conv3(x, 9, 9)})})
		}, []string{"f32 conv 3x3+Relu after Add"}},
		{"two branches", func(k *maker) string {
			x := k.image(1, 9, 6, 7)
			return k.node("Add", []string{k.conv3(x, 9, 9), k.node("Relu", []string{k.conv3(x, 9, 9)})})
		}, []string{"f32 conv 3x3+Relu", "f32 conv 3x3 after Add"}},
		{"Winograd", func(k *maker) string {
			x := k.image(2, 64, 9, 12)
			return k.node("Relu", []string{k.node("Add", []string{x, k.conv3(x, 64, 64)})})
		}, []string{"f32 Winograd conv 3x3+Relu after Add"}},
		{"Winograd and functions", func(k *maker) string {
			y := k.conv3(k.image(2, 64, 11, 12), 64, 96)
			return k.node("PRelu", []string{k.node("Sigmoid", []string{y}), k.constant(k.floats(96, 1, 1))})
		}, []string{"f32 Winograd conv 3x3+Sigmoid+PRelu"}},
		{"Winograd to a part of a concatenation", func(k *maker) string {
			x := k.image(1, 64, 12, 11)
			return k.node("Concat", []string{k.conv3(x, 64, 96), k.conv3(x, 64, 64)}, "axis", int64(1))
		}, []string{"f32 Winograd conv 3x3"}},
		{"residuals in place", func(k *maker) string {
			x := k.node("Relu", []string{k.image(2, 9, 6, 7)})
			for range 3 {
				x = k.node("Relu", []string{k.node("Add", []string{x, k.conv3(k.conv3(x, 9, 9), 9, 9)})})
			}
			return k.node("Add", []string{k.node("Exp", []string{x}), k.node("Mul", []string{x, x})})
		}, []string{"f32 conv 3x3+Relu after Add"}},
		{"silu", func(k *maker) string {
			y := k.conv3(k.image(1, 9, 6, 7), 9, 21)
			return k.node("Mul", []string{k.node("Sigmoid", []string{y}), y})
		}, []string{"f32 conv 3x3+Silu"}},
		{"clip then function", func(k *maker) string {
			y := k.node("Clip", []string{k.conv3(k.image(1, 9, 6, 7), 9, 21), k.scalar(-1), k.scalar(0.5)})
			return k.node("Tanh", []string{y})
		}, []string{"f32 conv 3x3+Clamp+Tanh"}},
		{"prelu", func(k *maker) string {
			return k.node("PRelu", []string{k.conv3(k.image(2, 9, 6, 7), 9, 70), k.constant(k.floats(70, 1, 1))})
		}, []string{"f32 conv 3x3+PRelu"}},
		{"leaky relu", func(k *maker) string {
			return k.node("LeakyRelu", []string{k.conv3(k.image(2, 9, 6, 7), 9, 10)}, "alpha", float32(0.3))
		}, []string{"f32 conv 3x3+PRelu"}},
		{"factor", func(k *maker) string {
			return k.node("Mul", []string{norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 10), 10), k.constant(k.floats(1, 10, 1, 1))})
		}, []string{"f32 conv 3x3"}},
		{"function of groups", func(k *maker) string {
			y := k.node("Conv", []string{k.image(2, 12, 5, 5), k.constant(k.floats(18, 4, 3, 3))}, "group", int64(3))
			return k.node("PRelu", []string{k.node("Sigmoid", []string{y}), k.constant(k.floats(18, 1, 1))})
		}, []string{"f32 conv 3x3+Sigmoid+PRelu"}},
		{"gemm", func(k *maker) string {
			y := k.node("Gemm", []string{k.input(k.floats(5, 30)), k.constant(k.floats(77, 30)), k.constant(k.floats(77))}, "transB", int64(1), "alpha", float32(0.5), "beta", float32(2))
			return k.node("Relu", []string{y})
		}, []string{"f32 gemm+Relu"}},
		{"matmul, bias, gelu, residual", func(k *maker) string {
			x := k.input(k.floats(2, 5, 32))
			y := k.node("Add", []string{k.constant(k.floats(32)), k.node("MatMul", []string{x, k.constant(k.floats(32, 32))})})
			return k.node("Add", []string{k.node("Erf", []string{y}), x})
		}, []string{"f32 gemm+Erf", "Add"}},
		{"norm alone", func(k *maker) string { return norm(k, k.image(2, 9, 6, 7), 9) }, []string{"f32 BatchNormalization"}},
		{"norm after pool", func(k *maker) string {
			return norm(k, k.node("MaxPool", []string{k.image(2, 9, 6, 7)}, "kernel_shape", []int64{2, 2}), 9)
		}, []string{"f32 BatchNormalization"}},
	})
}

func TestRows(t *testing.T) {
	axes := func(list ...int64) *tensor.Tensor { return tensor.Vector(list...) }
	cases := []floatCase{
		{"softmax of the last axis", func(k *maker) string { return k.node("Softmax", []string{k.input(k.floats(3, 4, 50))}) }, []string{"f32 Softmax"}},
		{"softmax of two", func(k *maker) string { return k.node("Softmax", []string{k.input(k.floats(300, 2))}) }, []string{"f32 Softmax"}},
		{"softmax of channels", func(k *maker) string { return k.node("Softmax", []string{k.image(2, 21, 5, 4)}, "axis", int64(1)) }, []string{"f32 Softmax"}},
		{"log softmax", func(k *maker) string { return k.node("LogSoftmax", []string{k.input(k.floats(3, 50))}) }, []string{"f32 LogSoftmax"}},
		{"softmax of opset 11", func(k *maker) string {
			k.m.Opsets[0].Version = 11
			return k.node("Softmax", []string{k.input(k.floats(3, 4, 5))}, "axis", int64(1))
		}, []string{"f32 Softmax"}},
		{"layer norm", func(k *maker) string {
			return k.node("LayerNormalization", []string{k.input(k.floats(3, 4, 50)), k.constant(k.floats(50)), k.constant(k.floats(50))}, "epsilon", float32(1e-3))
		}, []string{"f32 LayerNorm"}},
		{"powers", func(k *maker) string {
			x := k.node("Pow", []string{k.input(k.positive(40)), k.scalar(0.5)})
			return k.node("Pow", []string{k.node("Pow", []string{x, k.scalar(2)}), k.scalar(-1)})
		}, []string{"Sqrt", "Square", "Reciprocal"}},
		{"power of whole numbers", func(k *maker) string {
			e := tensor.Wrap(tensor.Int64, []int64{2, -3, 0, 1, 5}, 5)
			return k.node("Pow", []string{k.input(k.floats(9, 5)), k.constant(e)})
		}, []string{"Pow"}},
		{"second power by a whole number", func(k *maker) string {
			return k.node("Pow", []string{k.input(k.floats(9, 5)), k.constant(tensor.Wrap(tensor.Int32, []int32{2}))})
		}, []string{"Square"}},
		{"power of a scalar", func(k *maker) string { return k.node("Pow", []string{k.scalar(2.5), k.input(k.floats(9, 50))}) }, []string{"Pow"}},
		{"generalized mean", func(k *maker) string { return k.node("Pow", []string{k.input(k.positive(9, 50)), k.scalar(1.0 / 3)}) }, []string{"Pow"}},
		{"third power", func(k *maker) string { return k.node("Pow", []string{k.input(k.floats(5, 40)), k.scalar(3)}) }, []string{"Square", "Mul"}},
	}
	for _, op := range slices.Sorted(maps.Keys(reductions)) {
		kernels := []string{"f32 " + op}
		for _, keep := range []int64{0, 1} {
			for _, list := range [][]int64{{-1}, {2, 3}, {1}, {0, 1, 2, 3}, {0}} {
				build := func(conv bool) func(k *maker) string {
					return func(k *maker) string {
						k.m.Opsets[0].Version = 18
						x := k.image(2, 6, 5, 7)
						if conv {
							x = k.conv3(x, 6, 6)
						}
						if op == "ReduceLogSum" { // of sums below zero there is no logarithm
							x = k.node("Abs", []string{x})
						}
						return k.node(op, []string{x, k.constant(axes(list...))}, "keepdims", keep)
					}
				}
				cases = append(cases, floatCase{op, build(false), kernels}, floatCase{op + " of a convolution", build(true), nil})
			}
		}
	}
	runFloatCases(t, cases)
}

func TestPools(t *testing.T) {
	var cases []floatCase
	for _, op := range []string{"MaxPool", "AveragePool"} {
		for _, attrs := range [][]any{
			{"kernel_shape", []int64{3, 3}, "strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}},
			{"kernel_shape", []int64{2, 3}, "strides", []int64{2, 2}, "ceil_mode", int64(1)},
			{"kernel_shape", []int64{3, 2}, "auto_pad", "SAME_UPPER", "strides", []int64{2, 1}},
			{"kernel_shape", []int64{3, 3}, "pads", []int64{1, 0, 1, 1}, "count_include_pad", int64(1)},
		} {
			if op == "MaxPool" && attrs[len(attrs)-2] == "count_include_pad" {
				continue
			}
			cases = append(cases, floatCase{op, func(k *maker) string { return k.node(op, []string{k.image(2, 18, 9, 8)}, attrs...) }, nil})
		}
	}
	for _, op := range []string{"MaxPool", "AveragePool"} {
		for _, attrs := range [][]any{
			{"kernel_shape", []int64{3, 2, 3}, "strides", []int64{2, 1, 2}, "pads", []int64{1, 0, 1, 1, 1, 0}},
			{"kernel_shape", []int64{2, 3, 2}, "strides", []int64{2, 2, 3}, "ceil_mode", int64(1)},
		} {
			cases = append(cases, floatCase{op + " 3-D", func(k *maker) string { return k.node(op, []string{k.input(k.floats(2, 18, 7, 6, 8))}, attrs...) }, nil})
		}
	}
	for _, op := range []string{"GlobalMaxPool", "GlobalAveragePool"} {
		cases = append(cases,
			floatCase{op, func(k *maker) string { return k.node(op, []string{k.image(2, 18, 9, 8)}) }, nil},
			floatCase{op + " 1-D", func(k *maker) string { return k.node(op, []string{k.input(k.floats(2, 18, 90))}) }, nil})
	}
	runFloatCases(t, cases)
}

// TestMoves runs the operators that move elements, on operands of either layout.
func TestMoves(t *testing.T) {
	vec := func(list ...int64) *tensor.Tensor { return tensor.Vector(list...) }
	type move struct {
		op    string
		more  []*tensor.Tensor
		attrs []any
	}
	moves := []move{
		{"Reshape", []*tensor.Tensor{vec(0, -1)}, nil}, {"Reshape", []*tensor.Tensor{vec(0, 0, -1)}, nil}, {"Flatten", nil, nil},
		{"Transpose", nil, []any{"perm", []int64{0, 2, 3, 1}}}, {"Transpose", nil, []any{"perm", []int64{3, 1, 0, 2}}}, {"Transpose", nil, nil},
		{"Slice", []*tensor.Tensor{vec(1, -3), vec(100, -1), vec(1, 3)}, nil}, {"Slice", []*tensor.Tensor{vec(-1, 0), vec(-100, 7), vec(2, 3), vec(-2, 3)}, nil},
		{"Slice", []*tensor.Tensor{vec(1), vec(9), vec(2), vec(1 << 40)}, nil}, {"Slice", []*tensor.Tensor{vec(9), vec(10), vec(3), vec(3)}, nil},
		{"Slice", []*tensor.Tensor{vec(0), vec(-9), vec(1), vec(math.MinInt64)}, nil}, {"Slice", []*tensor.Tensor{vec(9, 0), vec(10, -9), vec(1, 3), vec(2, -1)}, nil},
		{"Expand", []*tensor.Tensor{vec(3, 1, 1, 1, 1)}, nil}, {"Tile", []*tensor.Tensor{vec(1, 2, 1, 3)}, nil},
		{"Gather", []*tensor.Tensor{vec(3, -1, 0)}, []any{"axis", int64(1)}}, {"Gather", []*tensor.Tensor{vec(3, 1).Reshape(2, 1)}, []any{"axis", int64(3)}},
		{"Pad", []*tensor.Tensor{vec(0, 1, 2, 0, 0, 0, 1, 3), tensor.Scalar(2.5)}, nil}, {"Pad", []*tensor.Tensor{vec(0, 0, 2, 1, 0, 0, 1, 3)}, []any{"mode", "reflect"}},
		{"DepthToSpace", nil, []any{"blocksize", int64(2)}}, {"SpaceToDepth", nil, []any{"blocksize", int64(2)}},
		{"Resize", []*tensor.Tensor{nil, tensor.Float32s([]float32{1, 1, 2, 1.5}, 4)}, []any{"mode", "nearest"}},
		{"Resize", []*tensor.Tensor{nil, nil, vec(2, 8, 5, 9)}, []any{"mode", "linear"}},
		{"Resize", []*tensor.Tensor{nil, tensor.Float32s([]float32{1, 1, 2, 2}, 4)}, []any{"mode", "linear", "coordinate_transformation_mode", "align_corners"}},
		{"Trilu", nil, nil}, {"Identity", nil, nil}, {"Unsqueeze", []*tensor.Tensor{vec(1)}, nil},
	}
	cases := []floatCase{{"Pad by attributes", func(k *maker) string {
		k.m.Opsets[0].Version = 10
		return k.node("Pad", []string{k.input(k.floats(2, 3))}, "pads", []int64{-1, 1, 1, 1}, "value", float32(2))
	}, nil}}
	for _, m := range moves {
		build := func(conv bool) func(k *maker) string {
			return func(k *maker) string {
				x := k.image(2, 8, 6, 4)
				if conv {
					x = k.conv3(x, 8, 8)
				}
				in := []string{x}
				for _, c := range m.more {
					if c == nil {
						in = append(in, "")
					} else {
						in = append(in, k.constant(c))
					}
				}
				return k.node(m.op, in, m.attrs...)
			}
		}
		cases = append(cases, floatCase{m.op, build(false), nil}, floatCase{m.op + " of a convolution", build(true), nil})
	}
	runFloatCases(t, cases)
}

func TestJoinsAndCuts(t *testing.T) {
	for _, axis := range []int64{0, 1, -2, 3} {
		for _, conv := range []bool{false, true} {
			k := newMaker(5)
			x := k.image(2, 8, 6, 4)
			y := x
			if conv {
				y = k.conv3(x, 8, 8)
			}
			joined := k.node("Concat", []string{x, y, y}, "axis", axis)
			n := &graph.Node{Op: "Split", In: []string{joined, k.constant(tensor.Vector(1, int64(3*[]int{2, 8, 6, 4}[(axis+4)%4])-1))}, Out: []string{"a", "b"}}
			n.SetAttr("axis", axis)
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
			k.output("a", "b")
			wantKernels(t, k.checkFloat(t))
		}
	}
}

// TestChannelsInPlace writes concatenations and reads slices of channels without a copy where it can.
func TestChannelsInPlace(t *testing.T) {
	k := newMaker(6)
	x := k.image(2, 8, 6, 4)
	a, b := k.node("Relu", []string{k.conv3(x, 8, 12)}), k.conv3(x, 8, 5)
	joined := k.node("Concat", []string{a, x, b}, "axis", int64(1))
	n := &graph.Node{Op: "Split", In: []string{joined, k.constant(tensor.Vector(9, 16))}, Out: []string{"l", "r"}}
	n.SetAttr("axis", int64(1))
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
	depth := k.node("Conv", []string{"r", k.constant(k.floats(16, 1, 3, 3))}, "group", int64(16), "pads", []int64{1, 1, 1, 1})
	grouped := k.node("Conv", []string{"r", k.constant(k.floats(6, 8, 2, 2))}, "group", int64(2))
	k.output(k.conv3("l", 9, 4), depth, grouped, k.node("Concat", []string{"l", depth}, "axis", int64(1)), k.node("Neg", []string{"r"}), "l")
	steps := k.checkFloat(t)
	wantKernels(t, steps, "gather channels")
	for _, s := range steps {
		if s.Kernel == "split" {
			t.Error("the split copies")
		}
	}
}

// TestPlacedResults lets convolutions with any activation, poolings and a Resize write to their places in
// concatenations, and others read them there.
func TestPlacedResults(t *testing.T) {
	k := newMaker(9)
	x := k.image(2, 8, 6, 8)
	silu := func(y string) string { return k.node("Mul", []string{y, k.node("Sigmoid", []string{y})}) }
	pool := func(y string, op string) string {
		return k.node(op, []string{y}, "kernel_shape", []int64{3, 3}, "pads", []int64{1, 1, 1, 1})
	}
	a := silu(k.conv3(x, 8, 21))
	sum := k.node("Add", []string{k.conv3(x, 8, 8), silu(k.conv3(x, 8, 8))})
	slopes := k.node("PRelu", []string{k.conv3(x, 8, 20), k.constant(k.floats(20, 1, 1))})
	late := k.node("Add", []string{x, silu(k.conv3(x, 8, 8))})
	clamped := k.node("Add", []string{k.node("Relu", []string{k.conv3(x, 8, 8)}), x})
	joined := k.node("Concat", []string{a, pool(a, "MaxPool"), sum, pool(a, "AveragePool"), slopes, late, clamped}, "axis", int64(1))
	b := silu(k.conv3(joined, 107, 12))
	scales := k.constant(tensor.Float32s([]float32{1, 1, 2, 2}, 4))
	wide := k.node("Resize", []string{b, "", scales}, "mode", "nearest")
	up := k.node("Resize", []string{a, "", scales}, "mode", "nearest")
	k.output(k.conv3(a, 21, 9), k.conv3(k.node("Concat", []string{up, wide, wide}, "axis", int64(1)), 45, 8),
		k.conv3(k.node("Concat", []string{k.node("Resize", []string{b, "", scales}, "mode", "nearest"), k.image(2, 3, 12, 16)}, "axis", int64(1)), 15, 8))
	copies, behind := 0, 0
	for _, s := range k.checkFloat(t) {
		if s.Kernel == "concat" {
			copies++
		}
		if strings.HasSuffix(s.Kernel, "+Add") {
			behind++
		}
	}
	if behind != 2 {
		t.Errorf("%d convolutions add behind their activation", behind)
	}
	if copies != 2 { // of what is joined twice, and of an input
		t.Errorf("%d concatenations copy", copies)
	}
}

func TestMatMul(t *testing.T) {
	perm := func(k *maker, x string, p ...int64) string { return k.node("Transpose", []string{x}, "perm", p) }
	runFloatCases(t, []floatCase{
		{"stacks", func(k *maker) string {
			return k.node("MatMul", []string{k.input(k.floats(3, 2, 5, 7)), k.input(k.floats(2, 7, 9))})
		}, []string{"f32 matmul"}},
		{"one right side", func(k *maker) string {
			return k.node("MatMul", []string{k.input(k.floats(3, 5, 7)), k.input(k.floats(7, 9))})
		}, []string{"f32 matmul"}},
		{"one left side", func(k *maker) string {
			return k.node("MatMul", []string{k.input(k.floats(5, 7)), k.input(k.floats(4, 7, 40))})
		}, []string{"f32 matmul"}},
		{"heads", func(k *maker) string {
			q, v := perm(k, k.input(k.floats(1, 9, 3, 8)), 0, 2, 1, 3), perm(k, k.input(k.floats(1, 11, 3, 8)), 0, 2, 3, 1)
			return k.node("Relu", []string{k.node("MatMul", []string{q, v})})
		}, []string{"f32 matmul"}},
		{"heads and back", func(k *maker) string {
			q, v := perm(k, k.input(k.floats(2, 9, 3, 8)), 0, 2, 1, 3), perm(k, k.input(k.floats(2, 8, 3, 5)), 0, 2, 1, 3)
			return perm(k, k.node("MatMul", []string{q, v}), 0, 2, 1, 3)
		}, []string{"f32 matmul"}},
		{"constant stacks", func(k *maker) string {
			return k.node("MatMul", []string{k.input(k.floats(2, 5, 7)), k.constant(k.floats(2, 7, 9))})
		}, []string{"f32 matmul"}},
	})
}

func TestConvTranspose(t *testing.T) {
	for i, c := range []struct {
		x, w  []int
		bias  bool
		attrs []any
	}{
		{[]int{2, 6, 5, 4}, []int{6, 9, 3, 3}, true, []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}, "output_padding", []int64{1, 1}}},
		{[]int{1, 6, 5, 4}, []int{6, 1, 2, 2}, false, []any{"strides", []int64{2, 2}}},
		{[]int{1, 6, 5, 4}, []int{6, 4, 3, 2}, true, []any{"group", int64(2), "dilations", []int64{2, 1}}},
		{[]int{1, 6, 5, 4}, []int{6, 1, 3, 4}, true, []any{"group", int64(6), "strides", []int64{1, 2}, "pads", []int64{0, 1, 0, 0}}},
		{[]int{1, 6, 5, 4}, []int{6, 1, 2, 2}, true, []any{"group", int64(6), "strides", []int64{3, 3}}},
		{[]int{1, 6, 5, 4}, []int{6, 9, 3, 3}, true, []any{"strides", []int64{2, 2}, "auto_pad", "SAME_UPPER"}},
		{[]int{1, 6, 5, 4}, []int{6, 9, 4, 4}, false, []any{"strides", []int64{2, 2}, "output_shape", []int64{9, 8}}},
		{[]int{2, 6, 5, 4}, []int{6, 1, 2, 2}, true, []any{"strides", []int64{2, 2}}},
		{[]int{2, 6, 5, 4}, []int{6, 5, 2, 3}, true, []any{"strides", []int64{2, 3}}},
		{[]int{2, 6, 5, 4}, []int{6, 5, 2, 2}, false, []any{"strides", []int64{2, 2}, "output_padding", []int64{1, 0}}},
		{[]int{2, 6, 3, 5, 4}, []int{6, 5, 2, 2, 2}, true, []any{"strides", []int64{2, 2, 2}}},
		{[]int{2, 6, 3, 5, 4}, []int{6, 5, 3, 2, 3}, true, []any{"strides", []int64{2, 1, 2}, "pads", []int64{1, 0, 1, 1, 1, 1}, "output_padding", []int64{1, 0, 1}}},
		{[]int{1, 6, 4, 3, 4}, []int{6, 4, 2, 3, 2}, false, []any{"group", int64(2), "dilations", []int64{2, 1, 1}}},
		{[]int{1, 6, 4, 3, 4}, []int{6, 1, 2, 2, 2}, true, []any{"strides", []int64{2, 2, 2}, "output_padding", []int64{1, 0, 0}}},
	} {
		k := newMaker(uint64(i))
		k.transposedConv(c.x, c.w, c.bias, c.attrs)
		wantKernels(t, k.checkFloat(t), "gather taps+Clamp")
	}
}

// TestDepthwiseConvTranspose splits what each channel alone is spread to into convolutions.
func TestDepthwiseConvTranspose(t *testing.T) {
	for i, c := range []struct {
		x, w  []int
		bias  bool
		size  string
		attrs []any
	}{
		{[]int{1, 8, 9}, []int{8, 1, 4}, true, "1x4", []any{"group", int64(8), "strides", []int64{3}}},
		{[]int{2, 35, 5, 4}, []int{35, 1, 4, 4}, true, "4x4", []any{"group", int64(35), "strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{2, 6, 5, 4}, []int{6, 1, 3, 5}, false, "3x5", []any{"group", int64(6), "strides", []int64{2, 3}, "output_padding", []int64{1, 2}, "pads", []int64{1, 0, 0, 2}}},
		{[]int{1, 6, 5, 4}, []int{6, 1, 3, 3}, true, "3x3", []any{"group", int64(6)}},
		{[]int{1, 6, 5, 4}, []int{6, 1, 4, 4}, true, "4x4", []any{"group", int64(6), "strides", []int64{2, 2}, "auto_pad", "SAME_LOWER"}},
		{[]int{1, 6, 5, 4}, []int{6, 1, 4, 4}, false, "4x4", []any{"group", int64(6), "strides", []int64{2, 2}, "output_shape", []int64{10, 13}}},
	} {
		k := newMaker(uint64(i))
		k.transposedConv(c.x, c.w, c.bias, c.attrs)
		wantKernels(t, k.checkFloat(t), "f32 depthwise conv transpose "+c.size+"+Clamp")
	}
}

// TestPhasedConvTranspose makes convolutions of the pixels that the same taps reach.
func TestPhasedConvTranspose(t *testing.T) {
	for i, c := range []struct {
		x, w  []int
		bias  bool
		size  string
		attrs []any
	}{
		{[]int{2, 6, 5, 4}, []int{6, 17, 4, 4}, true, "4x4", []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
		{[]int{2, 6, 5, 4}, []int{6, 40, 3, 3}, true, "3x3", []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}, "output_padding", []int64{1, 1}}},
		{[]int{1, 6, 5, 4}, []int{6, 16, 3, 3}, false, "3x3", []any{"group", int64(2), "strides", []int64{1, 2}, "pads", []int64{0, 1, 0, 0}}},
		{[]int{1, 6, 25}, []int{6, 33, 8}, true, "1x8", []any{"strides", []int64{4}, "pads", []int64{2, 2}}},
		{[]int{1, 6, 5, 4}, []int{6, 19, 4, 6}, true, "4x6", []any{"group", int64(3), "strides", []int64{2, 3}, "pads", []int64{1, 0, 0, 0}}},
	} {
		k := newMaker(uint64(i))
		k.transposedConv(c.x, c.w, c.bias, c.attrs)
		wantKernels(t, k.checkFloat(t), "f32 conv transpose by phases "+c.size, "deal phases+Clamp")
	}
}

// transposedConv makes a network of a ConvTranspose that a factor for each channel and a Clip follow.
func (k *maker) transposedConv(x, w []int, bias bool, attrs []any) {
	in := []string{k.input(k.floats(x...)), k.constant(k.floats(w...))}
	channels := w[1]
	for a := 0; a < len(attrs); a += 2 {
		if attrs[a] == "group" {
			channels *= int(attrs[a+1].(int64))
		}
	}
	if bias {
		in = append(in, k.constant(k.floats(channels)))
	}
	y := k.node("ConvTranspose", in, attrs...)
	scale := k.constant(k.floats(append([]int{channels}, slices.Repeat([]int{1}, len(x)-2)...)...))
	k.output(k.node("Clip", []string{k.node("Mul", []string{y, scale}), k.scalar(-1), k.scalar(1)}))
}

// TestInfinities holds the clamps to ONNX's treatment of NaN and infinities.
func TestInfinities(t *testing.T) {
	k := newMaker(1)
	nan, big := float32(math.NaN()), float32(math.Inf(1))
	x := k.input(tensor.Float32s([]float32{nan, big, -big, 0, 1}, 5))
	k.output(k.node("Relu", []string{x}))
	got, _ := k.evaluate(t, allRuns()[0], nil)
	y := tensor.Of[float32](got[k.m.Graph.Out[0].Name])
	if !math.IsNaN(float64(y[0])) || y[1] != big || y[2] != 0 {
		t.Errorf("Relu gives %v", y)
	}
}

// TestFunctionParameters holds functions that take parameters against their definitions, where these turn too.
func TestFunctionParameters(t *testing.T) {
	for _, c := range []struct {
		name, op, kernel string
		attrs            []any
	}{
		{"Celu", "Celu", "Celu", []any{"alpha", float32(0.3)}},
		{"threshold", "ThresholdedRelu", "Threshold", []any{"alpha", float32(0.5)}},
		{"negative threshold", "ThresholdedRelu", "Threshold", []any{"alpha", float32(-0.5)}},
		{"Shrink", "Shrink", "Shrink", []any{"bias", float32(0.25), "lambd", float32(0.5)}},
		{"Shrink with overlap", "Shrink", "Shrink", []any{"bias", float32(-1), "lambd", float32(-1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(5)
			x := k.floats(3, 5, 7)
			copy(tensor.Of[float32](x), []float32{0.5, -0.5, 0, 1, -1, 30, -30})
			k.output(k.node(c.op, []string{k.input(x)}, c.attrs...))
			wantKernels(t, k.checkFloat(t), c.kernel)
		})
	}
}

// TestCeluOfAnySlope has slopes that are no kernel's.
func TestCeluOfAnySlope(t *testing.T) {
	for _, alpha := range []float32{-2, 1e-40} {
		k := newMaker(5)
		k.output(k.node("Celu", []string{k.input(k.floats(3, 5, 7))}, "alpha", alpha))
		if steps := k.checkFloat(t); len(steps) != 1 || steps[0].Kernel != "reference" {
			t.Errorf("alpha %g: steps are %v", alpha, kernelsOf(steps))
		}
	}
}
