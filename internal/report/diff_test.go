package report

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"lowbit/internal/testdata"
)

func init() { testdata.Seed() }

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name                 string
		x, y                 []float32
		sqnr, cosine, maxAbs float64
		broken               int
	}{
		{"empty", nil, nil, Exact, 1, 0, 0},
		{"equal", []float32{1, -2, 0}, []float32{1, -2, 0}, Exact, 1, 0, 0},
		{"a tenth of the amplitude", []float32{10, 0}, []float32{10, 1}, 20, 10 / math.Sqrt(101), 1, 0},
		{"opposite", []float32{1, 2}, []float32{-1, -2}, 10 * math.Log10(0.25), -1, 4, 0},
		{"noise without a signal", []float32{0, 0}, []float32{1, 0}, -Exact, 0, 1, 0},
		{"the same infinities", []float32{inf, -inf, 1}, []float32{inf, -inf, 1}, Exact, 1, 0, 0},
		{"the same infinities, and noise", []float32{inf, 10}, []float32{inf, 9}, 20, 1, 1, 0},
		{"NaN in both", []float32{nan, 1}, []float32{nan, 1}, Exact, 1, 0, 0},
		{"NaN in one", []float32{1, 1}, []float32{nan, 1}, -Exact, 0, Unbounded, 1},
		{"infinity in one", []float32{inf, 1}, []float32{3, 1}, -Exact, 0, Unbounded, 1},
		{"infinities of both signs", []float32{inf, 1}, []float32{-inf, 1}, -Exact, 0, Unbounded, 1},
		{"minus zero", []float32{0, 1}, []float32{float32(math.Copysign(0, -1)), 1}, Exact, 1, 0, 0},
		{"the largest numbers", []float32{math.MaxFloat32}, []float32{-math.MaxFloat32}, 10 * math.Log10(0.25), -1, 2 * math.MaxFloat32, 0},
	} {
		var d Diff
		d.Add(c.x, c.y)
		if math.Abs(d.SQNR()-c.sqnr) > 1e-9 || math.Abs(d.Cosine()-c.cosine) > 1e-12 || d.MaxAbs() != c.maxAbs || d.broken != c.broken || d.Len() != len(c.x) {
			t.Errorf("%s: %v dB, cosine %v, largest difference %v, %d broken", c.name, d.SQNR(), d.Cosine(), d.MaxAbs(), d.broken)
		}
	}
}

func TestLargest(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12.34567: "12.35", Unbounded: "infinite"} {
		if got := Largest(v); got != want {
			t.Errorf("%g is written %q, not %q", v, got, want)
		}
	}
}

// TestDiffNumbers holds that whatever is compared can be written as JSON, and that parts merge.
func TestDiffNumbers(t *testing.T) {
	number := rapid.Map(rapid.Uint32(), math.Float32frombits)
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(number, 0, 20).Draw(t, "x")
		y := rapid.SliceOfN(number, len(x), len(x)).Draw(t, "y")
		cut := rapid.IntRange(0, len(x)).Draw(t, "cut")
		var whole, a, b Diff
		whole.Add(x, y)
		a.Add(x[:cut], y[:cut])
		b.Add(x[cut:], y[cut:])
		a.Merge(b)
		if a.Len() != whole.Len() || a.broken != whole.broken || a.MaxAbs() != whole.MaxAbs() || math.Abs(a.SQNR()-whole.SQNR()) > 1e-6 {
			t.Fatalf("parts: %+v, whole: %+v", a, whole)
		}
		if _, err := json.Marshal([]float64{whole.SQNR(), whole.Cosine(), whole.MaxAbs()}); err != nil {
			t.Fatal(err)
		}
		if s := whole.SQNR(); s < -Exact || s > Exact {
			t.Fatalf("%v dB", s)
		}
	})
}

func TestArgMax(t *testing.T) {
	for _, c := range []struct {
		x    []float32
		want int
	}{{nil, -1}, {[]float32{1, 3, 3, 2}, 1}, {[]float32{-inf, -inf}, 0}, {[]float32{1, nan, 5}, -1}, {[]float32{1, inf}, 1}} {
		if got := ArgMax(c.x); got != c.want {
			t.Errorf("%v: %d, want %d", c.x, got, c.want)
		}
	}
	x := []float32{5, 1, 5, 3}
	for i, ranks := range [][]bool{{true, true}, {false, false}, {false, true}, {false, false}} {
		for k, want := range ranks {
			if InTop(x, i, k+1) != want {
				t.Errorf("element %d among the first %d: %v", i, k+1, !want)
			}
		}
	}
	if InTop(x, -1, 9) || InTop(x, 4, 9) || InTop([]float32{nan}, 0, 1) || !InTop([]float64{1, 2}, 1, 1) {
		t.Error("elements that are not there")
	}
}
