package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// fast lists the levels that this machine has beyond plain Go.
func fast(t testing.TB) []Level {
	l := Levels()[1:]
	if len(l) == 0 {
		t.Skip("this machine has no level beyond generic")
	}
	return l
}

// lengths surround the widths of vectors and blocks.
var lengths = []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 79, 96, 127, 128, 129, 200, 511, 513, 1030}

// guard surrounds a slice of n elements with values that must stay, at an odd place in memory.
type guard[T comparable] struct {
	all  []T
	off  int
	n    int
	mark T
}

func newGuard[T comparable](n, off int, mark T) *guard[T] {
	g := &guard[T]{all: make([]T, off+n+70), off: off, n: n, mark: mark}
	for i := range g.all {
		g.all[i] = mark
	}
	return g
}

func (g *guard[T]) slice() []T { return g.all[g.off : g.off+g.n : g.off+g.n] }

func (g *guard[T]) check(t testing.TB, what string) {
	t.Helper()
	for i, v := range g.all {
		if (i < g.off || i >= g.off+g.n) && v != g.mark {
			t.Fatalf("%s: wrote at %d of %d elements", what, i-g.off, g.n)
		}
	}
}

// extremes are the values where float32 functions go wrong.
var extremes = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 1.5, -2.5, 1e-45, -1e-45, 1e-39, -1e-39, 1.1754944e-38, -1.1754944e-38,
	math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), float32(math.Copysign(math.NaN(), -1)),
	88.72283, 88.72284, 89, -87.33, -87.33001, -87.33654, -103.97208, -104, -105, -200, 1e10, -1e10, 1e30, -1e30, 3.92, 3.95, 4, 0.9, 0.8999999, -0.9,
	8388607.5, 8388608, -8388607.5, 16777216, 2147483648, -2147483648, 0.70710677, 0.70710678, 1.4142135, 2.99999, 3, -3, 6, 9.01, 10, 20, 127.5, 128.5, -128.5, 254.5,
}

// floats fills a slice: extremes among numbers of all sizes and of ordinary ones.
func floats(r *rand.Rand, dst []float32) {
	for i := range dst {
		switch r.IntN(4) {
		case 0:
			dst[i] = extremes[r.IntN(len(extremes))]
		case 1:
			dst[i] = math.Float32frombits(r.Uint32())
		default:
			dst[i] = float32(r.NormFloat64() * 4)
		}
	}
}

// same says whether two floats have the same bits, or both are NaN.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func equalFloats(t testing.TB, what string, got, want []float32, in ...[]float32) {
	t.Helper()
	for i := range want {
		if !same(got[i], want[i]) {
			s := ""
			for _, x := range in {
				s += fmt.Sprintf(" %g(%08x)", x[i%len(x)], math.Float32bits(x[i%len(x)]))
			}
			t.Fatalf("%s: [%d] of %d = %g (%08x), want %g (%08x), from%s", what, i, len(want), got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]), s)
		}
	}
}

const mark = 12345.678

// eachCase runs f for all fast levels, lengths and some offsets, on a fixed random source.
func eachCase(t *testing.T, f func(l Level, r *rand.Rand, n, off int)) {
	for _, l := range fast(t) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range lengths {
			for _, off := range []int{0, 1, 5} {
				f(l, r, n, off)
			}
		}
	}
}

func newFloats(r *rand.Rand, n, off int) []float32 {
	s := newGuard[float32](n, off, mark).slice()
	floats(r, s)
	return s
}

