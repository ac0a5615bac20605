package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randWindow draws a geometry with at least one output pixel.
func randWindow(r *rand.Rand, pitch int) Window {
	for {
		w := Window{
			H: 1 + r.IntN(9), W: 1 + r.IntN(12), Pitch: pitch, KH: 1 + r.IntN(4), KW: 1 + r.IntN(4),
			StrideH: 1 + r.IntN(2), StrideW: 1 + r.IntN(3), DilH: 1 + r.IntN(2), DilW: 1 + r.IntN(2),
			Top: r.IntN(4), Left: r.IntN(4),
		}
		w.OH = (w.H+w.Top+r.IntN(3)-(w.KH-1)*w.DilH-1)/w.StrideH + 1
		w.OW = (w.W+w.Left+r.IntN(3)-(w.KW-1)*w.DilW-1)/w.StrideW + 1
		if w.OH > 0 && w.OW > 0 {
			return w
		}
	}
}

// pixel gives the index of the pixel that tap (ky, kx) of an output reads, or
// -1 for padding.
func (w Window) pixel(i, tap int) int {
	y := i/w.OW*w.StrideH - w.Top + tap/w.KW*w.DilH
	x := i%w.OW*w.StrideW - w.Left + tap%w.KW*w.DilW
	if y < 0 || y >= w.H || x < 0 || x >= w.W {
		return -1
	}
	return y*w.W + x
}

func TestConvF32(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(7, 8))
		for range 60 {
			c, n := 1+r.IntN(20), 1+r.IntN(80)
			w := randWindow(r, c+r.IntN(3))
			x := randFloats(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c]
			taps, m := w.KH*w.KW, w.OH*w.OW
			wt := randFloats(r, n*taps*c)
			p := l.PackF32(wt, n, c, taps, Order{N: taps * c, Tap: c, K: 1})
			out := &OutF32{C: make([]float32, m*n), Ldc: n}
			p.Conv(x, w.Indirect(), out, p.All(m))
			in, what := seen(w, x, 0, c), fmt.Sprintf("%+v", w)
			for i := range m {
				for j := range n {
					sum, mag := 0.0, 0.0
					for q := range taps * c {
						v := float64(in[i*taps*c+q]) * float64(wt[j*taps*c+q])
						sum, mag = sum+v, mag+math.Abs(v)
					}
					sameF32(t, out.C[i*n+j], sum, mag, taps*c, what, i, j)
				}
			}
		}
	})
}

// TestConvF32Deep sums over so many channels that panels are narrower; small whole numbers add up
// without rounding.
func TestConvF32Deep(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for _, n := range []int{1, 32, 70} {
		const c = 460
		w := square(7, c, 3, 1)
		taps, m := w.KH*w.KW, w.OH*w.OW
		x, wt := make([]float32, w.H*w.W*c), make([]float32, n*taps*c)
		for _, s := range [][]float32{x, wt} {
			for i := range s {
				s[i] = float32(r.IntN(9) - 4)
			}
		}
		var want []float32
		eachLevel(t, func(t *testing.T, l Level) {
			p := l.PackF32(wt, n, c, taps, Order{N: taps * c, Tap: c, K: 1})
			out := &OutF32{C: make([]float32, m*n), Ldc: n}
			for _, part := range p.Split(m, 3) {
				p.Conv(x, w.Indirect(), out, part)
			}
			if want == nil {
				want = out.C
			}
			sameBits(t, out.C, want, fmt.Sprint(n))
		})
	}
}

func TestConvU8S8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(9, 10))
		for i := range 80 {
			checkConvU8S8(t, l, r, 1+r.IntN(20), 1+r.IntN(80), []string{"u8", "s8", "i32", "f32"}[i%4])
		}
	})
}

func checkConvU8S8(t *testing.T, l Level, r *rand.Rand, c, n int, kind string) {
	t.Helper()
	w, pad := randWindow(r, c+r.IntN(3)), uint8(r.UintN(256))
	x := randU8(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c]
	taps, m := w.KH*w.KW, w.OH*w.OW
	wt := randS8(r, n*taps*c)
	p := l.PackU8S8(wt, n, c, taps, Order{N: taps * c, Tap: 1, K: taps})
	out := newIntOut(r, kind, m, n, c*taps)
	p.Conv(x, pad, w.Indirect(), out, p.All(m))
	in := seen(w, x, pad, c)
	checkInt(t, out, m, n, func(i, j int) (v int32) {
		for tap := range taps {
			for q := range c {
				v += int32(in[(i*taps+tap)*c+q]) * int32(wt[j*taps*c+q*taps+tap])
			}
		}
		return v
	}, fmt.Sprintf("%s %+v", kind, w))
}

