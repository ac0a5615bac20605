package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randCodes draws a weight of some kind.
func randCodes(r *rand.Rand, kind CodeKind, n, k, block int) *BlockWeight {
	w := randBlocks(r, n, k, block, min(codeRows[kind].bits, 8))
	w.Kind = kind
	zero := w.Zero
	if w.Zero = nil; r.IntN(2) == 0 && kind <= KindS8 {
		w.Zero = zero
		if r.IntN(2) == 0 {
			w.Zero[0] = 0.3
		}
	}
	switch kind {
	case KindMarks4, KindMarks2:
		w.Marks = randFloats(r, 1<<codeRows[kind].bits)
	case KindE4M3:
		for i, c := range w.Codes {
			if c&0x7f == 0x7f {
				w.Codes[i] = c &^ 1
			}
		}
	case KindE5M2:
		for i, c := range w.Codes {
			if c&0x7c == 0x7c {
				w.Codes[i] = c &^ 4
			}
		}
	case KindF16:
		w.Scale, w.Codes, w.Halves = nil, nil, make([]uint16, n*k)
		Generic.EncodeF16(w.Halves, randFloats(r, n*k))
		w.Halves[0] = 1
	}
	return w
}

// TestBlocksF32 holds every level to plain Go, bit by bit, and plain Go to the sums in float64.
func TestBlocksF32(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(51, 52))
		for _, s := range blockShapes {
			for kind := range numKinds {
				checkBlocksF32(t, l, r, s[0], randCodes(r, kind, s[1], s[2], s[3]))
			}
		}
	})
}

func checkBlocksF32(t *testing.T, l Level, r *rand.Rand, m int, w *BlockWeight) {
	t.Helper()
	n, k := w.N, w.K
	lda, ldc := k+r.IntN(3), n+r.IntN(3)
	name := fmt.Sprintf("kind %d, %dx%dx%d, block %d", w.Kind, m, n, k, w.Block)
	x := randFloats(r, m*lda)[:(m-1)*lda+k]
	out := OutF32{Ldc: ldc}
	if r.IntN(2) == 0 {
		out.Bias = randFloats(r, n)
	}
	if r.IntN(2) == 0 {
		out.Add, out.LdAdd = randFloats(r, m*ldc), ldc
	}
	if r.IntN(2) == 0 {
		out.Min, out.Max = -1, 2
	}
	parts := 1 + r.IntN(4)
	product := func(l Level) []float32 {
		p, o := l.PackBlocksF32(w), out
		if p == nil {
			t.Fatalf("%s: not packed", name)
		}
		o.C = make([]float32, m*ldc+4)
		fill(o.C, guardF32)
		for _, part := range p.Split(m, parts) {
			p.Gemm(x, lda, &o, part)
		}
		checkGuard(t, o.C, m, n, ldc, guardF32)
		return o.C
	}
	got, want := product(l), product(Generic)
	if i := firstBits(got, want); i >= 0 {
		t.Fatalf("%s: element %d is %g on %v, %g in plain Go", name, i, got[i], l, want[i])
	}
	for i := range m {
		for j := range n {
			sum, mag := 0.0, 0.0
			if out.Bias != nil {
				sum = float64(out.Bias[j])
			}
			for q := range k {
				v := float64(x[i*lda+q]) * float64(w.At(j, q))
				sum, mag = sum+v, mag+math.Abs(v)
			}
			if out.Add != nil {
				sum += float64(out.Add[i*ldc+j])
			}
			if out.Min != out.Max {
				sum = min(max(sum, -1), 2)
			}
			sameF32(t, want[i*ldc+j], sum, mag+4, k, name, i, j)
		}
	}
}

// TestBlocksF32Rows gives a row the same bits, whatever the number of rows beside it.
func TestBlocksF32Rows(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(53, 54))
		for kind := range numKinds {
			w := randCodes(r, kind, 100, 416, 32)
			p, x := l.PackBlocksF32(w), randFloats(r, 7*416)
			all := &OutF32{C: make([]float32, 700), Ldc: 100, Bias: randFloats(r, 100)}
			p.Gemm(x, 416, all, p.All(7))
			for i := range 7 {
				one := &OutF32{C: make([]float32, 700), Ldc: 100, Bias: all.Bias}
				p.Gemm(x, 416, one, Range{M0: i, M1: i + 1, P1: p.Panels()})
				if at := firstBits(one.C[i*100:][:100], all.C[i*100:]); at >= 0 {
					t.Errorf("kind %d: row %d alone differs at column %d", kind, i, at)
				}
			}
		}
	})
}

// TestEightBitFloats holds what the kernels make of the codes to their definition.
func TestEightBitFloats(t *testing.T) {
	for c := range 256 {
		e, m := c>>3&15, float64(c&7)
		want := (1 + m/8) * math.Pow(2, float64(e-7))
		if e == 0 {
			want = m / 8 / 64
		}
		if c > 127 {
			want = -want
		}
		if got := decodeE4M3(uint8(c)); c&127 != 127 && float64(got) != want {
			t.Errorf("e4m3 %#x is %g, not %g", c, got, want)
		}
	}
}

func BenchmarkBlocksF32(b *testing.B) {
	names := [numKinds]string{"marks4", "marks2", "s8", "e4m3", "e5m2", "f16"}
	for _, l := range Levels()[1:] {
		for kind := range numKinds {
			for _, m := range []int{1, 8, 64} {
				b.Run(fmt.Sprintf("%v/%s/%dx4096x4096", l, names[kind], m), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 2))
					w := randCodes(r, kind, 4096, 4096, 32)
					w.Zero = nil
					p, x := l.PackBlocksF32(w), randFloats(r, m*4096)
					out := &OutF32{C: make([]float32, m*4096), Ldc: 4096}
					for b.Loop() {
						p.Gemm(x, 4096, out, p.All(m))
					}
					b.ReportMetric(float64(2*m*4096*4096)/float64(b.Elapsed().Nanoseconds())*float64(b.N), "GOP/s")
				})
			}
		}
	}
}
