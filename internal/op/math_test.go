package op

import (
	"math"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// of builds a tensor of any numeric type from real numbers.
func of(d tensor.DType, shape []int, v ...float64) *tensor.Tensor {
	t, err := fromFloats(d, v, shape)
	if err != nil {
		panic(err)
	}
	return t
}

// list is of for a vector.
func list(d tensor.DType, v ...float64) *tensor.Tensor { return of(d, []int{len(v)}, v...) }

func strs(v ...string) *tensor.Tensor { return tensor.Strings(v, len(v)) }

func dtype(d tensor.DType) int64 { return int64(d) }

var nan, inf = math.NaN(), math.Inf(1)

// mathCases cover what no stored result does: narrow types, strings and the ends of ranges.
var mathCases = []struct {
	name  string
	node  *graph.Node
	opset int
	in    []*tensor.Tensor
	want  *tensor.Tensor // nil where an error is expected
}{
	{"add uint8 wraps", node("Add", 2, 1), 14, []*tensor.Tensor{list(tensor.Uint8, 250, 1), list(tensor.Uint8, 10, 2)}, list(tensor.Uint8, 4, 3)},
	{"sub uint64 wraps", node("Sub", 2, 1), 14, []*tensor.Tensor{list(tensor.Uint64, 0), list(tensor.Uint64, 1)}, tensor.Wrap(tensor.Uint64, []uint64{math.MaxUint64}, 1)},
	{"div uint64 is unsigned", node("Div", 2, 1), 14, []*tensor.Tensor{tensor.Wrap(tensor.Uint64, []uint64{1 << 63}, 1), list(tensor.Uint64, 2)}, tensor.Wrap(tensor.Uint64, []uint64{1 << 62}, 1)},
	{"div by zero", node("Div", 2, 1), 14, []*tensor.Tensor{list(tensor.Int32, 1), list(tensor.Int32, 0)}, nil},
	{"mod by zero", node("Mod", 2, 1), 13, []*tensor.Tensor{list(tensor.Uint64, 1), list(tensor.Uint64, 0)}, nil},
	{"add bfloat16 rounds", node("Add", 2, 1), 14, []*tensor.Tensor{list(tensor.BFloat16, 256), list(tensor.BFloat16, 1)}, list(tensor.BFloat16, 256)},
	{"add does not broadcast", node("Add", 2, 1), 14, []*tensor.Tensor{ramp(0, 2), ramp(0, 3)}, nil},
	{"add of two types", node("Add", 2, 1), 14, []*tensor.Tensor{ramp(0, 2), list(tensor.Int32, 1, 2)}, nil},
	{"add nothing", node("Add", 2, 1), 14, []*tensor.Tensor{ramp(0, 0, 3), ramp(0, 1, 3)}, ramp(0, 0, 3)},
	{"mod of floats floors", node("Mod", 2, 1), 28, []*tensor.Tensor{vec(-1, 5, 5.5), vec(3, -3, 2)}, vec(2, -1, 1.5)},
	{"pow of a negative exponent", node("Pow", 2, 1), 15, []*tensor.Tensor{list(tensor.Int32, 2, -1, 1, -1), list(tensor.Int32, -1, -3, -9, -2)}, list(tensor.Int32, 0, -1, 1, 1)},
	{"max propagates NaN", node("Max", 2, 1), 13, []*tensor.Tensor{list(tensor.Float32, nan, 1), list(tensor.Float32, 1, nan)}, list(tensor.Float32, nan, nan)},
	{"max of none", node("Max", 0, 1), 13, nil, nil},
	{"equal strings", node("Equal", 2, 1), 19, []*tensor.Tensor{strs("a", "b"), strs("a", "c")}, list(tensor.Bool, 1, 0)},
	{"greater of NaN", node("GreaterOrEqual", 2, 1), 16, []*tensor.Tensor{list(tensor.Float32, nan, 2), list(tensor.Float32, nan, 2)}, list(tensor.Bool, 0, 1)},
	{"less uint64", node("Less", 2, 1), 13, []*tensor.Tensor{tensor.Wrap(tensor.Uint64, []uint64{1 << 63}, 1), list(tensor.Uint64, 1)}, list(tensor.Bool, 0)},
	{"bitwise not", node("BitwiseNot", 1, 1), 18, []*tensor.Tensor{list(tensor.Uint8, 0, 255, 5)}, list(tensor.Uint8, 255, 0, 250)},
	{"shift signed right", node("BitShift", 2, 1, "direction", "RIGHT"), 28, []*tensor.Tensor{list(tensor.Int8, -128, -1, 64), list(tensor.Int8, 3, 100, -1)}, list(tensor.Int8, -16, -1, 0)},
	{"shift to the middle", node("BitShift", 2, 1, "direction", "DOWN"), 28, []*tensor.Tensor{list(tensor.Int8, 1), list(tensor.Int8, 3)}, nil},
	{"sign uint64", node("Sign", 1, 1), 13, []*tensor.Tensor{tensor.Wrap(tensor.Uint64, []uint64{1 << 63, 0}, 2)}, list(tensor.Uint64, 1, 0)},
	{"isinf of one sign", node("IsInf", 1, 1, "detect_negative", int64(0)), 20, []*tensor.Tensor{list(tensor.Float8E5M2, inf, -inf, 1)}, list(tensor.Bool, 1, 0, 0)},
	{"clip by attributes", node("Clip", 1, 1, "max", float32(6), "min", float32(0)), 6, []*tensor.Tensor{vec(-1, 3, 7)}, vec(0, 3, 6)},
	{"clip NaN", node("Clip", 2, 1), 13, []*tensor.Tensor{list(tensor.Float32, nan), tensor.Scalar(0)}, list(tensor.Float32, nan)},
	{"clip by a vector", node("Clip", 2, 1), 13, []*tensor.Tensor{vec(1), vec(0, 1)}, nil},
	{"prelu slope too large", node("PRelu", 2, 1), 16, []*tensor.Tensor{vec(1), ramp(0, 2, 1)}, nil},
	{"swiglu of two shapes", node("SwiGLU", 2, 1), 28, []*tensor.Tensor{ramp(0, 2), ramp(0, 1)}, nil},
	{"softmax axis outside", node("Softmax", 1, 1, "axis", int64(2)), 13, []*tensor.Tensor{ramp(0, 2, 2)}, nil},

	{"reduce min of nothing", node("ReduceMin", 2, 1), 20, []*tensor.Tensor{list(tensor.Int8).Reshape(2, 0), tensor.Vector(1)}, of(tensor.Int8, []int{2, 1}, 127, 127)},
	{"reduce max of nothing", node("ReduceMax", 2, 1), 20, []*tensor.Tensor{ramp(0, 0), tensor.Vector(0)}, list(tensor.Float32, -inf)},
	{"reduce max of bools", node("ReduceMax", 2, 1, "keepdims", int64(0)), 20, []*tensor.Tensor{of(tensor.Bool, []int{2, 2}, 0, 1, 0, 0), tensor.Vector(1)}, list(tensor.Bool, 1, 0)},
	{"reduce sum int32 wraps", node("ReduceSum", 1, 1, "keepdims", int64(0)), 13, []*tensor.Tensor{list(tensor.Int32, math.MaxInt32, 1)}, of(tensor.Int32, nil, math.MinInt32)},
	{"reduce log sum of no axes", node("ReduceLogSum", 1, 1, "noop_with_empty_axes", int64(1)), 18, []*tensor.Tensor{vec(1, 1)}, vec(0, 0)},
	{"reduce an axis twice", node("ReduceSum", 2, 1), 13, []*tensor.Tensor{ramp(0, 2, 2), tensor.Vector(0, -2)}, nil},
	{"argmax of nothing", node("ArgMax", 1, 1), 13, []*tensor.Tensor{ramp(0, 0)}, nil},
	{"argmax of nothing at all", node("ArgMax", 1, 1, "axis", int64(1), "keepdims", int64(0)), 13, []*tensor.Tensor{ramp(0, 0, 0)}, list(tensor.Int64)},
	{"argmax beyond 2^53", node("ArgMax", 1, 1), 13, []*tensor.Tensor{tensor.Vector(1<<53, 1<<53+1)}, tensor.Vector(1)},
	{"argmin of NaN", node("ArgMin", 1, 1, "select_last_index", int64(1)), 13, []*tensor.Tensor{list(tensor.Float32, 1, nan, 0, nan, 2)}, tensor.Vector(3)},
	{"argmin takes the first", node("ArgMin", 1, 1), 13, []*tensor.Tensor{vec(2, 1, 1)}, tensor.Vector(1)},
	{"cumprod exclusive", node("CumProd", 2, 1, "exclusive", int64(1)), 26, []*tensor.Tensor{list(tensor.Int64, 2, 3, 4), of(tensor.Int32, nil, 0)}, tensor.Vector(1, 2, 6)},
	{"cumsum along a list", node("CumSum", 2, 1), 14, []*tensor.Tensor{vec(1), tensor.Vector(0, 0)}, nil},

	{"cast to float8 saturates", node("Cast", 1, 1, "to", dtype(tensor.Float8E4M3FN)), 19, []*tensor.Tensor{vec(1000, -0.3)}, list(tensor.Float8E4M3FN, 448, -0.3125)},
	{"cast to float8 overflows", node("Cast", 1, 1, "to", dtype(tensor.Float8E5M2), "saturate", int64(0)), 19, []*tensor.Tensor{vec(1e6)}, list(tensor.Float8E5M2, inf)},
	{"cast to float4", node("Cast", 1, 1, "to", dtype(tensor.Float4E2M1)), 23, []*tensor.Tensor{vec(0.3, 100, -2.5)}, list(tensor.Float4E2M1, 0.5, 6, -2)},
	{"cast to int4 keeps low bits", node("Cast", 1, 1, "to", dtype(tensor.Int4)), 21, []*tensor.Tensor{list(tensor.Int8, 7, 8, -9)}, list(tensor.Int4, 7, -8, 7)},
	{"cast int64 to float rounds once", node("Cast", 1, 1, "to", dtype(tensor.Float32)), 13, []*tensor.Tensor{tensor.Vector(1<<54 + 1<<30 + 1)}, vec(1<<54 + 1<<31)},
	{"cast to a power of two", node("Cast", 1, 1, "to", dtype(tensor.Float8E8M0), "round_mode", "nearest"), 24, []*tensor.Tensor{vec(0.3, 3, 5)}, list(tensor.Float8E8M0, 0.25, 4, 4)},
	{"cast to text", node("Cast", 1, 1, "to", dtype(tensor.String)), 13, []*tensor.Tensor{list(tensor.Float32, 0.1, 314.15926, 1e-7, nan, -inf)}, strs("0.1", "314.15927", "1e-07", "NaN", "-INF")},
	{"cast from text", node("Cast", 1, 1, "to", dtype(tensor.Float32)), 13, []*tensor.Tensor{strs("3.5", " 1e3", "-inf", "NaN")}, list(tensor.Float32, 3.5, 1000, -inf, nan)},
	{"cast from text to int", node("Cast", 1, 1, "to", dtype(tensor.Int64)), 13, []*tensor.Tensor{strs("-12", "100.5")}, tensor.Vector(-12, 100)},
	{"eye of an unknown type", node("EyeLike", 1, 1, "dtype", int64(99)), 9, []*tensor.Tensor{ramp(0, 2, 2)}, nil},
	{"cast from NaN in text to int", node("Cast", 1, 1, "to", dtype(tensor.Int64)), 13, []*tensor.Tensor{strs("nan")}, nil},
	{"cast from words", node("Cast", 1, 1, "to", dtype(tensor.Int64)), 13, []*tensor.Tensor{strs("twelve")}, nil},
	{"cast to an unknown type", node("Cast", 1, 1, "to", int64(99)), 13, []*tensor.Tensor{vec(1)}, nil},
	{"castlike", node("CastLike", 2, 1), 19, []*tensor.Tensor{vec(2.7), list(tensor.Uint8, 0)}, list(tensor.Uint8, 2)},
	{"bitcast", node("BitCast", 1, 1, "to", dtype(tensor.Uint32)), 26, []*tensor.Tensor{vec(1)}, list(tensor.Uint32, 0x3f800000)},
	{"bitcast of another width", node("BitCast", 1, 1, "to", dtype(tensor.Uint16)), 26, []*tensor.Tensor{vec(1)}, nil},
	{"where of strings", node("Where", 3, 1), 16, []*tensor.Tensor{list(tensor.Bool, 1, 0), strs("a"), strs("b", "c")}, strs("a", "c")},
	{"range of too many", node("Range", 3, 1), 11, []*tensor.Tensor{tensor.Scalar(0), tensor.Scalar(1), tensor.Scalar(1e-38)}, nil},
	{"range beyond 2^53", node("Range", 3, 1), 11, []*tensor.Tensor{tensor.Int64s([]int64{1 << 53}), tensor.Int64s([]int64{1<<53 + 1}), tensor.Int64s([]int64{1})}, tensor.Vector(1 << 53)},
	{"range across all integers", node("Range", 3, 1), 11, []*tensor.Tensor{tensor.Int64s([]int64{math.MaxInt64}), tensor.Int64s([]int64{math.MinInt64}), tensor.Int64s([]int64{math.MinInt64})}, tensor.Vector(math.MaxInt64, -1)},
	{"range backward", node("Range", 3, 1), 11, []*tensor.Tensor{tensor.Int64s([]int64{5}), tensor.Int64s([]int64{-2}), tensor.Int64s([]int64{-3})}, tensor.Vector(5, 2, -1)},
	{"range the wrong way", node("Range", 3, 1), 11, []*tensor.Tensor{tensor.Int64s([]int64{5}), tensor.Int64s([]int64{9}), tensor.Int64s([]int64{-3})}, tensor.Vector()},
	{"range of step 0", node("Range", 3, 1), 11, []*tensor.Tensor{tensor.Scalar(0), tensor.Scalar(1), tensor.Scalar(0)}, nil},
	{"hann window", node("HannWindow", 1, 1), 17, []*tensor.Tensor{of(tensor.Int64, nil, 4)}, vec(0, 0.5, 1, 0.5)},
	{"window of negative size", node("HannWindow", 1, 1), 17, []*tensor.Tensor{of(tensor.Int64, nil, -4)}, nil},

	{"quantize to int4", node("QuantizeLinear", 2, 1, "output_dtype", dtype(tensor.Int4)), 21, []*tensor.Tensor{vec(-9, 2.5, 100), tensor.Scalar(1)}, list(tensor.Int4, -8, 2, 7)},
	{"quantize to float8", node("QuantizeLinear", 2, 1, "output_dtype", dtype(tensor.Float8E4M3FN)), 21, []*tensor.Tensor{vec(1000, 1), tensor.Scalar(2)}, list(tensor.Float8E4M3FN, 448, 0.5)},
	{"quantize NaN", node("QuantizeLinear", 3, 1), 13, []*tensor.Tensor{list(tensor.Float32, nan, inf, -inf), tensor.Scalar(1), of(tensor.Int8, nil, 3)}, list(tensor.Int8, -128, 127, -128)},
	{"quantize blocks that do not divide", node("QuantizeLinear", 2, 1, "axis", int64(0), "block_size", int64(2)), 21, []*tensor.Tensor{ramp(1, 3, 1), of(tensor.Float32, []int{2, 1}, 1, 3)}, of(tensor.Uint8, []int{3, 1}, 1, 2, 1)},
	{"quantize with odd blocks", node("QuantizeLinear", 2, 1, "axis", int64(0), "block_size", int64(3)), 21, []*tensor.Tensor{ramp(1, 3, 1), of(tensor.Float32, []int{2, 1}, 1, 3)}, nil},
	{"quantize by scales of another axis", node("QuantizeLinear", 2, 1, "axis", int64(0)), 13, []*tensor.Tensor{ramp(1, 3, 2), vec(1, 3)}, nil},
	{"quantize with two types", node("QuantizeLinear", 3, 1, "output_dtype", dtype(tensor.Int8)), 21, []*tensor.Tensor{vec(1), tensor.Scalar(1), of(tensor.Uint8, nil, 3)}, nil},
	{"dequantize to half", node("DequantizeLinear", 2, 1, "output_dtype", dtype(tensor.Float16)), 23, []*tensor.Tensor{list(tensor.Float4E2M1, 1.5, -6), tensor.Scalar(0.5)}, list(tensor.Float16, 0.75, -3)},
	{"dequantize to what the scale is", node("DequantizeLinear", 2, 1, "output_dtype", int64(0)), 23, []*tensor.Tensor{list(tensor.Int8, 3), tensor.Scalar(0.5)}, vec(1.5)},
	{"dequantize int2", node("DequantizeLinear", 3, 1), 25, []*tensor.Tensor{list(tensor.Int2, -2, 1), tensor.Scalar(2), of(tensor.Int2, nil, -1)}, list(tensor.Float32, -2, 4)},
	{"dequantize float8 with a zero point", node("DequantizeLinear", 3, 1), 21, []*tensor.Tensor{list(tensor.Float8E4M3FN, 1), tensor.Scalar(2), of(tensor.Float8E4M3FN, nil, 1)}, nil},
	{"matmul of codes per row", node("MatMulInteger", 3, 1), 10, []*tensor.Tensor{of(tensor.Uint8, []int{2, 1}, 5, 7), of(tensor.Int8, []int{1, 1}, 2), list(tensor.Uint8, 1, 2)}, of(tensor.Int32, []int{2, 1}, 8, 10)},
	{"conv of codes pads with the zero point", node("ConvInteger", 3, 1, "pads", i64s(1, 1)), 10, []*tensor.Tensor{of(tensor.Uint8, []int{1, 1, 2}, 10, 12), of(tensor.Uint8, []int{1, 1, 3}, 1, 1, 1), of(tensor.Uint8, nil, 10)}, of(tensor.Int32, []int{1, 1, 2}, 2, 2)},
}

func TestMathCases(t *testing.T) {
	for _, c := range mathCases {
		t.Run(c.name, func(t *testing.T) {
			m, feed := modelOf(c.node, c.opset, c.in)
			facts, inferErr := Infer(m, nil)
			got, err := Run(m, feed, Options{})
			if c.want == nil {
				if err == nil || fault.KindOf(err) == fault.Internal {
					t.Fatalf("result %v, error %v", got, err)
				}
				return
			}
			if err != nil || inferErr != nil {
				t.Fatal(err, inferErr)
			}
			y := got["p"]
			if g, w := graph.TypeOf(y).String(), graph.TypeOf(c.want).String(); g != w {
				t.Fatalf("is %s, want %s", g, w)
			}
			if !slices.Equal(y.Raw, c.want.Raw) && !sameNumbers(y, c.want) || !slices.Equal(y.Str, c.want.Str) {
				v, _ := floats(y)
				t.Errorf("is %v %v", v, y.Str)
			}
			if shape, ok := facts["p"].Static(); ok && !slices.Equal(shape, y.Shape) || facts["p"].DType != y.DType {
				t.Errorf("inferred %s of %s", facts["p"].Type, y)
			}
		})
	}
}

// sameNumbers says whether two tensors hold the same numbers; NaN equals NaN.
func sameNumbers(a, b *tensor.Tensor) bool {
	x, errX := floats(a)
	y, errY := floats(b)
	return errX == nil && errY == nil && slices.EqualFunc(x, y, func(x, y float64) bool { return x == y || x != x && y != y })
}

// TestMersenne compares with the first numbers that the generator's authors and NumPy give.
func TestMersenne(t *testing.T) {
	m := newMersenne(5489)
	if a, b := m.uint32(), m.uint32(); a != 3499211612 || b != 581869302 {
		t.Errorf("seed 5489 starts with %d, %d", a, b)
	}
	if u := newMersenne(0).float64(); math.Abs(u-0.5488135039273248) > 1e-15 {
		t.Errorf("uniform %v", u)
	}
	m = newMersenne(0)
	for i, w := range []float64{1.764052345967664, 0.4001572083672233, 0.9787379841057392} {
		if z := m.normal(); math.Abs(z-w) > 1e-13 {
			t.Errorf("normal %d is %v, want %v", i, z, w)
		}
	}
}

// TestRandomSeeds checks that the same seed gives the same numbers, and that without the
// attribute the run's seed and the node's name decide.
func TestRandomSeeds(t *testing.T) {
	draw := func(name string, seed uint64, attrs ...any) *tensor.Tensor {
		n := node("RandomNormal", 0, 1, append([]any{"shape", i64s(8)}, attrs...)...)
		n.Name = name
		m, _ := modelOf(n, 22, nil)
		out, err := Run(m, nil, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return out["p"]
	}
	first := draw("a", 1)
	for _, c := range []struct {
		name string
		got  *tensor.Tensor
		same bool
	}{
		{"again", draw("a", 1), true},
		{"another seed", draw("a", 2), false},
		{"another node", draw("b", 1), false},
	} {
		if sameNumbers(first, c.got) != c.same {
			t.Errorf("%s: same numbers is %v", c.name, !c.same)
		}
	}
	if !sameNumbers(draw("a", 1, "seed", float32(3)), draw("b", 2, "seed", float32(3))) {
		t.Error("the attribute seed does not decide")
	}
}

// TestDistributions checks means and ranges of the random operators on 20,000 draws, whose
// mean lies within 0.03 of the true one at six standard errors.
func TestDistributions(t *testing.T) {
	n := int64(20000)
	half := tensor.New(tensor.Float32, int(n))
	for i := range tensor.Of[float32](half) {
		tensor.Of[float32](half)[i] = 0.25
	}
	logits := vec(float32(math.Log(1)), float32(math.Log(3))).Reshape(1, 2)
	for _, c := range []struct {
		node         *graph.Node
		in           []*tensor.Tensor
		mean, lo, hi float64
	}{
		{node("RandomUniform", 0, 1, "shape", i64s(n), "low", float32(-1), "high", float32(2)), nil, 0.5, -1, 2},
		{node("RandomNormal", 0, 1, "shape", i64s(n), "mean", float32(2), "scale", float32(0.5)), nil, 2, -1, 5},
		{node("Bernoulli", 1, 1), []*tensor.Tensor{half}, 0.25, 0, 1},
		{node("Multinomial", 1, 1, "sample_size", n), []*tensor.Tensor{logits}, 0.75, 0, 1},
		{node("Dropout", 3, 1, "seed", int64(1)), []*tensor.Tensor{half, tensor.Scalar(0.5), of(tensor.Bool, nil, 1)}, 0.25, 0, 0.5},
	} {
		m, feed := modelOf(c.node, 22, c.in)
		out, err := Run(m, feed, Options{Seed: 5})
		if err != nil {
			t.Fatal(c.node.Op, err)
		}
		v, _ := floats(out["p"])
		if mean := sumFloats(v) / float64(len(v)); math.Abs(mean-c.mean) > 0.03 {
			t.Errorf("%s: mean %.3f, want %.3f", c.node.Op, mean, c.mean)
		}
		if slices.Min(v) < c.lo || slices.Max(v) > c.hi {
			t.Errorf("%s: from %g to %g", c.node.Op, slices.Min(v), slices.Max(v))
		}
	}
}

// TestShapeArithmetic follows the elements of shapes through arithmetic and reads them off the
// result of Reshape.
func TestShapeArithmetic(t *testing.T) {
	shape := Fact{Type: graph.Of(tensor.Int64, 2), Elems: []graph.Dim{graph.Symbol("N"), graph.Known(6)}}
	two := factOf(tensor.Vector(2))
	for _, c := range []struct {
		op   string
		in   []Fact
		want string
	}{
		{"Mul", []Fact{shape, two}, "2*N 12"},
		{"Add", []Fact{shape, two}, "N+2 8"},
		{"Sub", []Fact{shape, shape}, "0 0"},
		{"Div", []Fact{shape, factOf(tensor.Vector(1))}, "N 6"},
		{"Div", []Fact{shape, factOf(tensor.Vector(4))}, "? 1"},
		{"Where", []Fact{factOf(list(tensor.Bool, 0, 1)), two, shape}, "N 2"},
		{"Identity", []Fact{shape}, "N 6"},
	} {
		o := Lookup("", c.op)
		out, err := o.Infer(&Inference{Node: node(c.op, len(c.in), 1), Opset: 21, In: c.in})
		if err != nil {
			t.Fatal(c.op, err)
		}
		elems, _ := elemsOf(out[0])
		var text []string
		for _, e := range elems {
			text = append(text, e.String())
		}
		if got := strings.Join(text, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.op, got, c.want)
		}
	}
}

// TestQuantRows checks that integer counterparts exist and that fixed ranges are ranges.
func TestQuantRows(t *testing.T) {
	for _, o := range All {
		if name := o.Quant.Integer; name != "" {
			domain, short, ok := strings.Cut(name, ":")
			if !ok {
				domain, short = "", name
			}
			if Lookup(domain, short) == nil {
				t.Errorf("%s: no operator %q", o.Name, name)
			}
		}
		if f := o.Quant.Fixed; f != nil && f.Lo >= f.Hi {
			t.Errorf("%s: range %v", o.Name, *f)
		}
	}
}
