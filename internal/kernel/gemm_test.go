package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// eachLevel runs f once for every instruction set of this machine.
func eachLevel(t *testing.T, f func(t *testing.T, l Level)) {
	for _, l := range Levels() {
		t.Run(l.String(), func(t *testing.T) { f(t, l) })
	}
}

func randFloats(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// randU8 holds many extremes; its capacity is its length, so that a load
// behind it would be behind the allocation in the worst case.
func randU8(r *rand.Rand, n int) []uint8 {
	s := make([]uint8, n)
	for i := range s {
		s[i] = uint8(r.UintN(256))
		if r.UintN(3) == 0 {
			s[i] = 255
		}
	}
	return s[:n:n]
}

func randS8(r *rand.Rand, n int) []int8 {
	s := make([]int8, n)
	for i := range s {
		s[i] = int8(r.UintN(256))
		if r.UintN(3) == 0 {
			s[i] = -128
		}
	}
	return s
}

// The dimensions round the tile sizes, paired so that every tail meets every
// other.
var gemmShapes = func() (s [][3]int) {
	for _, n := range []int{1, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 63, 64, 65, 79, 80, 81, 130} {
		s = append(s, [3]int{5, n, 13}, [3]int{13, n, 4})
	}
	for m := 1; m <= 27; m++ {
		s = append(s, [3]int{m, 64, 6}, [3]int{m, 40, 3}, [3]int{m, 24, 19}, [3]int{m, 12, 5})
	}
	for k := 1; k <= 37; k++ {
		s = append(s, [3]int{7, 70, k}, [3]int{3, 10, k})
	}
	return s
}()

// sameF32 fails where got is further from want than the rounding of a sum of k
// products of magnitude mag allows.
func sameF32(t *testing.T, got float32, want, mag float64, k int, what string, i, j int) {
	t.Helper()
	if bound := float64(k+4) * 0x1p-24 * mag; math.Abs(float64(got)-want) > bound || math.IsNaN(float64(got)) {
		t.Fatalf("%s at (%d,%d): got %g, want %g within %g", what, i, j, got, want, bound)
	}
}

const guardF32 = float32(-12345.5)

func TestGemmF32(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, s := range gemmShapes {
			checkGemmF32(t, l, r, s[0], s[1], s[2])
		}
	})
}

// TestGemmF32Pages has rows one page apart, which are copied.
func TestGemmF32Pages(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(25, 26))
		checkGemmF32Pitch(t, l, r, 150, 200, 1000, 1024)
		checkGemmF32Pitch(t, l, r, 7, 250, 1024, 1024)
	})
}

func checkGemmF32(t *testing.T, l Level, r *rand.Rand, m, n, k int) {
	t.Helper()
	checkGemmF32Pitch(t, l, r, m, n, k, k+r.IntN(3))
}

func checkGemmF32Pitch(t *testing.T, l Level, r *rand.Rand, m, n, k, lda int) {
	t.Helper()
	ldc, ldadd := n+r.IntN(3), n+r.IntN(3)
	skew := r.IntN(3)
	a, w := randFloats(r, skew+m*lda)[skew:][:(m-1)*lda+k], randFloats(r, n*k)
	out := &OutF32{C: make([]float32, m*ldc+8), Ldc: ldc}
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
	p := l.PackF32(w, n, k, 1, o)
	p.Gemm(a, lda, out, p.All(m))
	cols, what := columns(w, n, k, o), fmt.Sprintf("%dx%dx%d", m, n, k)
	for i := range m {
		for j := range n {
			want, mag := 0.0, 0.0
			if out.Bias != nil {
				want += float64(out.Bias[j])
			}
			for q := range k {
				v := float64(a[i*lda+q]) * float64(cols[j*k+q])
				want, mag = want+v, mag+math.Abs(v)
			}
			if out.Add != nil {
				want += float64(out.Add[i*ldadd+j])
			}
			if out.Min != out.Max {
				want = min(max(want, -1), 2)
			}
			sameF32(t, out.C[i*ldc+j], want, mag+4, k, what, i, j)
		}
	}
	checkGuard(t, out.C, m, n, ldc, guardF32)
}