// seen lists what the taps of each output see: c channels of a pixel, or of padding.
func seen[T any](w Window, x []T, pad T, c int) []T {
	around := slices.Repeat([]T{pad}, c)
	y := make([]T, 0, w.OH*w.OW*w.KH*w.KW*c)
	for i := range w.OH * w.OW {
		for tap := range w.KH * w.KW {
			if px := w.pixel(i, tap); px >= 0 {
				y = append(y, x[px*w.Pitch:][:c]...)
			} else {
				y = append(y, around...)
			}
		}
	}
	return y
}

func TestColumnSums(t *testing.T) {
	p := AVX2.PackU8S8([]int8{1, 2, 3, -4, 5, -6}, 2, 3, 1, Order{N: 3, K: 1})
	sameBits(t, p.ColumnSums(), []int32{6, -5}, "column sums")
}

// TestRowTaps compares a first layer by rows with the convolution by taps.
func TestRowTaps(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(11, 12))
		for range 30 {
			const c, n = 3, 20
			w := randWindow(r, c)
			w.DilW = 1
			w.OW = max(1, (w.W+2*w.Left-w.KW)/w.StrideW+1)
			taps, m := w.KH*w.KW, w.OH*w.OW
			x, wt := randU8(r, w.H*w.W*c), randS8(r, n*taps*c)
			whole := &OutU8S8{I32: make([]int32, m*n), Ldc: n}
			p := l.PackU8S8(wt, n, c, taps, Order{N: taps * c, Tap: c, K: 1})
			p.Conv(x, 9, w.Indirect(), whole, p.All(m))

			byRows := &OutU8S8{I32: make([]int32, m*n), Ldc: n}
			padded := make([]uint8, w.PaddedLen())
			PadImage(padded, x, w, 9, 0, w.PaddedRows())
			p = l.PackU8S8(wt, n, w.KW*c, w.KH, Order{N: taps * c, Tap: w.KW * c, K: 1})
			p.Conv(padded, 0, w.RowTaps(), byRows, p.All(m))
			sameBits(t, byRows.I32, whole.I32, fmt.Sprintf("%+v", w))
		}
	})
}

// TestRowsU8S8 convolves padded images of any number of channels by rows.
func TestRowsU8S8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(21, 22))
		for i := range 40 {
			checkRowsU8S8(t, l, r, 1+r.IntN(20), 1+r.IntN(80), []string{"u8", "s8", "i32", "f32"}[i%4])
		}
	})
}

// checkRowsU8S8 also cuts the output, and leaves no, some or enough room behind the image.
func checkRowsU8S8(t *testing.T, l Level, r *rand.Rand, c, n int, kind string) {
	t.Helper()
	w, pad := randWindow(r, c), uint8(r.UintN(256))
	w.DilW = 1
	w.W += []int{0, 10, 40}[r.IntN(3)]
	w.OW = max(1, (w.W+2*w.Left-w.KW)/w.StrideW+1)
	taps, m, size := w.KH*w.KW, w.OH*w.OW, w.PaddedLen()
	x, wt := randU8(r, w.H*w.W*c), randS8(r, n*taps*c)
	padded := randU8(r, size+64)[: size : size+[]int{0, 20, 64}[r.IntN(3)]]
	PadImage(padded, x, w, pad, 0, w.PaddedRows())
	p := l.PackRowsU8S8(wt, n, w)
	out := newIntOut(r, kind, m, n, c*taps)
	for _, part := range p.Split(m, 1+r.IntN(3)) {
		p.Conv(padded, 0, w.RowTaps(), out, part)
	}
	in := seen(w, x, pad, c)
	checkInt(t, out, m, n, func(i, j int) (v int32) {
		for tap := range taps {
			for q := range c {
				v += int32(in[(i*taps+tap)*c+q]) * int32(wt[(j*taps+tap)*c+q])
			}
		}
		return v
	}, fmt.Sprintf("%s %+v", kind, w))
}

