package engine

import (
	"context"
	"math"
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

// pairShapes are ways of broadcasting: alike, by channel, to a common shape, of numbers, rows, columns, short and long ones.
var pairShapes = [][2][]int{
	{{6, 5}, {6, 5}}, {{2, 9, 5, 4}, {1, 9, 1, 1}}, {{4, 1}, {3, 1, 7}}, {{3}, {}}, {{1}, {70}}, {{5, 300}, {300}}, {{5, 1}, {5, 300}},
	{{400, 4}, {4}}, {{400, 4}, {400, 1}}, {{1, 4}, {400, 4}}, {{3, 1, 200, 2}, {5, 1, 2}}, {{1, 1, 3}, {40, 40, 1}}, {{}, {}},
}

var wholeTypes = []tensor.DType{tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16, tensor.Uint32, tensor.Int32, tensor.Uint64, tensor.Int64}

// anyOf returns numbers of any bits, half of them small; floats have NaN and infinities among them.
func (k *maker) anyOf(d tensor.DType, shape []int, spare int) *tensor.Tensor {
	x := tensor.New(d, shape...)
	size := d.Bits() / 8
	for i := range x.Len() {
		v := k.rng.Int64()
		if k.rng.IntN(2) == 0 {
			v = int64(k.rng.IntN(40) - 20)
		}
		switch d {
		case tensor.Float32:
			tensor.Of[float32](x)[i] = float32(oddFloat(k, v))
			continue
		case tensor.Float64:
			tensor.Of[float64](x)[i] = oddFloat(k, v)
			continue
		case tensor.Bool:
			v &= 3
		}
		if v&(1<<(8*size)-1) == 0 {
			v += int64(spare)
		}
		for b := range size {
			x.Raw[i*size+b] = byte(v >> (8 * b))
		}
	}
	return x
}

func oddFloat(k *maker, v int64) float64 {
	switch k.rng.IntN(8) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(int(v | 1))
	case 2:
		return math.Copysign(0, float64(v))
	case 3:
		return float64(v) / 7
	}
	return float64(v)
}

// checkPairs runs an operator with every way of broadcasting; spare stands for 0 on the right.
func checkPairs(t *testing.T, op string, d tensor.DType, spare int, attrs ...any) {
	t.Helper()
	for i, s := range pairShapes {
		k := newMaker(uint64(i))
		k.m.Opsets[0].Version = 28
		x, y := k.anyOf(d, s[0], 0), k.anyOf(d, s[1], spare)
		if s := min(x.Len(), y.Len()); i%2 == 0 && spare == 0 {
			copy(x.Raw[:s*d.Bits()/8/2], y.Raw)
		}
		k.output(k.node(op, []string{k.input(x), k.input(y)}, attrs...))
		wantKernels(t, k.checkExact(t), d.String()+" "+op)
	}
}

// TestWholePairs computes on whole numbers that may overflow.
func TestWholePairs(t *testing.T) {
	for _, d := range wholeTypes {
		for _, op := range []string{"Add", "Sub", "Mul", "Min", "Max", "BitwiseAnd", "BitwiseOr", "BitwiseXor"} {
			checkPairs(t, op, d, 0)
		}
		checkPairs(t, "Div", d, -1)
		for _, fmod := range []int64{0, 1} {
			checkPairs(t, "Mod", d, -1, "fmod", fmod)
		}
		for _, direction := range []string{"LEFT", "RIGHT"} {
			checkPairs(t, "BitShift", d, 0, "direction", direction)
		}
	}
}

