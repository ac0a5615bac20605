package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// planesCase draws a convolution to few channels.
func planesCase(r *rand.Rand) (win Window, n, c int) {
	for {
		win = Window{
			H: 1 + r.IntN(20), W: 1 + r.IntN(60), KH: 1 + r.IntN(5), KW: 1 + r.IntN(9), StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3),
			DilH: 1 + r.IntN(2), DilW: 1 + r.IntN(3), Top: r.IntN(4), Left: r.IntN(4),
		}
		h, w := win.H+win.Top+r.IntN(4)-(win.KH-1)*win.DilH, win.W+win.Left+r.IntN(4)-(win.KW-1)*win.DilW
		if h < 1 || w < 1 {
			continue
		}
		win.OH, win.OW = (h-1)/win.StrideH+1, (w-1)/win.StrideW+1
		return win, 1 + r.IntN(10), 1 + r.IntN(4)*r.IntN(8)
	}
}

// planesByDefinition is the convolution of x, (C, H, W), by w, (N, C, KH, KW), in blocks of k.
func planesByDefinition(x, w []float32, win Window, n, c int, out *OutPlanes) []float32 {
	y := make([]float32, n*win.OH*win.OW)
	_, part := sumBlocks(1, c*win.KH*win.KW)
	for i := range y {
		o, oy, ox := i/(win.OH*win.OW), i/win.OW%win.OH, i%win.OW
		sum, before, k := out.Bias[o], negZeros[0], 0
		for ch := range c {
			for ky := range win.KH {
				for kx := range win.KW {
					iy, ix := oy*win.StrideH+ky*win.DilH-win.Top, ox*win.StrideW+kx*win.DilW-win.Left
					v := float32(0)
					if iy >= 0 && iy < win.H && ix >= 0 && ix < win.W {
						v = x[(ch*win.H+iy)*win.W+ix]
					}
					if k > 0 && k%part == 0 {
						sum, before = 0, before+sum
					}
					sum = fma32(v, w[o*c*win.KH*win.KW+k], sum)
					k++
				}
			}
		}
		sum += before
		if out.Min != out.Max {
			sum = min(max(sum, out.Min), out.Max)
		}
		y[i] = sum
	}
	return y
}

// TestPlanesLongRow convolves a row that takes several calls.
func TestPlanesLongRow(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	win := Window{H: 1, W: 30000, KH: 1, KW: 301, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Left: 150, OH: 1, OW: 30000}
	x, w := newFloats(r, win.W, 0), newFloats(r, win.KW, 0)
	codes, weights := make([]uint8, win.W), make([]int8, win.KW)
	for i := range codes {
		codes[i] = uint8(r.IntN(256))
	}
	for i := range weights {
		weights[i] = int8(r.IntN(256))
	}
	o := OutPlanes{Ldc: win.OW, Bias: []float32{0.5}}
	want := planesByDefinition(x, w, win, 1, 1, &o)
	k := codePlanesCase{win: win, n: 1, c: 1, channel: 1, pixel: 1, x: codes, w: weights, pad: 7}
	sums := OutU8S8{Ldc: win.OW, Scale: []float32{1}, F32: make([]float32, win.OW)}
	k.definition(&sums)
	for _, l := range Levels() {
		p := l.PackPlanesF32(w, 1, 1, win)
		planes := make([]float32, p.Len())
		p.Split(planes, x, 0, p.Planes())
		o.C = make([]float32, win.OW)
		p.Conv(planes, &o, 0, 1)
		equalFloats(t, fmt.Sprint(l), o.C, want)

		q := l.PackPlanesU8S8(weights, 1, 1, win)
		fours := make([]uint8, q.Bytes())
		q.Split(fours, codes, 1, 1, 7, 0, q.Rows())
		got := sums
		got.F32 = make([]float32, win.OW)
		q.Conv(fours, &got, 0, 1)
		equalFloats(t, fmt.Sprint(l), got.F32, sums.F32)
	}
}

// TestPlanes holds every level to the definition, bit by bit: all add in the same order.
func TestPlanes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		win, n, c := planesCase(r)
		x, w := newFloats(r, c*win.H*win.W, 0), newFloats(r, n*c*win.KH*win.KW, 0)
		o := OutPlanes{Ldc: win.OH*win.OW + r.IntN(3), Bias: newFloats(r, n, 0)}
		if r.IntN(2) == 0 {
			o.Min, o.Max = -0.5, 0.75
		}
		want := planesByDefinition(x, w, win, n, c, &o)
		for _, l := range Levels() {
			p := l.PackPlanesF32(w, n, c, win)
			planes := make([]float32, p.Len())
			fill(planes, 99)
			half := r.IntN(p.Planes() + 1)
			p.Split(planes, x, 0, half)
			p.Split(planes, x, half, p.Planes())
			got := newGuard[float32]((n-1)*o.Ldc+win.OH*win.OW, 1, mark)
			o.C = got.slice()
			y := r.IntN(win.OH + 1)
			p.Conv(planes, &o, y, win.OH)
			p.Conv(planes, &o, 0, y)
			what := fmt.Sprintf("%v %+v to %d channels from %d", l, win, n, c)
			for ch := range n {
				equalFloats(t, what, o.C[ch*o.Ldc:][:win.OH*win.OW], want[ch*win.OH*win.OW:][:win.OH*win.OW])
			}
			got.check(t, what)
		}
	}
}

func BenchmarkPlanes(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range [][5]int{{172, 264, 8, 8, 39}, {172, 88, 32, 1, 7}, {256, 256, 32, 3, 9}, {256, 256, 64, 4, 3}, {128, 128, 16, 2, 3}} {
			win := Window{H: s[0], W: s[1], KH: min(s[4], 9), KW: s[4], StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: min(s[4], 9) / 2, Left: s[4] / 2, OH: s[0], OW: s[1]}
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				p := l.PackPlanesF32(make([]float32, s[3]*s[2]*win.KH*win.KW), s[3], s[2], win)
				planes := make([]float32, p.Len())
				out := &OutPlanes{C: make([]float32, s[3]*win.OH*win.OW), Ldc: win.OH * win.OW}
				gops(b, win.OH*win.OW, s[3], s[2]*win.KH*win.KW, func() { p.Conv(planes, out, 0, win.OH) })
			})
		}
	}
}