// checkGuard fails where an element outside of m rows by n columns changed.
func checkGuard[T comparable](t *testing.T, c []T, m, n, ldc int, guard T) {
	t.Helper()
	for i, v := range c {
		if (i/ldc >= m || i%ldc >= n) && v != guard {
			t.Fatalf("%d rows by %d columns, pitch %d: element %d was overwritten with %v", m, n, ldc, i, v)
		}
	}
}

func TestGemmF32NaN(t *testing.T) {
	nan := float32(math.NaN())
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackF32([]float32{1, 1}, 2, 1, 1, Order{N: 1, K: 2})
		out := &OutF32{C: make([]float32, 4), Ldc: 2, Min: 0, Max: 6}
		p.Gemm([]float32{nan, 9}, 1, out, p.All(2))
		if out.C[0] == out.C[0] || out.C[1] == out.C[1] || out.C[2] != 6 || out.C[3] != 6 {
			t.Fatalf("got %v, want NaN NaN 6 6", out.C)
		}
	})
}

// TestRepack checks every order of a weight against the first.
func TestRepack(t *testing.T) {
	const m, n, k, taps = 3, 75, 21, 4
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(23, 24))
		rowMajor := randFloats(r, n*taps*k) // (N, tap, K)
		first := l.PackF32(rowMajor, n, k, taps, Order{N: taps * k, Tap: k, K: 1})
		for name, o := range map[string]Order{
			"tap N K": {Tap: n * k, N: k, K: 1}, "tap K N": {Tap: n * k, K: n, N: 1}, "N K tap": {N: k * taps, K: taps, Tap: 1},
		} {
			w := make([]float32, len(rowMajor))
			for i, v := range rowMajor {
				w[i/(taps*k)*o.N+i/k%taps*o.Tap+i%k*o.K] = v
			}
			p := l.PackF32(make([]float32, len(w)), n, k, taps, o)
			p.Repack(w, o)
			sameBits(t, p.data, first.data, name+", repacked")
			sameBits(t, l.PackF32(w, n, k, taps, o).data, first.data, name+", packed")
		}
	})
}

// intKinds makes the four forms of an integer output.
var intKinds = map[string]func(n int) *OutU8S8{
	"u8":  func(n int) *OutU8S8 { return &OutU8S8{U8: make([]uint8, n), Zero: 7, Min: 3, Max: 250} },
	"s8":  func(n int) *OutU8S8 { return &OutU8S8{S8: make([]int8, n), Zero: -5, Min: -127, Max: 100} },
	"i32": func(n int) *OutU8S8 { return &OutU8S8{I32: make([]int32, n)} },
	"f32": func(n int) *OutU8S8 { return &OutU8S8{F32: make([]float32, n)} },
}

// newIntOut makes an output of m rows by n columns with random factors, each
// element a guard.
func newIntOut(r *rand.Rand, kind string, m, n, k int) *OutU8S8 {
	ld := n + r.IntN(3)
	out := intKinds[kind](m*ld + 70)
	out.Ldc = ld
	if out.U8 != nil && r.IntN(2) == 0 {
		out.Min, out.Max = 0, 255
	}
	fill(out.U8, 0xA5)
	fill(out.S8, 0x5A)
	fill(out.I32, 0x5A5A5A5A)
	fill(out.F32, guardF32)
	if r.IntN(4) > 0 {
		out.Bias = make([]int32, n)
		for i := range out.Bias {
			out.Bias[i] = int32(r.IntN(60000) - 30000)
		}
	}
	if kind != "i32" {
		out.Scale = make([]float32, n)
		for i := range out.Scale {
			out.Scale[i] = float32(math.Exp(r.NormFloat64()*3)) / float32(100*k+1)
			if r.IntN(20) == 0 {
				out.Scale[i] = 1e6 // a product beyond int32
			}
		}
	}
	if kind == "f32" && r.IntN(2) == 0 {
		out.Shift = randFloats(r, n)
	}
	return out
}

