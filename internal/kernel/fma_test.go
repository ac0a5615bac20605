package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA rounds the exact x·y + z once.
func exactFMA(x, y, z float32) float32 {
	f := func(v float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(v)) }
	s := f(x)
	s.Mul(s, f(y)).Add(s, f(z))
	r, _ := s.Float32()
	return r
}

func TestFMA32(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range [][4]float32{
		{inf, 1, 1, inf}, {inf, 1, -inf, nan}, {inf, 0, 1, nan}, {0, 0, nan, nan}, {1, 2, inf, inf}, {math.MaxFloat32, 2, 0, inf}, {math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
	} {
		if got := fma32(c[0], c[1], c[2]); got != c[3] && (got == got || c[3] == c[3]) {
			t.Errorf("fma(%g, %g, %g) = %g, want %g", c[0], c[1], c[2], got, c[3])
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	ties := 0
	for i := range 300_000 {
		x, y := math.Float32frombits(rng.Uint32()), math.Float32frombits(rng.Uint32())
		z := math.Float32frombits(rng.Uint32())
		switch i % 4 {
		case 0: // near one another
			x, y, z = float32(rng.NormFloat64()), float32(rng.NormFloat64()), float32(rng.NormFloat64())
		case 1: // half of z's last bit, but for too little to be seen in float64
			a := float32(rng.IntN(256)) * 0x1p-23
			x, y, z = 1+a, (1-a)*0x1p-24, math.Float32frombits(0x3f800000|rng.Uint32()&0x807fffff)
		case 2: // subnormal results
			x, y, z = x*0x1p-60, math.Float32frombits(0x20000000|rng.Uint32()&0x7fffff), math.Float32frombits(rng.Uint32()&0x807fffff)
		}
		if x-x != 0 || y-y != 0 || z-z != 0 {
			continue
		}
		if s := float64(x)*float64(y) + float64(z); math.Float64bits(s)&tail == half {
			ties++
		}
		got, want := fma32(x, y, z), exactFMA(x, y, z)
		if math.Float32bits(got) != math.Float32bits(want) && got != want {
			t.Fatalf("fma(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
	}
	if ties < 100 {
		t.Errorf("only %d sums were in the middle of two numbers", ties)
	}
}

// TestFloatProductsAgree multiplies and convolves at every level: all bits are those of plain Go.
func TestFloatProductsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	normal := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	for _, s := range []struct{ m, n, k int }{{1, 1, 1}, {3, 17, 5}, {8, 33, 64}, {13, 100, 129}, {50, 48, 300}} {
		a, w, bias := normal(s.m*s.k), normal(s.n*s.k), normal(s.n)
		var want []float32
		for _, l := range Levels() {
			p := l.PackF32(w, s.n, s.k, 1, Order{N: s.k, K: 1})
			c := make([]float32, s.m*s.n)
			p.Gemm(a, s.k, &OutF32{C: c, Ldc: s.n, Bias: bias}, Range{M0: 0, M1: s.m, P0: 0, P1: len(p.panels)})
			if l == Generic {
				want = c
			}
			for i := range c {
				if math.Float32bits(c[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%v, %v: element %d is %x, in plain Go %x", l, s, i, c[i], want[i])
				}
			}
		}
	}
}
