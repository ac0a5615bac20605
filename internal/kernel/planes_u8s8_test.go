package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// codePlanesCase is a convolution of codes to few channels, and what it gives by definition.
type codePlanesCase struct {
	win            Window
	n, c           int
	channel, pixel int // elements from channel to channel and from pixel to pixel
	x              []uint8
	w              []int8
	pad            uint8
	out            OutU8S8
}

func newCodePlanesCase(r *rand.Rand) *codePlanesCase {
	k := &codePlanesCase{pad: uint8(r.IntN(256))}
	k.win, k.n, _ = planesCase(r)
	k.c = 1 + r.IntN(12)
	if k.channel, k.pixel = k.win.H*k.win.W, 1; r.IntN(3) > 0 {
		k.channel, k.pixel = 1, k.c+[]int{0, 0, 3, 4}[r.IntN(4)]
	}
	k.x = make([]uint8, (k.c-1)*k.channel+(k.win.H*k.win.W-1)*k.pixel+1)
	for i := range k.x {
		k.x[i] = uint8(r.IntN(256))
	}
	k.w = make([]int8, k.n*k.c*k.win.KH*k.win.KW)
	for i := range k.w {
		k.w[i] = int8(r.IntN(256))
	}
	k.out = OutU8S8{Ldc: k.win.OH*k.win.OW + r.IntN(3), Scale: make([]float32, k.n), Zero: int32(r.IntN(256)), Max: 255}
	if r.IntN(2) == 0 {
		k.out.Bias, k.out.Min = make([]int32, k.n), k.out.Zero
		for i := range k.out.Bias {
			k.out.Bias[i] = int32(r.IntN(1<<16) - 1<<15)
		}
	}
	if r.IntN(2) == 0 {
		k.out.Shift = newFloats(r, k.n, 0)
	}
	for i := range k.out.Scale {
		k.out.Scale[i] = float32(r.Float64()) / 500
	}
	k.out.Scale[0] *= float32([]int{1, 1, 1e9}[r.IntN(3)]) // far beyond what codes hold
	return k
}

// definition writes the sums of one channel and pixel after the other.
func (k *codePlanesCase) definition(out *OutU8S8) {
	win := &k.win
	for n := range k.n {
		o := out.channel(n)
		for i := range win.OH * win.OW {
			var sum int32
			if o.Bias != nil {
				sum = o.Bias[0]
			}
			for c := range k.c {
				for tap := range win.KH * win.KW {
					v := k.pad
					if p := win.pixel(i, tap); p >= 0 {
						v = k.x[c*k.channel+p*k.pixel]
					}
					sum += int32(v) * int32(k.w[(n*k.c+c)*win.KH*win.KW+tap])
				}
			}
			o.store([]int32{sum}, i, 0)
		}
	}
}

// TestPlanesU8S8 holds every level to the definition, bit by bit.
func TestPlanesU8S8(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		k := newCodePlanesCase(r)
		all := k.win.OH * k.win.OW
		size := (k.n-1)*k.out.Ldc + all
		want := k.out
		if r.IntN(3) > 0 {
			want.U8 = make([]uint8, size)
		} else {
			want.F32 = make([]float32, size)
		}
		k.definition(&want)
		for _, l := range Levels() {
			p := l.PackPlanesU8S8(k.w, k.n, k.c, k.win)
			planes := make([]uint8, p.Bytes())
			fill(planes, 99)
			half := r.IntN(p.Rows() + 1)
			p.Split(planes, k.x, k.channel, k.pixel, k.pad, 0, half)
			p.Split(planes, k.x, k.channel, k.pixel, k.pad, half, p.Rows())
			what := fmt.Sprintf("%v %+v to %d channels from %d", l, k.win, k.n, k.c)
			got, y := k.out, r.IntN(k.win.OH+1)
			codes, floats := newGuard[uint8](size, 1, 77), newGuard[float32](size, 1, mark)
			if want.U8 != nil {
				got.U8 = codes.slice()
			} else {
				got.F32 = floats.slice()
			}
			p.Conv(planes, &got, y, k.win.OH)
			p.Conv(planes, &got, 0, y)
			for n := range k.n {
				for i := range all {
					if at := n*k.out.Ldc + i; want.U8 != nil && got.U8[at] != want.U8[at] {
						t.Fatalf("%s: pixel %d of channel %d is %d, want %d", what, i, n, got.U8[at], want.U8[at])
					}
				}
				if want.U8 == nil {
					equalFloats(t, what, got.F32[n*k.out.Ldc:][:all], want.F32[n*k.out.Ldc:][:all])
				}
			}
			codes.check(t, what)
			floats.check(t, what)
			sums := p.ColumnSums()
			for n := range k.n {
				var sum int32
				for _, v := range k.w[n*len(k.w)/k.n:][:len(k.w)/k.n] {
					sum += int32(v)
				}
				if sums[n] != sum {
					t.Fatalf("%s: the weights of channel %d add up to %d, not %d", what, n, sums[n], sum)
				}
			}
		}
	}
}

func BenchmarkPlanesU8S8(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range [][5]int{{172, 264, 8, 8, 39}, {172, 88, 32, 1, 7}, {256, 256, 32, 3, 9}, {256, 256, 64, 4, 3}, {112, 112, 3, 4, 3}, {256, 256, 64, 1, 3}, {128, 128, 16, 2, 3}, {128, 128, 64, 8, 3}} {
			h, w, c, n, k := s[0], s[1], s[2], s[3], s[4]
			win := Window{H: h, W: w, Pitch: c, KH: min(k, 9), KW: k, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: min(k, 9) / 2, Left: k / 2, OH: h, OW: w}
			weight, x := make([]int8, n*c*win.KH*k), make([]uint8, h*w*c+64)
			out := &OutU8S8{U8: make([]uint8, n*h*w), Ldc: h * w, Scale: make([]float32, n), Max: 255}
			p := l.PackPlanesU8S8(weight, n, c, win)
			planes := make([]uint8, p.Bytes())
			b.Run(fmt.Sprintf("%v/%v/split", l, s), func(b *testing.B) {
				b.SetBytes(int64(h * w * c))
				for b.Loop() {
					p.Split(planes, x, 1, c, 3, 0, p.Rows())
				}
			})
			b.Run(fmt.Sprintf("%v/%v/planes", l, s), func(b *testing.B) {
				gops(b, h*w, n, c*win.KH*k, func() { p.Conv(planes, out, 0, h) })
			})
			b.Run(fmt.Sprintf("%v/%v/dense", l, s), func(b *testing.B) {
				taps := win.KH * k
				p, ix := l.PackU8S8(weight, n, c, taps, Order{N: c * taps, Tap: 1, K: taps}), win.Indirect()
				out := *out
				out.Ldc = n
				gops(b, h*w, n, c*taps, func() { p.Conv(x[:h*w*c], 3, ix, &out, p.All(h*w)) })
			})
		}
	}
}