func TestBinary(t *testing.T) {
	for op := range numBinary {
		eachCase(t, func(l Level, r *rand.Rand, n, off int) {
			x, y := newFloats(r, n, off), newFloats(r, n, 1)
			got, want := newGuard[float32](n, off+1, mark), make([]float32, n)
			forms := []struct {
				name string
				run  func(l Level, dst []float32)
			}{
				{"Binary", func(l Level, dst []float32) { l.Binary(op, dst, x, y) }},
				{"BinaryScalar", func(l Level, dst []float32) { l.BinaryScalar(op, dst, x, 1.25) }},
				{"ScalarBinary", func(l Level, dst []float32) { l.ScalarBinary(op, dst, -2.5, y) }},
				{"in place", func(l Level, dst []float32) { copy(dst, x); l.Binary(op, dst, dst, y) }},
			}
			for _, f := range forms {
				f.run(l, got.slice())
				f.run(Generic, want)
				what := fmt.Sprintf("%s %s %s", l, op, f.name)
				equalFloats(t, what, got.slice(), want, x, y)
				got.check(t, what)
			}
		})
	}
}

func TestBinaryMeaning(t *testing.T) {
	nan := float32(math.NaN())
	x := []float32{1, -2, 3, nan, 5, -6}
	y := []float32{4, 3, 3, 1, nan, 2}
	want := map[Binary][]float32{
		Add: {5, 1, 6, nan, nan, -4}, Sub: {-3, -5, 0, nan, nan, -8}, Mul: {4, -6, 9, nan, nan, -12},
		Div: {0.25, -2.0 / 3, 1, nan, nan, -3}, Min: {1, -2, 3, nan, nan, -6}, Max: {4, 3, 3, nan, nan, 2},
		Pow: {1, -8, 27, nan, nan, 36}, PRelu: {1, -6, 3, nan, 5, -12}, AddRelu: {5, 1, 6, nan, nan, 0},
	}
	for op := range numBinary {
		got := make([]float32, len(x))
		Generic.Binary(op, got, x, y)
		equalFloats(t, op.String(), got, want[op], x, y)
	}
}

func TestBinaryBroadcast(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, l := range Levels() {
		for _, cols := range []int{1, 3, 16, 33, 255, 256, 257, 600} {
			for _, rows := range []int{1, 2, 5, 40} {
				x, v, c := newFloats(r, rows*cols, 1), newFloats(r, cols, 2), newFloats(r, rows, 3)
				got, want := make([]float32, len(x)), make([]float32, len(x))
				l.BinaryRows(Sub, got, x, v)
				for i := range want {
					want[i] = x[i] - v[i%cols]
				}
				equalFloats(t, fmt.Sprintf("%s BinaryRows %dx%d", l, rows, cols), got, want, x, v)
				l.RowsBinary(Sub, got, v, x)
				for i := range want {
					want[i] = v[i%cols] - x[i]
				}
				equalFloats(t, fmt.Sprintf("%s RowsBinary %dx%d", l, rows, cols), got, want, x, v)
				l.BinaryCols(Sub, got, x, c)
				for i := range want {
					want[i] = x[i] - c[i/cols]
				}
				equalFloats(t, fmt.Sprintf("%s BinaryCols %dx%d", l, rows, cols), got, want, x)
			}
		}
	}
}

func TestUnary(t *testing.T) {
	for op := range numUnary {
		eachCase(t, func(l Level, r *rand.Rand, n, off int) {
			x := newFloats(r, n, off)
			got, want := newGuard[float32](n, off+1, mark), make([]float32, n)
			what := fmt.Sprintf("%s %s", l, op)
			p, q := float32(-0.5), float32(2.25)
			l.UnaryWith(op, got.slice(), x, p, q)
			Generic.UnaryWith(op, want, x, p, q)
			equalFloats(t, what, got.slice(), want, x)
			got.check(t, what)
			l.UnaryWith(op, x, x, p, q)
			equalFloats(t, what+" in place", x, want)
		})
	}
}

// TestUnaryBits goes over float32 evenly, so that every exponent and sign is met.
func TestUnaryBits(t *testing.T) {
	const n = 4096
	var x, got, want [n]float32
	for _, l := range fast(t) {
		for op := range numUnary {
			for b := uint64(0); b < 1<<32; {
				for i := range x {
					x[i] = math.Float32frombits(uint32(b))
					b += *stride
				}
				l.UnaryWith(op, got[:], x[:], -0.5, 2.25)
				Generic.UnaryWith(op, want[:], x[:], -0.5, 2.25)
				equalFloats(t, fmt.Sprintf("%s %s", l, op), got[:], want[:], x[:])
			}
		}
	}
}

