package kernel

import (
	"fmt"
	"testing"
)

// square is a K by K convolution at stride s that keeps the size.
func square(size, pitch, k, s int) Window {
	out := (size + s - 1) / s
	return Window{H: size, W: size, Pitch: pitch, KH: k, KW: k, StrideH: s, StrideW: s, DilH: 1, DilW: 1, Top: k / 2, Left: k / 2, OH: out, OW: out}
}

// convShapes are size, C, N, K, stride: layers of ResNet50.
var convShapes = [][5]int{{56, 64, 64, 3, 1}, {28, 128, 128, 3, 1}, {14, 256, 256, 3, 1}, {7, 512, 512, 3, 1}, {56, 256, 128, 1, 2}}

func BenchmarkConvF32(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range convShapes {
			w := square(s[0], s[1], s[3], s[4])
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				taps, m := w.KH*w.KW, w.OH*w.OW
				p := l.PackF32(make([]float32, s[2]*taps*s[1]), s[2], s[1], taps, Order{N: taps * s[1], Tap: s[1], K: 1})
				x, ix := make([]float32, w.H*w.W*w.Pitch), w.Indirect()
				out := &OutF32{C: make([]float32, m*s[2]), Ldc: s[2], Bias: make([]float32, s[2]), Max: 6}
				gops(b, m, s[2], taps*s[1], func() {
					p.Conv(x, ix, out, p.All(m))
				})
			})
		}
	}
}

func BenchmarkConvU8S8(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range convShapes {
			w := square(s[0], s[1], s[3], s[4])
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				taps, m := w.KH*w.KW, w.OH*w.OW
				p := l.PackU8S8(make([]int8, s[2]*taps*s[1]), s[2], s[1], taps, Order{N: taps * s[1], Tap: s[1], K: 1})
				x, ix := make([]uint8, w.H*w.W*w.Pitch), w.Indirect()
				out := &OutU8S8{U8: make([]uint8, m*s[2]), Ldc: s[2], Bias: make([]int32, s[2]), Scale: make([]float32, s[2]), Max: 255}
				gops(b, m, s[2], taps*s[1], func() {
					p.Conv(x, 3, ix, out, p.All(m))
				})
			})
		}
	}
}

// dwShapes are size, C, K, stride: layers of MobileNetV2 and EfficientNet.
var dwShapes = [][4]int{{112, 32, 3, 1}, {112, 96, 3, 2}, {56, 144, 3, 1}, {28, 192, 3, 1}, {14, 576, 3, 1}, {7, 960, 3, 1}, {28, 240, 5, 1}}

func BenchmarkDepthwiseF32(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range dwShapes {
			w := square(s[0], s[1], s[2], s[3])
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				c, taps, m := s[1], w.KH*w.KW, w.OH*w.OW
				d := l.PackDepthwiseF32(make([]float32, c*taps), c, taps, Order{N: taps, Tap: 1})
				x, ix := make([]float32, w.H*w.W*c), w.Indirect()
				out := &OutF32{C: make([]float32, m*c), Ldc: c, Bias: make([]float32, c), Max: 6}
				gops(b, m, c, taps, func() {
					d.Run(x, ix, out, 0, m)
				})
			})
		}
	}
}

// groupShapes are size, C and channels of a group: layers of ResNeXt50 and RegNetX.
var groupShapes = [][3]int{{56, 128, 2}, {56, 128, 4}, {28, 256, 8}, {14, 512, 16}, {28, 128, 16}}