// TestRemainder takes remainders of floats of all sizes.
func TestRemainder(t *testing.T) {
	checkPairs(t, "Mod", tensor.Float32, 0, "fmod", int64(1))
	k := newMaker(9)
	x, y := k.floats(20000), k.floats(20000)
	for i := range tensor.Of[float32](x) {
		a, b := &tensor.Of[float32](x)[i], &tensor.Of[float32](y)[i]
		switch i % 4 {
		case 0:
			*b *= float32(math.Ldexp(1, k.rng.IntN(60)-40))
		case 1:
			*a = float32(k.rng.IntN(1<<24)) * *b
		case 2:
			*a = math.Nextafter32(float32(k.rng.IntN(1<<12))**b, float32(k.rng.IntN(3)-1)*100)
		}
	}
	k.output(k.node("Mod", []string{k.input(x), k.input(y)}, "fmod", int64(1)))
	wantKernels(t, k.checkExact(t), "float Mod")
}

// TestComparisons compares numbers of all types that kernels know.
func TestComparisons(t *testing.T) {
	for _, op := range []string{"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"} {
		for _, d := range append([]tensor.DType{tensor.Float32, tensor.Float64}, wholeTypes...) {
			checkPairs(t, op, d, 0)
		}
	}
	checkPairs(t, "Equal", tensor.Bool, 0)
}

// TestLogic joins truths, any byte but 0, between convolutions too.
func TestLogic(t *testing.T) {
	for _, op := range []string{"And", "Or", "Xor"} {
		checkPairs(t, op, tensor.Bool, 0)
		k := newMaker(1)
		in := []string{k.input(k.codes(tensor.Bool, 0, 1, 1, 1, 5, 7)), k.node("IsNaN", []string{k.conv3(k.input(k.floats(2, 3, 5, 7)), 3, 3)})}
		k.output(k.node(op, in))
		wantKernels(t, k.checkExact(t), "bool "+op)
	}
}

// TestDivisionByZero is refused as the definition has it, wherever the 0 is.
func TestDivisionByZero(t *testing.T) {
	for _, d := range wholeTypes {
		for _, op := range []string{"Div", "Mod"} {
			for at := range 3 {
				k := newMaker(3)
				x, y := k.anyOf(d, []int{40, 3}, 0), k.anyOf(d, []int{3}, 1)
				size := d.Bits() / 8
				clear(y.Raw[at*size:][:size])
				k.output(k.node(op, []string{k.input(x), k.input(y)}))
				_, err := k.compile(t, Options{Threads: 2}).Run(context.Background(), k.in)
				if err == nil || !strings.Contains(err.Error(), "integer division by zero") {
					t.Errorf("%s of %s: %v", op, d, err)
				}
			}
		}
	}
}

// TestWholeUnary computes functions of whole numbers, their lowest one among them.
func TestWholeUnary(t *testing.T) {
	for _, d := range wholeTypes {
		for op := range wholeFunctions[d] {
			k := newMaker(5)
			k.m.Opsets[0].Version = 20
			x := k.anyOf(d, []int{3, 1000}, 0)
			clear(x.Raw[:d.Bits()/8])
			x.Raw[d.Bits()/8-1] = 0x80
			k.output(k.node(op, []string{k.node(op, []string{k.input(x)})}))
			wantKernels(t, k.checkExact(t), d.String()+" "+op)
		}
		for _, bounds := range [][2]int{{0, 1}, {1, 0}, {-1, 1}, {1, -1}} {
			k := newMaker(6)
			in := []string{k.input(k.anyOf(d, []int{3, 1000}, 0)), "", ""}
			for i, of := range bounds {
				if of >= 0 {
					in[1+i] = k.input(tensor.New(d))
					k.in[in[1+i]].Raw[0] = byte(10 + 90*of)
				}
			}
			k.output(k.node("Clip", in))
			wantKernels(t, k.checkExact(t), d.String()+" Clip")
		}
	}
}

// TestIsInf looks for infinities of either sign.
func TestIsInf(t *testing.T) {
	for _, signs := range [][2]int64{{0, 1}, {1, 0}, {1, 1}} {
		k := newMaker(7)
		k.output(k.node("IsInf", []string{k.input(k.anyOf(tensor.Float32, []int{3, 1000}, 0))}, "detect_negative", signs[0], "detect_positive", signs[1]))
		wantKernels(t, k.checkExact(t), "f32 IsInf")
	}
}