// checkInt compares every element and guard with the stores of the reference.
func checkInt(t *testing.T, out *OutU8S8, m, n int, acc func(i, j int) int32, what string) {
	t.Helper()
	ref := *out
	ref.U8, ref.S8, ref.I32, ref.F32 = cloneWith(out.U8, 0xA5), cloneWith(out.S8, 0x5A), cloneWith(out.I32, 0x5A5A5A5A), cloneWith(out.F32, guardF32)
	for i := range m {
		for j := range n {
			v := acc(i, j)
			if out.Bias != nil {
				v += out.Bias[j]
			}
			ref.store([]int32{v}, i, j)
		}
	}
	sameBits(t, out.U8, ref.U8, what)
	sameBits(t, out.S8, ref.S8, what)
	sameBits(t, out.I32, ref.I32, what)
	sameBits(t, out.F32, ref.F32, what)
}

func cloneWith[T any](s []T, v T) []T {
	if s == nil {
		return nil
	}
	c := make([]T, len(s))
	fill(c, v)
	return c
}

func sameBits[T comparable](t *testing.T, got, want []T, what string) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestGemmU8S8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(3, 4))
		for kind := range intKinds {
			for _, s := range gemmShapes {
				checkGemmU8S8(t, l, r, kind, s[0], s[1], s[2])
			}
		}
	})
}

// columns lays weights out column after column, as references read them.
func columns[T any](w []T, n, k int, o Order) []T {
	y := make([]T, 0, n*k)
	for j := range n {
		for q := range k {
			y = append(y, w[j*o.N+q*o.K])
		}
	}
	return y
}

func checkGemmU8S8(t *testing.T, l Level, r *rand.Rand, kind string, m, n, k int) {
	t.Helper()
	lda, skew := k+r.IntN(3), r.IntN(3)
	a, w := randU8(r, skew+m*lda)[skew:][:(m-1)*lda+k], randS8(r, n*k)
	out := newIntOut(r, kind, m, n, k)
	o := Order{N: 1, K: n}
	if r.IntN(2) == 0 {
		o = Order{N: k, K: 1}
	}
	p := l.PackU8S8(w, n, k, 1, o)
	p.Gemm(a, lda, out, p.All(m))
	cols := columns(w, n, k, o)
	checkInt(t, out, m, n, func(i, j int) (v int32) {
		row, col := a[i*lda:][:k], cols[j*k:][:k]
		for q, x := range row {
			v += int32(x) * int32(col[q])
		}
		return v
	}, fmt.Sprintf("%s %dx%dx%d", kind, m, n, k))
}

// TestGemmFar has more results than stay near: rows take turns in blocks, and the lines
// of results are fetched.
func TestGemmFar(t *testing.T) {
	const m, n = 250, 1090
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(29, 30))
		checkGemmU8S8(t, l, r, "i32", m, n, 517)
		checkGemmU8S8(t, l, r, "f32", m, n, 21)
		checkGemmF32(t, l, r, m, n, 131)
	})
}

// TestGemmExtremes holds the greatest products: 255 times -128 in every place.
func TestGemmExtremes(t *testing.T) {
	const m, n, k = 13, 70, 1000
	a, w := make([]uint8, m*k), make([]int8, n*k)
	fill(a, 255)
	fill(w, -128)
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackU8S8(w, n, k, 1, Order{N: k, K: 1})
		out := &OutU8S8{I32: make([]int32, m*n), Ldc: n}
		p.Gemm(a, k, out, p.All(m))
		for i, v := range out.I32 {
			if v != -255*128*k {
				t.Fatalf("element %d is %d, want %d", i, v, -255*128*k)
			}
		}
	})
}