// BenchmarkGroupedF32 compares with one packed product for each group.
func BenchmarkGroupedF32(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range groupShapes {
			w := square(s[0], s[1], 3, 1)
			c, group, taps, m := s[1], s[2], 9, w.OH*w.OW
			x, ix, o := make([]float32, w.H*w.W*c), w.Indirect(), Order{N: taps * group, Tap: 1, K: taps}
			out := &OutF32{C: make([]float32, m*c), Ldc: c, Bias: make([]float32, c), Max: 6}
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				d := l.PackGroupedF32(make([]float32, c*group*taps), c, group, taps, o)
				gops(b, m, c, taps*group, func() { d.Run(x, ix, out, 0, m) })
			})
			b.Run(fmt.Sprintf("%v/%v/dense", l, s), func(b *testing.B) {
				p := l.PackF32(make([]float32, group*group*taps), group, group, taps, o)
				gops(b, m, c, taps*group, func() {
					for g := 0; g < c; g += group {
						to := *out
						to.C, to.Bias = out.C[g:], out.Bias[g:]
						p.Conv(x[g:], ix, &to, Range{M1: m, P1: p.Panels()})
					}
				})
			})
		}
	}
}

func BenchmarkDepthwiseU8S8(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range dwShapes {
			w := square(s[0], s[1], s[2], s[3])
			b.Run(fmt.Sprintf("%v/%v", l, s), func(b *testing.B) {
				c, taps, m := s[1], w.KH*w.KW, w.OH*w.OW
				d := l.PackDepthwiseU8S8(make([]int8, c*taps), c, taps, Order{N: taps, Tap: 1})
				x, ix := make([]uint8, w.H*w.W*c), w.Indirect()
				out := &OutU8S8{U8: make([]uint8, m*c), Ldc: c, Bias: make([]int32, c), Scale: make([]float32, c), Max: 255}
				gops(b, m, c, taps, func() {
					d.Run(x, 3, ix, out, 0, m)
				})
			})
		}
	}
}

// firstShapes are size, N, K, stride of first layers with three channels.
var firstShapes = [][4]int{{224, 64, 7, 2}, {224, 32, 3, 2}}

func BenchmarkFirstLayer(b *testing.B) {
	const c = 3
	for _, l := range Levels()[1:] {
		for _, s := range firstShapes {
			w := square(s[0], c, s[2], s[3])
			n, k, taps, m := s[1], w.KW*c, w.KH, w.OH*w.OW
			order := Order{N: taps * k, Tap: k, K: 1}
			b.Run(fmt.Sprintf("%v/f32/%v", l, s), func(b *testing.B) {
				p, ix := l.PackF32(make([]float32, n*taps*k), n, k, taps, order), w.RowTaps()
				x, padded := make([]float32, w.H*w.W*c), make([]float32, w.PaddedLen())
				out := &OutF32{C: make([]float32, m*n), Ldc: n, Bias: make([]float32, n), Max: 6}
				gops(b, m, n, taps*k, func() {
					PadImage(padded, x, w, 0, 0, w.PaddedRows())
					p.Conv(padded, ix, out, p.All(m))
				})
			})
			b.Run(fmt.Sprintf("%v/u8/%v", l, s), func(b *testing.B) {
				p, ix := l.PackRowsU8S8(make([]int8, n*taps*k), n, w), w.RowTaps()
				x, padded := make([]uint8, w.H*w.W*c), make([]uint8, w.PaddedLen(), w.PaddedLen()+64)
				out := &OutU8S8{U8: make([]uint8, m*n), Ldc: n, Bias: make([]int32, n), Scale: make([]float32, n), Max: 255}
				gops(b, m, n, taps*k, func() {
					PadImage(padded, x, w, 3, 0, w.PaddedRows())
					p.Conv(padded, 0, ix, out, p.All(m))
				})
			})
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const n, k, taps = 512, 512, 9
	l := Levels()[len(Levels())-1]
	for name, order := range map[string]Order{"OHWI": {N: k * taps, Tap: k, K: 1}, "OIHW": {N: k * taps, Tap: 1, K: taps}} {
		b.Run("f32/"+name, func(b *testing.B) {
			w := make([]float32, n*k*taps)
			b.SetBytes(n * k * taps * 4)
			for b.Loop() {
				l.PackF32(w, n, k, taps, order)
			}
		})
		b.Run("u8s8/"+name, func(b *testing.B) {
			w := make([]int8, n*k*taps)
			b.SetBytes(n * k * taps)
			for b.Loop() {
				l.PackU8S8(w, n, k, taps, order)
			}
		})
	}
}
