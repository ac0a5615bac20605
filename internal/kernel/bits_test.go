package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randSigns draws 1 and −1, in one of four trials all of one sign.
func randSigns(r *rand.Rand, n int) []int8 {
	s := make([]int8, n)
	one := r.IntN(8)
	for i := range s {
		switch {
		case one == 0:
			s[i] = 1
		case one == 1:
			s[i] = -1
		default:
			s[i] = int8(r.IntN(2)*2 - 1)
		}
	}
	return s
}

// signCodes writes −1 as 0 and 1 as some other code.
func signCodes(r *rand.Rand, x []int8) []uint8 {
	c := make([]uint8, len(x))
	for i, v := range x {
		if v > 0 {
			c[i] = uint8(1 + r.IntN(255))
		}
	}
	return c
}

func TestSigns(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(47, 48))
		for n := range 140 {
			x := randFloats(r, n+3)[3:]
			for i, v := range []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
				if i < n {
					x[r.IntN(n)] = v
				}
			}
			got := make([]uint8, n+1)
			got[n] = 77
			l.Signs(got[:n], x)
			for i, v := range x {
				want := uint8(2)
				if v < 0 {
					want = 0
				}
				if got[i] != want || got[n] != 77 {
					t.Fatalf("%d elements: %g gives %d, guard %d", n, v, got[i], got[n])
				}
			}
		}
	})
}

func TestGemmBits(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(41, 42))
		for kind := range intKinds {
			for _, s := range gemmShapes {
				checkGemmBits(t, l, r, kind, s[0], s[1], s[2])
			}
			for _, k := range []int{31, 32, 33, 64, 250, 256, 505, 1000, 2311} {
				checkGemmBits(t, l, r, kind, 7, 70, k)
			}
		}
	})
}

// TestGemmManyBits has more channels than counts of 16 bits hold.
func TestGemmManyBits(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(45, 46))
		for _, k := range []int{16376, 16384, 40000, 70001} {
			checkGemmBits(t, l, r, "i32", 3, 17, k)
		}
	})
}

func checkGemmBits(t *testing.T, l Level, r *rand.Rand, kind string, m, n, k int) {
	t.Helper()
	x, w := randSigns(r, m*k), randSigns(r, n*k)
	out := newIntOut(r, kind, m, n, k)
	o := Order{N: 1, K: n}
	if r.IntN(2) == 0 {
		o = Order{N: k, K: 1}
	}
	p := l.PackBits(w, n, k, 1, o)
	a := make([]uint8, m*p.RowBytes())
	p.PackRows(a, signCodes(r, x), k, m)
	for _, part := range p.Split(m, 1+r.IntN(3)) {
		p.Gemm(a, out, part)
	}
	checkInt(t, out, m, n, func(i, j int) (v int32) {
		for q := range k {
			v += int32(x[i*k+q]) * int32(w[j*o.N+q*o.K])
		}
		return v
	}, fmt.Sprintf("%s %dx%dx%d", kind, m, n, k))
}

// TestConvBits pads with numbers that are neither sign.
func TestConvBits(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(43, 44))
		for i := range 120 {
			c, n := 1+r.IntN(70), 1+r.IntN(80)
			pitch := c + r.IntN(3)
			w := randWindow(r, pitch)
			x := randSigns(r, w.H*w.W*pitch)
			taps, m := w.KH*w.KW, w.OH*w.OW
			wt := randSigns(r, n*taps*c)
			p := l.PackBits(wt, n, c, taps, Order{N: taps * c, Tap: 1, K: taps})
			a := make([]uint8, w.H*w.W*p.RowBytes())
			p.PackRows(a, signCodes(r, x), pitch, w.H*w.W)
			packed := w
			packed.Pitch = p.RowBytes()
			kind := []string{"u8", "s8", "i32", "f32"}[i%4]
			out := newIntOut(r, kind, m, n, c*taps)
			ix := packed.Indirect()
			for _, part := range p.Split(m, 1+r.IntN(3)) {
				p.Conv(a, ix, out, part)
			}
			in := seen(w, x, 0, c)
			checkInt(t, out, m, n, func(i, j int) (v int32) {
				for tap := range taps {
					for q := range c {
						v += int32(in[(i*taps+tap)*c+q]) * int32(wt[j*taps*c+q*taps+tap])
					}
				}
				return v
			}, fmt.Sprintf("%s %+v C=%d", kind, w, c))
		}
	})
}

// TestFastBits has tiles take what keeps them busy.
func TestFastBits(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		for _, c := range []struct {
			m, n, k, taps int
			inPlace, want bool
		}{
			{196, 256, 256, 9, true, l < AMX},
			{196, 256, 256, 9, false, true},
			{1024, 1024, 1024, 1, true, l < AMX},
			{1, 4096, 4096, 1, true, true},
			{64, 1024, 4096, 1, true, true},
			{64, 64, 64, 9, true, true},
			{196, 256, 32, 9, false, l == Generic},
		} {
			if got := l.FastBits(c.m, c.n, c.k, c.taps, c.inPlace); got != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
	})
}

func BenchmarkConvBits(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range convShapes {
			w := square(s[0], s[1], s[3], s[4])
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				taps, m := w.KH*w.KW, w.OH*w.OW
				r := rand.New(rand.NewPCG(1, 2))
				p := l.PackBits(randSigns(r, s[2]*taps*s[1]), s[2], s[1], taps, Order{N: taps * s[1], Tap: s[1], K: 1})
				x, a := make([]uint8, w.H*w.W*w.Pitch), make([]uint8, w.H*w.W*p.RowBytes())
				for i := range x {
					x[i] = uint8(r.IntN(2))
				}
				packed := w
				packed.Pitch = p.RowBytes()
				ix := packed.Indirect()
				out := &OutU8S8{F32: make([]float32, m*s[2]), Ldc: s[2], Bias: make([]int32, s[2]), Scale: make([]float32, s[2])}
				gops(b, m, s[2], taps*s[1], func() {
					p.PackRows(a, x, s[1], w.H*w.W)
					p.Conv(a, ix, out, p.All(m))
				})
			})
		}
	}
}
