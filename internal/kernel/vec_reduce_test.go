package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestReduce(t *testing.T) {
	for op := range numReduce {
		eachCase(t, func(l Level, r *rand.Rand, n, off int) {
			x := newFloats(r, n, off)
			for range 3 {
				got, want := l.Reduce(op, x, 0.75), Generic.Reduce(op, x, 0.75)
				if !same(got, want) {
					t.Fatalf("%s %s of %d = %g, want %g: %v", l, op, n, got, want, x)
				}
				normal(r, x) // without NaN and infinities
			}
		})
	}
}

func normal(r *rand.Rand, x []float32) {
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
}

func TestReduceMeaning(t *testing.T) {
	x := make([]float32, 1000)
	normal(rand.New(rand.NewPCG(5, 6)), x)
	var sum, squares, abs, dev float64
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, f := range x {
		v := float64(f)
		sum, squares, abs, dev = sum+v, squares+v*v, abs+math.Abs(v), dev+(v-0.5)*(v-0.5)
		lo, hi = min(lo, v), max(hi, v)
	}
	want := [numReduce]float64{ReduceSum: sum, ReduceSumSquare: squares, ReduceL1: abs, ReduceDeviation: dev, ReduceMax: hi, ReduceMin: lo}
	for op := range numReduce {
		// 63 sums per lane and the fold lose at most some 70 halves of a unit of the sum of magnitudes.
		if got := float64(Generic.Reduce(op, x, 0.5)); math.Abs(got-want[op]) > 70*squares*math.Pow(2, -24) {
			t.Errorf("%s = %g, want %g", op, got, want[op])
		}
	}
}

func TestMinMax(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x := newFloats(r, n, off)
		lo, hi := l.MinMax(x)
		wantLo, wantHi := Generic.MinMax(x)
		if !same(lo, wantLo) || !same(hi, wantHi) {
			t.Fatalf("%s MinMax of %d = %g, %g, want %g, %g", l, n, lo, hi, wantLo, wantHi)
		}
	})
	for _, l := range Levels() {
		lo, hi := l.MinMax([]float32{float32(math.NaN()), float32(math.Copysign(0, -1))})
		if math.Float32bits(lo) != 0 || math.Float32bits(hi) != 0 {
			t.Errorf("%s: MinMax(NaN, -0) = %g, %g, want +0", l, lo, hi)
		}
	}
}

func TestNormRows(t *testing.T) {
	forms := []struct {
		name string
		run  func(l Level, dst, x, gamma, beta []float32)
	}{
		{"Softmax", func(l Level, dst, x, g, b []float32) { l.SoftmaxRows(dst, x, len(g)) }},
		{"LogSoftmax", func(l Level, dst, x, g, b []float32) { l.LogSoftmaxRows(dst, x, len(g)) }},
		{"LayerNorm", func(l Level, dst, x, g, b []float32) { l.LayerNormRows(dst, x, g, b, 1e-5) }},
		{"LayerNorm without beta", func(l Level, dst, x, g, b []float32) { l.LayerNormRows(dst, x, g, nil, 1e-5) }},
		{"RMSNorm", func(l Level, dst, x, g, b []float32) { l.RMSNormRows(dst, x, g, 1e-6) }},
	}
	for _, f := range forms {
		eachCase(t, func(l Level, r *rand.Rand, n, off int) {
			const rows = 3
			x, gamma, beta := newFloats(r, rows*n, off), newFloats(r, n, 1), newFloats(r, n, 2)
			normal(r, x[:2*n]) // one row of three is wild
			got, want := newGuard[float32](rows*n, off+1, mark), make([]float32, rows*n)
			f.run(l, got.slice(), x, gamma, beta)
			f.run(Generic, want, x, gamma, beta)
			what := fmt.Sprintf("%s %s %d", l, f.name, n)
			equalFloats(t, what, got.slice(), want, x)
			got.check(t, what)
			f.run(l, x, x, gamma, beta)
			equalFloats(t, what+" in place", x, want)
		})
	}
}

func TestNormMeaning(t *testing.T) {
	x := []float32{1, 2, 3, 4}
	ones, zeros := []float32{1, 1, 1, 1}, make([]float32, 4)
	y := make([]float32, 4)
	near := func(what string, want ...float64) {
		t.Helper()
		for i, w := range want {
			if math.Abs(float64(y[i])-w) > 2e-7*math.Max(1, math.Abs(w)) {
				t.Errorf("%s[%d] = %g, want %g", what, i, y[i], w)
			}
		}
	}
	Generic.SoftmaxRows(y, x, 4)
	near("softmax", 0.03205860328, 0.08714431874, 0.2368828181, 0.6439142599)
	Generic.LogSoftmaxRows(y, x, 4)
	near("log softmax", -3.4401896985, -2.4401896985, -1.4401896985, -0.4401896985)
	Generic.LayerNormRows(y, x, ones, zeros, 0)
	near("layer norm", -1.3416407865, -0.4472135955, 0.4472135955, 1.3416407865)
	Generic.RMSNormRows(y, x, ones, 0)
	near("rms norm", 0.36514837167, 0.73029674334, 1.095445115, 1.46059348668)
}

// TestSoftmaxOfSpecials has rows with NaN of any payload, or +∞, which make all of a row NaN, and rows of −∞ but for one.
func TestSoftmaxOfSpecials(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, l := range Levels() {
		for _, n := range []int{1, 3, 16, 37, 200} {
			for _, bits := range []uint32{0x7fc00000, 0x7fc000ff, 0xffc001ff, 0x7f800001, 0x7f8000fe, math.Float32bits(inf)} {
				x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
				for at := range n {
					for i := range x {
						x[i] = float32(i%7) - 90
					}
					x[at] = math.Float32frombits(bits)
					l.SoftmaxRows(y, x, n)
					l.LogSoftmaxRows(z, x, n)
					for i := range x {
						if y[i] == y[i] || z[i] == z[i] {
							t.Fatalf("%s: %08x at %d of %d: softmax %g, its logarithm %g at %d", l, bits, at, n, y[i], z[i], i)
						}
					}
				}
			}
			x, y := make([]float32, n), make([]float32, n)
			for i := range x {
				x[i] = -inf
			}
			x[n/2] = 1
			l.SoftmaxRows(y, x, n)
			for i, v := range y {
				if (i == n/2) != (v == 1) || i != n/2 && v != 0 {
					t.Fatalf("%s: %g at %d of %d beside −Inf", l, v, i, n)
				}
			}
		}
	}
}
