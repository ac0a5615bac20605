package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestScan(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x := newFloats(r, n, off)
		if got, want := l.Scan(x), Generic.Scan(x); got != want || math.Float32bits(got.Min) != math.Float32bits(want.Min) {
			t.Fatalf("%s Scan of %d = %+v, want %+v", l, n, got, want)
		}
	})
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, l := range Levels() {
		got := l.Scan([]float32{0, 1, -2, inf, nan, -inf, float32(math.Copysign(0, -1)), nan, nan})
		if want := (Scan{Min: -2, Max: 1, Zeros: 2, Finite: 4, NaNs: 3, Infs: 2}); got != want {
			t.Errorf("%s: %+v, want %+v", l, got, want)
		}
		if got := l.Scan(nil); got.Finite != 0 || !math.IsInf(float64(got.Min), 1) || !math.IsInf(float64(got.Max), -1) {
			t.Errorf("%s: nothing gives %+v", l, got)
		}
	}
}

func TestHist(t *testing.T) {
	const bins = 64
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x := newFloats(r, n, off)
		for _, exp := range []int{-126, -40, -4, 0, 126} {
			var got, want [2][bins]uint64
			out := l.HistF32(got[0][:], got[1][:], x, exp)
			wantOut := Generic.HistF32(want[0][:], want[1][:], x, exp)
			if out != wantOut || got != want {
				t.Fatalf("%s HistF32 of %d, exponent %d: %d outside, want %d", l, n, exp, out, wantOut)
			}
		}
	})
	for _, l := range Levels() {
		var neg, pos [4]uint64
		x := []float32{0.5, 0.49999997, 1.9999999, 2, -0.75, 0, 1e-45, -1e-45, float32(math.NaN()), float32(math.Inf(1))}
		if out := l.HistF32(neg[:], pos[:], x, -1); out != 2 || pos != [4]uint64{2, 1, 0, 1} || neg != [4]uint64{1, 1} {
			t.Errorf("%s: neg %v pos %v outside %d", l, neg, pos, out)
		}
	}
}

// TestHistNests: bins of twice the width hold the counts of two neighbours.
func TestHistNests(t *testing.T) {
	x := make([]float32, 5000)
	normal(rand.New(rand.NewPCG(19, 20)), x)
	for _, l := range Levels() {
		var fine, wide [2][256]uint64
		l.HistF32(fine[0][:], fine[1][:], x, -5)
		l.HistF32(wide[0][:], wide[1][:], x, -4)
		for s := range fine {
			for i := range 128 {
				if fine[s][2*i]+fine[s][2*i+1] != wide[s][i] {
					t.Fatalf("%s: bin %d: %d and %d, want %d", l, i, fine[s][2*i], fine[s][2*i+1], wide[s][i])
				}
			}
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	x := normals(1 << 18)
	relu := make([]float32, len(x))
	Generic.Unary(Relu, relu, x)
	neg, pos := make([]uint64, 4096), make([]uint64, 4096)
	for name, x := range map[string][]float32{"normal": x, "relu": relu} {
		benchLevels(b, "Scan/"+name, len(x), func(l Level) { l.Scan(x) })
		benchLevels(b, "Hist/"+name, len(x), func(l Level) { l.HistF32(neg, pos, x, -9) })
	}
}
