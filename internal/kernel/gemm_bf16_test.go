package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randBF16 holds numbers of many sizes, and zeros.
func randBF16(r *rand.Rand, n int) []uint16 {
	s := make([]uint16, n)
	for i := range s {
		if r.UintN(8) > 0 {
			s[i] = encodeBF16(float32(r.NormFloat64() * math.Exp(2*r.NormFloat64())))
		}
	}
	return s[:n:n]
}

func TestGemmBF16(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(35, 36))
		for _, s := range gemmShapes {
			checkGemmBF16(t, l, r, s[0], s[1], s[2])
		}
		checkGemmBF16(t, l, r, 70, 130, 1000)
		checkGemmBF16(t, l, r, 40, 70, 1024)
	})
}

// checkGemmBF16 holds each element to the rounding of a sum of exact products.
// What lies between the rows is infinite, and must not count.
func checkGemmBF16(t *testing.T, l Level, r *rand.Rand, m, n, k int) {
	t.Helper()
	lda, ldc, ldadd := k+r.IntN(3), n+r.IntN(3), n+r.IntN(3)
	a, w := randBF16(r, (m-1)*lda+k), randBF16(r, n*k)
	for i := range a {
		if i%lda >= k {
			a[i] = 0x7f80
		}
	}
	out := &OutF32{C: make([]float32, m*ldc+70), Ldc: ldc}
	fill(out.C, guardF32)
	if r.IntN(2) == 0 {
		out.Bias = randFloats(r, n)
	}
	if r.IntN(2) == 0 {
		out.Add, out.LdAdd = randFloats(r, m*ldadd), ldadd
	}
	if r.IntN(2) == 0 {
		out.Min, out.Max = -1, 2
	}
	o := Order{N: 1, K: n}
	if r.IntN(2) == 0 {
		o = Order{N: k, K: 1}
	}
	p := l.PackBF16(w, n, k, 1, o)
	p.Gemm(a, lda, out, p.All(m))
	cols, what := columns(w, n, k, o), fmt.Sprintf("%dx%dx%d", m, n, k)
	for i := range m {
		for j := range n {
			want, mag := 0.0, 4.0
			if out.Bias != nil {
				want += float64(out.Bias[j])
			}
			for q := range k {
				v := float64(decodeBF16(a[i*lda+q])) * float64(decodeBF16(cols[j*k+q]))
				want, mag = want+v, mag+math.Abs(v)
			}
			if out.Add != nil {
				want += float64(out.Add[i*ldadd+j])
			}
			if out.Min != out.Max {
				want = min(max(want, -1), 2)
			}
			sameF32(t, out.C[i*ldc+j], want, mag, k, what, i, j)
		}
	}
	checkGuard(t, out.C, m, n, ldc, guardF32)
}

func TestConvBF16(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(37, 38))
		for range 60 {
			checkConvBF16(t, l, r, 1+r.IntN(40), 1+r.IntN(80))
		}
	})
}

func checkConvBF16(t *testing.T, l Level, r *rand.Rand, c, n int) {
	t.Helper()
	w := randWindow(r, c+r.IntN(3))
	x := randBF16(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c]
	taps, m := w.KH*w.KW, w.OH*w.OW
	wt := randBF16(r, n*taps*c)
	p := l.PackBF16(wt, n, c, taps, Order{N: taps * c, Tap: c, K: 1})
	out := &OutF32{C: make([]float32, m*n), Ldc: n}
	p.Conv(x, w.Indirect(), out, p.All(m))
	in, what := seen(w, x, 0, c), fmt.Sprintf("%+v", w)
	for i := range m {
		for j := range n {
			sum, mag := 0.0, 0.0
			for q := range taps * c {
				v := float64(decodeBF16(in[i*taps*c+q])) * float64(decodeBF16(wt[j*taps*c+q]))
				sum, mag = sum+v, mag+math.Abs(v)
			}
			sameF32(t, out.C[i*n+j], sum, mag, taps*c, what, i, j)
		}
	}
}

// TestSpecialBF16 holds infinities, NaN and sums that overflow.
func TestSpecialBF16(t *testing.T) {
	const inf, nan, one, most = 0x7f80, 0x7fc0, 0x3f80, 0x7f7f
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackBF16([]uint16{one, one, most, 0}, 1, 4, 1, Order{N: 4, K: 1})
		a := []uint16{inf, one, 0, 0, nan, 0, 0, 0, 0, 0, most, 0, one, one, 0, inf, one, one, 0, one}
		out := make([]float32, 5)
		p.Gemm(a, 4, &OutF32{C: out, Ldc: 1}, p.All(5))
		for i, ok := range []bool{math.IsInf(float64(out[0]), 1), out[1] != out[1], math.IsInf(float64(out[2]), 1), out[3] != out[3], out[4] == 2} {
			if !ok {
				t.Errorf("row %d gives %g", i, out[i])
			}
		}
	})
}

// TestSubnormalBF16 holds operands and sums of products that are subnormal, and a bias: they count as zero.
func TestSubnormalBF16(t *testing.T) {
	const one, tiny, small, large = 0x3f80, 0x0001, 0x0080, 0x7f00 // 1, 2⁻¹³³, 2⁻¹²⁶, 2¹²⁷
	const half = 0x3f00
	eachLevel(t, func(t *testing.T, l Level) {
		const n, k = 16, 64
		w := make([]uint16, n*k)
		for j := range n {
			w[j*k], w[j*k+1], w[j*k+2], w[j*k+3] = large, tiny, half, small
		}
		p := l.PackBF16(w, n, k, 1, Order{N: k, K: 1})
		rows := [][4]uint16{{tiny}, {0, large}, {0, 0, small}, {0, 0, 0, half}, {0, 0, 0, one}, {small}}
		a := make([]uint16, len(rows)*k)
		for i, r := range rows {
			copy(a[i*k:], r[:])
		}
		out := &OutF32{C: make([]float32, len(rows)*n), Ldc: n}
		p.Gemm(a, k, out, p.All(len(rows)))
		for i, want := range []float32{0, 0, 0, 0, 0x1p-126, 2} {
			if got := out.C[i*n]; got != want {
				t.Errorf("row %d gives %g, want %g", i, got, want)
			}
		}
		out.Bias = make([]float32, n)
		fill(out.Bias, 0x1p-130)
		p.Gemm(a, k, out, p.All(1))
		if got := out.C[0]; got != 0 {
			t.Errorf("a subnormal bias gives %g", got)
		}
	})
}

func TestEmptyBF16(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		out := []float32{9, 9}
		p := l.PackBF16(nil, 2, 0, 1, Order{N: 1, K: 2})
		p.Gemm(nil, 0, &OutF32{C: out, Ldc: 2, Bias: []float32{3, 4}}, p.All(1))
		sameBits(t, out, []float32{3, 4}, "an empty sum")
	})
}
