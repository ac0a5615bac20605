package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// shares are n weights of a mean, like a row of Softmax.
func shares(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(math.Exp(r.NormFloat64()/10)) / float32(n)
	}
	return s
}

// checkMeanError holds the mean error of sums of k products to what blocks of them leave, about 2⁻²⁴ of their size;
// one chain of 4096 products errs by ten times that.
func checkMeanError(t *testing.T, got []float32, want []float64, what string) {
	t.Helper()
	errs, squares := 0.0, 0.0
	for i, v := range want {
		errs, squares = errs+math.Abs(float64(got[i])-v), squares+v*v
	}
	n := float64(len(want))
	if e := errs / n / math.Sqrt(squares/n); !(e < 1e-7) {
		t.Errorf("%s: the error is %.2g of the size of sums", what, e)
	}
}

// dots multiplies the rows of a by the columns, k elements each, in float64.
func dots(a, columns []float32, k int) []float64 {
	var r []float64
	for i := 0; i < len(a); i += k {
		for j := 0; j < len(columns); j += k {
			sum := 0.0
			for q := range k {
				sum += float64(a[i+q]) * float64(columns[j+q])
			}
			r = append(r, sum)
		}
	}
	return r
}

// TestLongSumsF32 bounds the error of long sums: those of products of matrices and of rows, and of convolutions by
// many taps and of many channels.
func TestLongSumsF32(t *testing.T) {
	const k, n = 4096, 70
	r := rand.New(rand.NewPCG(41, 42))
	w := randFloats(r, n*k)
	for i := range w {
		w[i] += 0.5
	}
	for _, m := range []int{1, 25} {
		a := shares(r, m*k)
		want := dots(a, w, k)
		eachLevel(t, func(t *testing.T, l Level) {
			p := l.PackF32(w, n, k, 1, Order{N: k, K: 1})
			out := &OutF32{C: make([]float32, m*n), Ldc: n}
			p.Gemm(a, k, out, p.All(m))
			checkMeanError(t, out.C, want, fmt.Sprint(m, " rows"))
			for _, side := range []int{2, 16, 64} {
				c := k / side / side
				win := Window{H: side, W: side, Pitch: c, KH: side, KW: side, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, OH: 1, OW: 1}
				p, ix := l.PackF32(w, n, c, side*side, Order{N: k, Tap: c, K: 1}), win.Indirect()
				for i := range m {
					p.Conv(a[i*k:], ix, &OutF32{C: out.C[i*n:], Ldc: n}, p.All(1))
				}
				checkMeanError(t, out.C, want, fmt.Sprintf("%d rows of %d taps", m, side*side))
			}
		})
	}
}

// TestLongSumsPlanes does the same for convolutions to few channels.
func TestLongSumsPlanes(t *testing.T) {
	const n, c, side = 3, 51, 9
	r := rand.New(rand.NewPCG(43, 44))
	win := Window{H: 20, W: 20, KH: side, KW: side, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, OH: 12, OW: 12}
	x, w := randFloats(r, c*win.H*win.W), shares(r, n*c*side*side)
	for i := range x {
		x[i] += 0.5
	}
	var in []float32
	for i := range win.OH * win.OW {
		for k := range c * side * side {
			in = append(in, x[(k/side/side*win.H+i/win.OW+k/side%side)*win.W+i%win.OW+k%side])
		}
	}
	want := dots(w, in, c*side*side)
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackPlanesF32(w, n, c, win)
		planes := make([]float32, p.Len())
		p.Split(planes, x, 0, p.Planes())
		out := &OutPlanes{C: make([]float32, len(want)), Ldc: win.OH * win.OW}
		p.Conv(planes, out, 0, win.OH)
		checkMeanError(t, out.C, want, "planes")
	})
}

// TestBlocksOfSums has sums of any number of blocks give the bits of their definition, however the output is cut.
func TestBlocksOfSums(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	for _, s := range [][4]int{{30, 70, 1, 320}, {30, 70, 1, 321}, {13, 40, 1, 1283}, {1, 100, 1, 2000}, {49, 20, 9, 64}, {49, 100, 9, 35}, {49, 33, 9, 330}, {49, 64, 4, 1001}} {
		m, n, taps, k := s[0], s[1], s[2], s[3]
		side := int(math.Sqrt(float64(taps)))
		win := Window{H: 7, W: 7, Pitch: k, KH: side, KW: side, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: side / 2, Left: side / 2, OH: 7, OW: 7}
		a, w, bias, add := randFloats(r, max(m, 49)*k), randFloats(r, n*taps*k), randFloats(r, n), randFloats(r, m*n)
		var want []float32
		eachLevel(t, func(t *testing.T, l Level) {
			for _, parts := range []int{1, 2, 5} {
				p := l.PackF32(w, n, k, taps, Order{N: taps * k, Tap: k, K: 1})
				out := &OutF32{C: make([]float32, m*n), Ldc: n, Bias: bias, Add: add, LdAdd: n, Max: 30}
				for _, part := range p.Split(m, parts) {
					if taps == 1 {
						p.Gemm(a, k, out, part)
					} else {
						p.Conv(a, win.Indirect(), out, part)
					}
				}
				if want == nil {
					want = out.C
				}
				sameBits(t, out.C, want, fmt.Sprint(s, " in ", parts))
			}
		})
	}
}
