package kernel

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// TestPowAccuracy draws bases and exponents of all sizes whose powers are finite, and some that are not.
func TestPowAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	exponents := []float32{1.5, 0.75, 4, 2.2, -2, -0.5, 1.0 / 3, 0.1, 3, 10, -7, 0.9999999, 1.0000001}
	var worst float64
	for i := range 1 << 20 {
		x := math.Float32frombits(r.Uint32() &^ signBit)
		y := exponents[i%len(exponents)]
		switch i % 3 {
		case 1:
			x = float32(math.Exp(r.NormFloat64()))
			y = float32(r.NormFloat64() * 20)
		case 2:
			y = float32((r.Float64()*2 - 1) * 150 / math.Log2(float64(x)))
		}
		if r.IntN(8) == 0 {
			x, y = -x, float32(math.Round(float64(y)))
		}
		want := math.Pow(float64(x), float64(y))
		if u, _ := distance(powOne(x, y), want); u > worst && (x == x || y != 0) {
			if worst = u; u > 0.54 {
				t.Fatalf("%g^%g = %g, want %g: off by %.3f ulp", x, y, powOne(x, y), want, u)
			}
		}
	}
	t.Logf("%.3f ulp", worst)
}

// TestPowLimits goes over all pairs of the numbers where powers turn.
func TestPowLimits(t *testing.T) {
	turns := append([]float32{2, -2, 2.5, 3, -3, 5, 1.0 / 3, 16777215, -16777215, 16777217, 0.99999994, 1.0000001, -1.0000001, 126, -126, 127, 149, -149, 150}, extremes...)
	for _, x := range turns {
		for _, y := range turns {
			got, want := powOne(x, y), float32(math.Pow(float64(x), float64(y)))
			u, _ := distance(got, math.Pow(float64(x), float64(y)))
			if math.Signbit(float64(got)) != math.Signbit(float64(want)) && want == want || u > 0.54 || u != u {
				t.Errorf("%g^%g = %g, want %g", x, y, got, want)
			}
		}
	}
}

// TestPowBits holds all levels to one hash, on bases of all sizes.
func TestPowBits(t *testing.T) {
	var x, y, z [4096]float32
	r := rand.New(rand.NewPCG(33, 34))
	for i := range x {
		x[i], y[i] = math.Float32frombits(r.Uint32()), float32(r.NormFloat64()*math.Exp(r.NormFloat64()*3))
		if i%5 == 0 {
			y[i] = float32(math.Round(float64(y[i])))
		}
	}
	for _, l := range Levels() {
		h := fnv.New32a()
		l.Binary(Pow, z[:], x[:], y[:])
		hashFloats(h, z[:])
		if got := h.Sum32(); got != 0x66a05f97 {
			t.Errorf("%s: hash %#08x", l, got)
		}
	}
}