// TestGemmSmallWeights holds the greatest weights whose pairs fit 16 bits, and
// one panel where they do not.
func TestGemmSmallWeights(t *testing.T) {
	const m, n, k = 11, 50, 37
	a, w := make([]uint8, m*k), make([]int8, n*k)
	fill(a, 255)
	for i := range w {
		w[i] = []int8{64, -64, 1, 127, -128, 0}[i/k%3*2+i%k%2]
	}
	w[20*k], w[20*k+1] = 100, 29
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackU8S8(w, n, k, 1, Order{N: k, K: 1})
		out := &OutU8S8{I32: make([]int32, m*n), Ldc: n}
		p.Gemm(a, k, out, p.All(m))
		for i, v := range out.I32 {
			if want := 255 * p.ColumnSums()[i%n]; v != want {
				t.Fatalf("element %d is %d, want %d", i, v, want)
			}
		}
	})
}

// TestEmptySums has no k: the results are the bias.
func TestEmptySums(t *testing.T) {
	const m, n = 3, 40
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(27, 28))
		outF := &OutF32{C: make([]float32, m*n), Ldc: n, Bias: randFloats(r, n)}
		pf := l.PackF32(nil, n, 0, 1, Order{N: 1, K: n})
		pf.Gemm(nil, 0, outF, pf.All(m))
		out := &OutU8S8{I32: make([]int32, m*n), Ldc: n, Bias: make([]int32, n)}
		fill(out.Bias, 7)
		pi := l.PackU8S8(nil, n, 0, 1, Order{N: 1, K: n})
		pi.Gemm(nil, 0, out, pi.All(m))
		for i := range m * n {
			if outF.C[i] != outF.Bias[i%n] || out.I32[i] != 7 {
				t.Fatalf("element %d is %g and %d, want %g and 7", i, outF.C[i], out.I32[i], outF.Bias[i%n])
			}
		}
	})
}

// TestSplit checks that ranges tile the output and that cuts change no bit.
func TestSplit(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, s := range [][3]int{{1, 300, 20}, {7, 200, 9}, {100, 33, 12}, {530, 16, 3}} {
			m, n, k := s[0], s[1], s[2]
			a, p := randFloats(r, m*k), l.PackF32(randFloats(r, n*k), n, k, 1, Order{N: 1, K: n})
			whole := make([]float32, m*n)
			p.Gemm(a, k, &OutF32{C: whole, Ldc: n}, p.All(m))
			for parts := 1; parts <= 8; parts++ {
				cut := make([]float32, m*n)
				for _, part := range p.Split(m, parts) {
					p.Gemm(a, k, &OutF32{C: cut, Ldc: n}, part)
				}
				sameBits(t, cut, whole, fmt.Sprintf("%v in %d parts", s, parts))
			}
		}
	})
}

// TestByRows cuts outputs of all heights: each row is in one range, and none is empty.
func TestByRows(t *testing.T) {
	for _, l := range Levels() {
		f, u := l.PackF32(make([]float32, 100*8), 100, 8, 1, Order{N: 1, K: 100}), l.PackU8S8(make([]int8, 100*64), 100, 64, 1, Order{N: 1, K: 100})
		for m := 1; m < 200; m++ {
			for parts := 1; parts < 7; parts++ {
				for _, list := range [][]Range{f.ByRows(nil, m, parts), u.ByRows(nil, m, parts)} {
					next := 0
					for _, r := range list {
						if r.M0 != next || r.M1 <= r.M0 || r.P0 != 0 {
							t.Fatalf("%v: %d rows in %d parts: %v", l, m, parts, list)
						}
						next = r.M1
					}
					if next != m || len(list) > parts {
						t.Fatalf("%v: %d rows in %d parts: %v", l, m, parts, list)
					}
				}
			}
		}
	}
}