func TestUnaryLimits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		op      Unary
		x, want float32
	}{
		{Exp, inf, inf}, {Exp, -inf, 0}, {Exp, 0, 1}, {Exp, 88.7228, 3.4026947e38}, {Exp, 88.73, inf}, {Exp, -87.33, 1.1832107e-38}, {Exp, -87.34, 0},
		{Log, 0, -inf}, {Log, -1, nan}, {Log, inf, inf}, {Log, 1, 0}, {Log, 1e-45, -103.27893},
		{Tanh, inf, 1}, {Tanh, -inf, -1}, {Erf, inf, 1}, {Erf, -inf, -1}, {Erf, 0, 0},
		{Sigmoid, inf, 1}, {Sigmoid, -inf, 0}, {Sigmoid, 0, 0.5}, {Gelu, inf, inf}, {GeluTanh, inf, inf}, {Silu, inf, inf},
		{Softplus, inf, inf}, {Softplus, -inf, 0}, {HardSwish, inf, inf}, {HardSwish, 1, 0.6666667}, {Softsign, inf, 1}, {Softsign, -inf, -1}, {Mish, inf, inf},
		{Tan, inf, nan}, {Tan, 0, 0}, {Asin, 1, 1.5707964}, {Asin, -1, -1.5707964}, {Asin, 1.0000001, nan}, {Asin, -inf, nan}, {Asin, -1e-40, -1e-40},
		{Acos, 1, 0}, {Acos, -1, 3.1415927}, {Acos, 0, 1.5707964}, {Acos, 2, nan}, {Acos, -inf, nan}, {Atan, inf, 1.5707964}, {Atan, -inf, -1.5707964},
		{Sinh, inf, inf}, {Sinh, -inf, -inf}, {Sinh, 89.41, 3.3825267e38}, {Sinh, -89.42, -inf}, {Cosh, -inf, inf}, {Cosh, 0, 1}, {Cosh, 200, inf},
		{Asinh, -inf, -inf}, {Asinh, 3.4e38, 89.41515}, {Acosh, 1, 0}, {Acosh, 0.9999999, nan}, {Acosh, -5, nan}, {Acosh, -inf, nan}, {Acosh, inf, inf}, {Acosh, 3.4e38, 89.41515},
		{Atanh, 1, inf}, {Atanh, -1, -inf}, {Atanh, 1.5, nan}, {Atanh, -inf, nan},
		{Round, 2.5, 2}, {Round, -3.5, -4}, {Floor, -0.5, -1}, {Ceil, 0.5, 1}, {Relu, -3, 0}, {Reciprocal, 0, inf}, {Abs, -7, 7}, {Neg, 7, -7}, {Square, -3, 9},
	} {
		y := []float32{c.x}
		Generic.Unary(c.op, y, y)
		if !same(y[0], c.want) {
			t.Errorf("%s(%g) = %g (%08x), want %g", c.op, c.x, y[0], math.Float32bits(y[0]), c.want)
		}
	}
	for op := range numUnary {
		y := []float32{nan, -inf}
		Generic.UnaryWith(op, y, y, -1, 1)
		if compares := op == Threshold || op == Shrink; (y[0] == y[0]) != compares || compares && y[0] != 0 {
			t.Errorf("%s(NaN) = %g", op, y[0])
		}
		switch op {
		case Gelu, GeluTanh, Silu, HardSwish, Mish:
			if y[1] != 0 {
				t.Errorf("%s(-Inf) = %g, want 0", op, y[1])
			}
		}
	}
}

func TestAffineRows(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		const rows = 3
		x, scale, shift := newFloats(r, rows*n, off), newFloats(r, n, 1), newFloats(r, n, 2)
		got, want := newGuard[float32](rows*n, off+1, mark), make([]float32, rows*n)
		l.AffineRows(got.slice(), x, scale, shift, -3, 6)
		for i := range want {
			want[i] = clampOne(float32(x[i]*scale[i%n])+shift[i%n], -3, 6)
		}
		equalFloats(t, fmt.Sprintf("%s AffineRows %d", l, n), got.slice(), want, x)
		got.check(t, "AffineRows")
	})
}

