package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// winogradBound gives for each tap's product the greatest factor by which the transforms enlarge it: the
// error of a sum in Winograd's form is within as many times that of the sum itself. It is the product of
// the absolute row sums of Aᵀ (3), G (3/2) and Bᵀ (2) in either direction.
const winogradBound = (3 * 1.5 * 2) * (3 * 1.5 * 2)

// TestWinogradF32 compares with sums in float64, and all levels and cuts bit for bit.
func TestWinogradF32(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for i := range 24 {
		c, n := 16*(1+r.IntN(4)), 16*(1+r.IntN(7))
		w := Window{H: 1 + r.IntN(12), W: 1 + r.IntN(12), Pitch: c + r.IntN(5), KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: r.IntN(3), Left: r.IntN(3)}
		w.OH, w.OW = max(1, w.H+w.Top-2+r.IntN(3)), max(1, w.W+w.Left-2+r.IntN(3))
		if !w.WinogradF32(n, c) {
			t.Fatalf("%+v has no such form", w)
		}
		checkWinograd(t, r, w, c, n, i)
	}
}

func checkWinograd(t *testing.T, r *rand.Rand, w Window, c, n, i int) {
	x, wt := randFloats(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c], randFloats(r, n*9*c)
	m := w.OH * w.OW
	tr, tc := w.TilesF32()
	out := OutF32{Ldc: n + i%3}
	if i%2 == 0 {
		out.Bias = randFloats(r, n)
	}
	if i%3 == 0 {
		out.Add, out.LdAdd = randFloats(r, m*n), n
	}
	if i%4 == 0 {
		out.Min, out.Max = -1, 6
	}
	var want []float32
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackWinogradF32(wt, n, c, Order{N: 9 * c, Tap: 1, K: 9})
		out.C = make([]float32, m*out.Ldc)
		fill(out.C, guardF32)
		for _, part := range p.Split(tr*tc, 1+i%3) {
			p.Conv(x, &w, &out, part)
		}
		if want == nil {
			want = out.C
			nearSums(t, &w, x, wt, &out, c, n)
		}
		sameBits(t, out.C, want, fmt.Sprintf("%+v, %d to %d", w, c, n))
	})
}

func nearSums(t *testing.T, w *Window, x, wt []float32, out *OutF32, c, n int) {
	t.Helper()
	what := fmt.Sprintf("%+v", w)
	for i := range w.OH * w.OW {
		for j := range out.Ldc {
			got := out.C[i*out.Ldc+j]
			if j >= n {
				if got != guardF32 {
					t.Fatalf("column %d was overwritten", j)
				}
				continue
			}
			sum, mag := 0.0, 0.0
			for tap := range 9 {
				if px := w.pixel(i, tap); px >= 0 {
					for q := range c {
						sum += float64(x[px*w.Pitch+q]) * float64(wt[(j*c+q)*9+tap])
					}
				}
			}
			mag = winogradMagnitude(w, x, wt[j*c*9:], i, c)
			if out.Bias != nil {
				sum, mag = sum+float64(out.Bias[j]), mag+math.Abs(float64(out.Bias[j]))
			}
			if out.Add != nil {
				sum, mag = sum+float64(out.Add[i*n+j]), mag+math.Abs(float64(out.Add[i*n+j]))
			}
			if out.Min != out.Max {
				sum = min(max(sum, float64(out.Min)), float64(out.Max))
			}
			sameF32(t, got, sum, mag, c+20, what, i, j)
		}
	}
}

// winogradMagnitude bounds the sum of the products' magnitudes in Winograd's form, for one output.
func winogradMagnitude(w *Window, x, wt []float32, i, c int) float64 {
	mag := 0.0
	for q := range c {
		pixel, tap := 0.0, 0.0
		for t := range 9 {
			tap = max(tap, math.Abs(float64(wt[q*9+t])))
		}
		oy, ox := i/w.OW/2*2, i%w.OW/2*2
		for d := range 16 {
			y, at := oy-w.Top+d/4, ox-w.Left+d%4
			if y >= 0 && y < w.H && at >= 0 && at < w.W {
				pixel = max(pixel, math.Abs(float64(x[(y*w.W+at)*w.Pitch+q])))
			}
		}
		mag += winogradBound * pixel * tap
	}
	return mag
}

// TestWinogradExact has whole numbers, whose sums are exact in either form.
func TestWinogradExact(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	w := square(9, 48, 3, 1)
	x, wt := make([]float32, 81*48), make([]float32, 32*48*9)
	for _, s := range [][]float32{x, wt} {
		for i := range s {
			s[i] = float32(4 * (r.IntN(17) - 8))
		}
	}
	eachLevel(t, func(t *testing.T, l Level) {
		o := Order{N: 9 * 48, Tap: 1, K: 9}
		a, b := OutF32{C: make([]float32, 81*32), Ldc: 32}, OutF32{C: make([]float32, 81*32), Ldc: 32}
		sums, p := l.PackF32(wt, 32, 48, 9, o), l.PackWinogradF32(wt, 32, 48, o)
		sums.Conv(x, w.Indirect(), &a, sums.All(81))
		p.Conv(x, &w, &b, p.All(25))
		sameBits(t, b.C, a.C, "of whole numbers")
	})
}

func BenchmarkWinogradF32(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range convShapes {
			w := square(s[0], s[1], s[3], s[4])
			if !w.WinogradF32(s[2], s[1]) {
				continue
			}
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				p := l.PackWinogradF32(make([]float32, s[2]*9*s[1]), s[2], s[1], Order{N: 9 * s[1], Tap: s[1], K: 1})
				x, m := make([]float32, w.H*w.W*w.Pitch), w.OH*w.OW
				rows, cols := w.TilesF32()
				out := &OutF32{C: make([]float32, m*s[2]), Ldc: s[2], Bias: make([]float32, s[2]), Max: 6}
				gops(b, m, s[2], 9*s[1], func() { p.Conv(x, &w, out, p.All(rows*cols)) })
			})
		}
	}
}