// TestGroupsU8S8 convolves several groups as one weight, cut and at random sizes.
func TestGroupsU8S8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(23, 24))
		for i := range 150 {
			per := [][2]int{{2, 2}, {4, 4}, {8, 8}, {1, 2}, {3, 4}, {4, 2}, {5, 5}}[i%7] // channels in and out of a group
			groups := max(1, 16/per[1]*[]int{1, 2, 4, 8}[r.IntN(4)])
			if r.IntN(3) == 0 {
				groups = 1 + r.IntN(12)
			}
			together, kind, pad := l.GroupsU8S8(groups, per[0], per[1]), []string{"u8", "s8", "i32", "f32"}[r.IntN(4)], uint8(r.UintN(256))
			if groups%together != 0 {
				t.Fatalf("%d of %d groups together", together, groups)
			}
			c, n := groups*per[0], together*per[1]
			w := randWindow(r, c)
			x := randU8(r, w.H*w.W*w.Pitch)
			taps, m := w.KH*w.KW, w.OH*w.OW
			size := per[0] * taps // of a column
			wt := randS8(r, groups*per[1]*size)
			for g := 0; g < groups; g += together {
				p := l.PackGroupsU8S8(wt[g*per[1]*size:], together, per[1], per[0], taps)
				out := newIntOut(r, kind, m, n, together*size)
				for _, part := range p.Split(m, 1+r.IntN(3)) {
					p.Conv(x[g*per[0]:], pad, w.Indirect(), out, part)
				}
				in := seen(w, x, pad, c)
				checkInt(t, out, m, n, func(i, j int) (v int32) {
					o := g*per[1] + j
					for tap := range taps {
						for q := range per[0] {
							v += int32(in[(i*taps+tap)*c+o/per[1]*per[0]+q]) * int32(wt[o*size+q*taps+tap])
						}
					}
					return v
				}, fmt.Sprintf("%s %d of %d groups of %v, %+v", kind, together, groups, per, w))
			}
		}
	})
}

func TestGroupedF32(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(13, 14))
		for i := range 240 {
			group := []int{1, 1, 2, 4, 8, 16, 3}[i%7]
			c := []int{1, 3, 5, 8, 12, 16, 23, 32, 48, 64, 69, 80, 131}[r.IntN(13)]
			if group > 1 {
				c = group * (1 + r.IntN(3)) * []int{1, 1, 8 / min(group, 8)}[r.IntN(3)]
			}
			w := randWindow(r, c+r.IntN(3))
			x := randFloats(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c]
			taps, m := w.KH*w.KW, w.OH*w.OW
			wt, ldc := randFloats(r, c*group*taps), c+r.IntN(3)
			d := l.PackGroupedF32(wt, c, group, taps, Order{N: group * taps, Tap: 1, K: taps})
			out := &OutF32{C: make([]float32, m*ldc+70), Ldc: ldc, Bias: randFloats(r, c)}
			fill(out.C, guardF32)
			if r.IntN(2) == 0 {
				out.Add, out.LdAdd = randFloats(r, m*c), c
			}
			ix := w.Indirect()
			if r.IntN(4) == 0 {
				ix = NewIndirect(ix.off[:m*taps:m*taps], taps)
			}
			cut := r.IntN(m + 1)
			d.Run(x, ix, out, 0, cut)
			d.Run(x, ix, out, cut, m)
			in, what := seen(w, x, 0, c), fmt.Sprintf("groups of %d of %d, %+v", group, c, w)
			for i := range m {
				for j := range c {
					sum := float64(out.Bias[j])
					mag := math.Abs(sum) + 4
					for tap := range taps {
						for k := range group {
							v := float64(in[(i*taps+tap)*c+j/group*group+k]) * float64(wt[(j*group+k)*taps+tap])
							sum, mag = sum+v, mag+math.Abs(v)
						}
					}
					if out.Add != nil {
						sum += float64(out.Add[i*c+j])
					}
					sameF32(t, out.C[i*ldc+j], sum, mag, taps*group, what, i, j)
				}
			}
			checkGuard(t, out.C, m, c, ldc, guardF32)
		}
	})
}

