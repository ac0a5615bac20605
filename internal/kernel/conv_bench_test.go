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
				for b.Loop() {
					p.Conv(x, ix, out, p.All(m))
				}
				gops(b, m, s[2], taps*s[1])
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
				for b.Loop() {
					p.Conv(x, 3, ix, out, p.All(m))
				}
				gops(b, m, s[2], taps*s[1])
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
				for b.Loop() {
					d.Run(x, ix, out, 0, m)
				}
				gops(b, m, c, taps)
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
				for b.Loop() {
					d.Run(x, 3, ix, out, 0, m)
				}
				gops(b, m, c, taps)
			})
		}
	}
}
