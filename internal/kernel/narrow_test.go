package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// narrowWeights are the weights of each case: their greatest magnitude, and the greatest code beside them.
var narrowWeights = []struct {
	name string
	most uint8
	draw func(r *rand.Rand) int8
}{
	{"ternary", 255, func(r *rand.Rand) int8 { return int8(r.IntN(3) - 1) }},
	{"int2", 255, func(r *rand.Rand) int8 { return int8(r.IntN(4) - 2) }},
	{"int4", 255, func(r *rand.Rand) int8 { return int8(r.IntN(16) - 8) }},
	{"log4", 128, func(r *rand.Rand) int8 {
		if v := int8(1) << r.IntN(7); r.IntN(2) == 0 {
			return -v
		} else {
			return v
		}
	}},
	{"int8", 255, func(r *rand.Rand) int8 { return int8(r.IntN(256) - 128) }},
}

// TestNarrow holds every product of small weights against its meaning, codes being as great as they may be.
func TestNarrow(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(61, 62))
		packed := map[string]int{}
		for i := range 200 {
			c := narrowWeights[i%len(narrowWeights)]
			k, n := []int{8, 32, 30, 64, 19, 40, 7}[r.IntN(7)], 1+r.IntN(90)
			w := randWindow(r, k+r.IntN(3))
			x := randU8(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+k]
			for i, v := range x {
				x[i] = min(v, c.most)
			}
			taps, m := w.KH*w.KW, w.OH*w.OW
			wt := make([]int8, n*taps*k)
			for i := range wt {
				wt[i] = c.draw(r)
			}
			p := l.PackNarrow(wt, n, k, taps, Order{N: taps * k, Tap: 1, K: taps}, c.most)
			if p == nil {
				continue
			}
			packed[c.name]++
			pad, kind := min(uint8(r.UintN(256)), c.most), []string{"u8", "s8", "i32", "f32"}[i/4%4]
			out := newIntOut(r, kind, m, n, k*taps)
			for _, part := range p.Split(m, 1+r.IntN(3)) {
				p.Conv(x, pad, w.Indirect(), out, part)
			}
			in := seen(w, x, pad, k)
			checkInt(t, out, m, n, func(i, j int) (v int32) {
				for tap := range taps {
					for q := range k {
						v += int32(in[(i*taps+tap)*k+q]) * int32(wt[j*taps*k+q*taps+tap])
					}
				}
				return v
			}, fmt.Sprintf("%s %s %+v", c.name, kind, w))
		}
		used := l.use(AVX2) && !l.use(AVXVNNI) && !l.use(VNNI)
		if used != (packed["ternary"] > 0) || used != (packed["log4"] > 0) {
			t.Errorf("packed %v", packed)
		}
	})
}

// TestNarrowEdge has one column whose sums would be one too many for 16 bits.
func TestNarrowEdge(t *testing.T) {
	const m, n, k = 9, 80, 64
	w := make([]int8, n*k)
	for i := range w {
		w[i] = []int8{-64, 63, -64, 1}[i/k%4]
	}
	for i := range 8 { // in two dwords of a column of the second panel
		w[17*k+8+i] = 64
	}
	a := make([]uint8, m*k)
	fill(a, 128)
	eachLevel(t, func(t *testing.T, l Level) {
		p := l.PackNarrow(w, n, k, 1, Order{N: k, K: 1}, 128)
		if p == nil {
			return
		}
		out := &OutU8S8{I32: make([]int32, m*n), Ldc: n}
		p.Gemm(a, k, out, p.All(m))
		for i, v := range out.I32 {
			if want := 128 * p.ColumnSums()[i%n]; v != want {
				t.Fatalf("element %d is %d, want %d", i, v, want)
			}
		}
	})
}