// TestLongSlices has more elements than one call of assembly takes.
func TestLongSlices(t *testing.T) {
	const n = 2*callMax + 77
	r := rand.New(rand.NewPCG(23, 24))
	x, y := newFloats(r, n, 1), newFloats(r, n, 2)
	got, want := make([]float32, n), make([]float32, n)
	codes, wantCodes := make([]uint8, n), make([]uint8, n)
	for _, l := range fast(t) {
		for name, f := range map[string]func(l Level, dst []float32){
			"Binary":       func(l Level, dst []float32) { l.Binary(Mul, dst, x, y) },
			"BinaryScalar": func(l Level, dst []float32) { l.BinaryScalar(Max, dst, x, 0.5) },
			"ScalarBinary": func(l Level, dst []float32) { l.ScalarBinary(Div, dst, 3, y) },
			"Unary":        func(l Level, dst []float32) { l.Unary(Abs, dst, x) },
			"Dequantize":   func(l Level, dst []float32) { l.DequantizeU8(dst, codes, 0.5, 3) },
		} {
			f(l, got)
			f(Generic, want)
			equalFloats(t, l.String()+" "+name, got, want, x, y)
		}
		l.QuantizeU8(codes, x, 0.25, 7)
		Generic.QuantizeU8(wantCodes, x, 0.25, 7)
		equal(t, l.String(), codes, wantCodes)
	}
}

// TestUnaryRows holds the strips of a matrix against its rows, for widths around those of vectors; what
// lies between the rows must stay.
func TestUnaryRows(t *testing.T) {
	for op := range numUnary {
		for _, l := range fast(t) {
			r := rand.New(rand.NewPCG(4, uint64(op)))
			for _, cols := range []int{1, 3, 7, 8, 9, 15, 16, 17, 24, 32, 47, 64, 80} {
				rows, gap := r.IntN(12), r.IntN(3)*r.IntN(40)
				pitch := cols + gap
				p, q := float32(r.NormFloat64()), float32(r.NormFloat64())
				x := newGuard[float32](max(rows*pitch-gap, 0), r.IntN(5), mark)
				floats(r, x.slice())
				want := append([]float32(nil), x.slice()...)
				for i := range rows {
					row := want[i*pitch:][:cols]
					Generic.UnaryWith(op, row, row, p, q)
				}
				l.UnaryRows(op, x.slice(), rows, cols, pitch, p, q)
				what := fmt.Sprintf("%s %s %dx%d pitch %d", l, op, rows, cols, pitch)
				equalFloats(t, what, x.slice(), want)
				x.check(t, what)
			}
		}
	}
}

// TestAddRows holds the strips of two matrices against their rows.
func TestAddRows(t *testing.T) {
	for _, l := range fast(t) {
		r := rand.New(rand.NewPCG(5, 5))
		for _, cols := range []int{1, 3, 7, 8, 9, 15, 16, 17, 24, 32, 47, 64, 80} {
			rows, pitch, pitchY := 1+r.IntN(12), cols+r.IntN(3)*r.IntN(40), cols+r.IntN(2)*r.IntN(40)
			x := newGuard[float32]((rows-1)*pitch+cols, r.IntN(5), mark)
			floats(r, x.slice())
			y := newFloats(r, (rows-1)*pitchY+cols, r.IntN(5))
			want := append([]float32(nil), x.slice()...)
			for i := range rows {
				for j := range cols {
					want[i*pitch+j] += y[i*pitchY+j]
				}
			}
			l.AddRows(x.slice(), pitch, y, pitchY, rows, cols)
			what := fmt.Sprintf("%s %dx%d pitches %d and %d", l, rows, cols, pitch, pitchY)
			equalFloats(t, what, x.slice(), want)
			x.check(t, what)
		}
	}
}
