package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// randTiled draws a window of 3×3 taps with steps of one.
func randTiled(r *rand.Rand, pitch int) Window {
	w := Window{H: 1 + r.IntN(14), W: 1 + r.IntN(14), Pitch: pitch, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: r.IntN(3), Left: r.IntN(3)}
	w.OH, w.OW = max(1, w.H+w.Top+r.IntN(3)-2), max(1, w.W+w.Left+r.IntN(3)-2)
	if r.IntN(20) == 0 {
		w.OW, w.W = 60, 58 // more than a scratch tile
	}
	return w
}

// TestWinogradU8S8 holds Winograd's form on every level against the meaning of a convolution.
func TestWinogradU8S8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(71, 72))
		for i := range 96 {
			c := narrowWeights[i%len(narrowWeights)]
			k, n := []int{16, 32, 64, 19, 48, 1}[r.IntN(6)], 1+r.IntN(50)
			w := randTiled(r, k+r.IntN(3))
			x := randU8(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+k]
			for i, v := range x {
				x[i] = min(v, c.most)
			}
			wt := make([]int8, n*9*k)
			for i := range wt {
				wt[i] = c.draw(r)
			}
			m := w.OH * w.OW
			p := l.PackWinogradU8S8(wt, n, k, Order{N: 9 * k, Tap: 1, K: 9}, c.most)
			if p == nil {
				t.Fatalf("%s %dx%d: not packed", c.name, n, k)
			}
			pad, kind := min(uint8(r.UintN(256)), c.most), []string{"u8", "s8", "i32", "f32"}[i/4%4]
			out, tiles := newIntOut(r, kind, m, n, k*9), w.TilesU8S8()
			for _, part := range p.cutTiles(r, tiles) {
				p.Conv(x, pad, tiles, out, part)
			}
			in := seen(w, x, pad, k)
			checkInt(t, out, m, n, func(i, j int) (v int32) {
				for tap := range 9 {
					for q := range k {
						v += int32(in[(i*9+tap)*k+q]) * int32(wt[(j*k+q)*9+tap])
					}
				}
				return v
			}, fmt.Sprintf("%s %s %d of %d channels, %+v", c.name, kind, n, k, w))
		}
	})
}

// cutTiles cuts the output in two, by tiles or by panels.
func (p *WinogradU8S8) cutTiles(r *rand.Rand, t *TilesU8S8) []Range {
	m, n := r.IntN(t.Rows+1), r.IntN(p.Panels()+1)
	if r.IntN(2) == 0 {
		return []Range{{0, m, 0, p.Panels()}, {m, t.Rows, 0, p.Panels()}}
	}
	return []Range{{0, t.Rows, 0, n}, {0, t.Rows, n, p.Panels()}}
}

// TestWinogradU8S8Bound packs weights whose sums of products just fit, in both directions, and one more that do not.
func TestWinogradU8S8Bound(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		const k = 128
		for _, sign := range []int8{1, -1} {
			w := make([]int8, 9*k)
			left := (sumBound - 1) / 255
			for i := range w {
				v := min(left, 127)
				w[i], left = sign*int8(v), left-v
			}
			win := Window{H: 5, W: 5, Pitch: k, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, OH: 3, OW: 3}
			x := make([]uint8, 25*k)
			fill(x, 255)
			p := l.PackWinogradU8S8(w, 1, k, Order{N: 9 * k, Tap: k, K: 1}, 255)
			if p == nil {
				t.Fatal("not packed")
			}
			out := &OutU8S8{I32: make([]int32, 9), Ldc: 1}
			p.Conv(x, 0, win.TilesU8S8(), out, p.All(1))
			for _, v := range out.I32 {
				if want := 255 * p.ColumnSums()[0]; v != want {
					t.Fatalf("%d, want %d", v, want)
				}
			}
			for i, v := range w {
				if v == 0 {
					w[i] = sign
					break
				}
			}
			if l.PackWinogradU8S8(w, 1, k, Order{N: 9 * k, Tap: k, K: 1}, 255) != nil {
				t.Error("sums of 26 bits and a sign are packed")
			}
		}
	})
}

func BenchmarkWinogradU8S8(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range convShapes[:4] {
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				k, n, w := s[1], s[2], square(s[0], s[1], s[3], s[4])
				p := l.PackWinogradU8S8(make([]int8, n*9*k), n, k, Order{N: 9 * k, Tap: k, K: 1}, 255)
				x, tiles, m := make([]uint8, w.H*w.W*k), w.TilesU8S8(), w.OH*w.OW
				out := &OutU8S8{U8: make([]uint8, m*n), Ldc: n, Bias: make([]int32, n), Scale: make([]float32, n), Max: 255}
				gops(b, m, n, 9*k, func() { p.Conv(x, 3, tiles, out, p.All(tiles.Rows)) })
			})
		}
	}
}