// TestDirectF32 convolves any number of channels to few, also by rows of a padded image.
func TestDirectF32(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(25, 26))
		for i := range 90 {
			n, c := []int{16, 32}[i%2], 1+r.IntN(40)
			w := randWindow(r, c+r.IntN(3))
			x := randFloats(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c]
			taps, m := w.KH*w.KW, w.OH*w.OW
			wt, ldc := randFloats(r, n*c*taps), n+r.IntN(3)
			out := &OutF32{C: make([]float32, m*ldc+70), Ldc: ldc, Bias: randFloats(r, n), Min: -4, Max: 5}
			fill(out.C, guardF32)
			if r.IntN(2) == 0 {
				out.Add, out.LdAdd = randFloats(r, m*n), n
			}
			in, what := seen(w, x, 0, c), fmt.Sprintf("%d channels, %+v", c, w)
			cut := r.IntN(m + 1)
			if i%3 == 0 && w.DilW == 1 && w.Pitch == c {
				padded := make([]float32, w.PaddedLen())
				PadImage(padded, x, w, 0, 0, w.PaddedRows())
				d := l.PackDirectF32(wt, n, w.KW*c, w.KH, Order{N: taps * c, Tap: w.KW * c, K: 1})
				d.Run(padded, w.RowTaps(), out, 0, cut)
				d.Run(padded, w.RowTaps(), out, cut, m)
			} else {
				d := l.PackDirectF32(wt, n, c, taps, Order{N: taps * c, Tap: c, K: 1})
				d.Run(x, w.Indirect(), out, 0, cut)
				d.Run(x, w.Indirect(), out, cut, m)
			}
			for i := range m {
				for j := range n {
					sum := float64(out.Bias[j])
					mag := math.Abs(sum) + 4
					for k := range taps * c {
						v := float64(in[i*taps*c+k]) * float64(wt[j*taps*c+k])
						sum, mag = sum+v, mag+math.Abs(v)
					}
					if out.Add != nil {
						sum += float64(out.Add[i*n+j])
					}
					sameF32(t, out.C[i*ldc+j], min(max(sum, -4), 5), mag, taps*c, what, i, j)
				}
			}
			checkGuard(t, out.C, m, n, ldc, guardF32)
		}
	})
}

func TestDepthwiseU8S8(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(15, 16))
		for i := range 120 {
			c, pad := 1+r.IntN(150), uint8(r.UintN(256))
			w := randWindow(r, c+r.IntN(3))
			x := randU8(r, w.H*w.W*w.Pitch)[:(w.H*w.W-1)*w.Pitch+c]
			taps, m := w.KH*w.KW, w.OH*w.OW
			wt := randS8(r, c*taps)
			d := l.PackDepthwiseU8S8(wt, c, taps, Order{N: 1, Tap: c})
			out := newIntOut(r, []string{"u8", "s8", "u8", "i32", "f32"}[i%5], m, c, taps)
			ix, cut := w.Indirect(), r.IntN(m+1)
			d.Run(x, pad, ix, out, 0, cut)
			d.Run(x, pad, ix, out, cut, m)
			in := seen(w, x, pad, c)
			checkInt(t, out, m, c, func(i, j int) (v int32) {
				for tap := range taps {
					v += int32(in[(i*taps+tap)*c+j]) * int32(wt[tap*c+j])
				}
				return v
			}, fmt.Sprintf("%+v C=%d", w, c))
		}
	})
}

// TestIndirect holds the offsets of all pixels against their definition.
func TestIndirect(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for range 300 {
		w := Window{H: 1 + r.IntN(9), W: 1 + r.IntN(9), Pitch: 1 + r.IntN(5), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4),
			StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), DilH: 1 + r.IntN(3), DilW: 1 + r.IntN(3), Top: r.IntN(4), Left: r.IntN(4), OH: 1 + r.IntN(9), OW: 1 + r.IntN(9)}
		ix, i := w.Indirect(), 0
		for m := range w.OH * w.OW {
			for k := range w.KH * w.KW {
				y, x := m/w.OW*w.StrideH-w.Top+k/w.KW*w.DilH, m%w.OW*w.StrideW-w.Left+k%w.KW*w.DilW
				want := int32((y*w.W + x) * w.Pitch)
				if y < 0 || y >= w.H || x < 0 || x >= w.W {
					want = -1
				}
				if ix.off[i] != want {
					t.Fatalf("%+v: pixel %d, tap %d begins at %d, not %d", w, m, k, ix.off[i], want)
				}
				i++
			}
		}
	}
}

// TestIndirectByPixels holds the offsets of random windows, of which most are taken from the row or the
// pixel before, to those of each pixel alone.
func TestIndirectByPixels(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	n := func(most int) int { return 1 + rng.IntN(most) }
	for range 500 {
		w := Window{H: n(12), W: n(12), Pitch: n(9), KH: n(5), KW: n(5), StrideH: n(3), StrideW: n(3), DilH: n(3), DilW: n(3),
			Top: rng.IntN(5), Left: rng.IntN(5), OH: n(9), OW: n(9)}
		var want []int32
		for oy := range w.OH {
			for ox := range w.OW {
				want = w.appendPixel(want, oy, ox)
			}
		}
		ix := w.Indirect()
		if !slices.Equal(ix.off[:len(want)], want) {
			t.Fatalf("%+v\ngives %v\nnot   %v", w, ix.off[:len(want)], want)
		}
		if most := max(0, int(slices.Max(want))); ix.span != most {
			t.Fatalf("%+v has the span %d, not %d", w, ix.span, most)
		}
	}
}
