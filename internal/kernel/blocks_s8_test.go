package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randBlocks draws a weight of unsigned codes, many of them extreme, with zero points of all kinds.
func randBlocks(r *rand.Rand, n, k, block, bits int) *BlockWeight {
	w := &BlockWeight{N: n, K: k, Block: block, Codes: make([]uint8, n*k)}
	top := uint8(1<<bits - 1)
	for i := range w.Codes {
		w.Codes[i] = uint8(r.UintN(1 << bits))
		if r.UintN(3) == 0 {
			w.Codes[i] = top
		}
	}
	w.Scale, w.Zero = make([]float32, n*w.Blocks()), make([]float32, n*w.Blocks())
	uniform, half := r.IntN(2) == 0, r.IntN(2) == 0
	for i := range w.Scale {
		w.Scale[i] = float32(r.NormFloat64())
		if half {
			w.Scale[i] = decodeF16(encodeF16(w.Scale[i]))
		}
		w.Zero[i] = float32(uint8(1) << (bits - 1))
		if !uniform {
			w.Zero[i] = float32(uint8(r.UintN(1<<bits)) | uint8(r.UintN(2))*top)
		}
	}
	return w
}

// blockShapes go round the widths of tiles and blocks: m, n, k, block.
var blockShapes = func() (s [][4]int) {
	for m := 1; m <= 17; m++ {
		s = append(s, [4]int{m, 24, 96, 32})
	}
	for _, n := range []int{1, 7, 8, 9, 15, 16, 17, 33, 64, 65, 130} {
		s = append(s, [4]int{2, n, 80, 16}, [4]int{5, n, 256, 128})
	}
	for _, k := range []int{1, 15, 16, 17, 31, 32, 33, 63, 100, 255, 256, 257, 300, 512, 600} {
		for _, block := range []int{16, 32, 64, 128, 256, 512} {
			s = append(s, [4]int{3, 20, k, block})
		}
	}
	return s
}()

// TestBlocksS8 holds every level to plain Go, bit by bit, and plain Go to the sums in float64.
func TestBlocksS8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, s := range blockShapes {
			for _, bits := range []int{2, 4, 8} {
				checkBlocksS8(t, l, r, s[0], randBlocks(r, s[1], s[2], s[3], bits), bits)
			}
		}
	})
}

func checkBlocksS8(t *testing.T, l Level, r *rand.Rand, m int, w *BlockWeight, bits int) {
	t.Helper()
	n, k := w.N, w.K
	name := fmt.Sprintf("%d bits, %dx%dx%d, block %d", bits, m, n, k, w.Block)
	x := randFloats(r, m*k)
	if r.IntN(4) == 0 {
		fill(x[:k], 0)
	}
	product := func(l Level) ([]float32, *PackedBlocksS8, []uint8, *OutF32) {
		p := l.PackBlocksS8(w, bits)
		if p == nil {
			t.Fatalf("%s: not packed", name)
		}
		a := make([]uint8, m*p.RowBytes())
		for i := range m {
			p.QuantizeRow(a[i*p.RowBytes():], x[i*k:][:k])
		}
		out := &OutF32{C: make([]float32, m*(n+1)+4), Ldc: n + 1}
		fill(out.C, guardF32)
		if m%2 == 0 {
			out.Bias = x[:n:n]
			if n > len(x) {
				out.Bias = nil
			}
		}
		if m%3 == 0 {
			out.Min, out.Max = -1, 2
		}
		for _, part := range p.Split(m, 1+m%4) {
			p.Gemm(a, out, part)
		}
		checkGuard(t, out.C, m, n, n+1, guardF32)
		return out.C, p, a, out
	}
	got, _, _, _ := product(l)
	want, p, a, out := product(Generic)
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
				b := q / p.block
				d := a[i*p.RowBytes()+b*(p.block+8):][:p.block+8]
				act := float64(int8(d[4+q%p.block])) * float64(getFloat(d[4+p.block:]))
				at := j*w.Blocks() + q/w.Block
				v := act * float64(w.Scale[at]) * (float64(w.Codes[j*k+q]) - float64(w.Zero[at]))
				sum, mag = sum+v, mag+math.Abs(v)
			}
			if out.Min != out.Max {
				sum = min(max(sum, -1), 2)
			}
			sameF32(t, want[i*(n+1)+j], sum, mag+4, p.blocks+4, name, i, j)
		}
	}
}

// firstBits is the first place where the bits of two slices differ, or −1.
func firstBits(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// TestBlocksS8Extremes fills everything with the largest numbers.
func TestBlocksS8Extremes(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		for _, bits := range []int{2, 4, 8} {
			for _, zero := range []float32{0, float32(uint8(1<<bits - 1))} {
				w := &BlockWeight{N: 16, K: 512, Block: 256, Codes: slices.Repeat([]uint8{uint8(1<<bits - 1)}, 16*512)}
				w.Scale, w.Zero = slices.Repeat([]float32{1}, 32), slices.Repeat([]float32{zero}, 32)
				p := l.PackBlocksS8(w, bits)
				a, x := make([]uint8, p.RowBytes()), slices.Repeat([]float32{-127}, 512)
				p.QuantizeRow(a, x)
				out := &OutF32{C: make([]float32, 16), Ldc: 16}
				p.Gemm(a, out, p.All(1))
				want := -127 * 512 * (float32(uint8(1<<bits-1)) - zero)
				if out.C[0] != want || out.C[15] != want {
					t.Errorf("%d bits less %g: %g, want %g", bits, zero, out.C[0], want)
				}
			}
		}
	})
}

func TestPackBlocksS8Refuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, block := range []int{8, 24, 20, 300} {
		if Generic.PackBlocksS8(randBlocks(r, 3, 600, block, 4), 4) != nil {
			t.Errorf("blocks of %d are taken", block)
		}
	}
}

func BenchmarkBlocksS8(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, bits := range []int{2, 4, 8} {
			for _, m := range []int{1, 4, 8, 32} {
				b.Run(fmt.Sprintf("%v/%d/%dx4096x4096", l, bits, m), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 2))
					w := randBlocks(r, 4096, 4096, 32, bits)
					p := l.PackBlocksS8(w, bits)
					a, x := make([]uint8, m*p.RowBytes()), randFloats(r, 4096)
					out := &OutF32{C: make([]float32, m*4096), Ldc: 4096}
					for b.Loop() {
						for i := range m {
							p.QuantizeRow(a[i*p.RowBytes():], x)
						}
						p.Gemm(a, out, p.All(m))
					}
					b.ReportMetric(float64(2*m*4096*4096)/float64(b.Elapsed().Nanoseconds())*float64(b.N), "GOP/s")
				})
			}
		}
	}
}
