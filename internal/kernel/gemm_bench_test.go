package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// gops reports 2*m*n*k in the time of the fastest call of f as GOP/s.
func gops(b *testing.B, m, n, k int, f func()) {
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		t := time.Now()
		f()
		best = min(best, time.Since(t))
	}
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)/float64(best.Nanoseconds()), "GOP/s")
}

// gopsOf is gops beside the limit of the instruction, which runs between the calls: it
// reports the median of their shares in it too. A core's clock, and what its other
// thread leaves of it, change from moment to moment, so that two bests may come from
// different clocks.
func gopsOf(b *testing.B, limit func() Peak, m, n, k int, f func()) {
	ops, best := 2*float64(m)*float64(n)*float64(k), 0.0
	var shares []float64
	before := limit().GOPS
	for b.Loop() {
		t := time.Now()
		f()
		speed := ops / float64(time.Since(t).Nanoseconds())
		after := limit().GOPS
		best, shares = max(best, speed), append(shares, 2*speed/(before+after))
		before = after
	}
	slices.Sort(shares)
	b.ReportMetric(best, "GOP/s")
	b.ReportMetric(shares[len(shares)/2], "share")
}

var benchShapes = [][3]int{{512, 512, 512}, {1024, 1024, 1024}, {784, 128, 576}, {12544, 32, 32}, {3136, 64, 64}, {196, 256, 1024}, {49, 512, 2048}, {1, 1000, 1280}, {128, 384, 384},
	// MobileNetV2
	{12544, 16, 32}, {12544, 96, 16}, {3136, 24, 96}, {3136, 144, 24}, {784, 32, 192}, {196, 64, 384}, {196, 576, 96}, {49, 960, 160}, {49, 1280, 320}}

func BenchmarkGemmF32(b *testing.B) {
	for _, l := range Levels()[1:] {
		for _, s := range benchShapes {
			m, n, k := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("%v/%dx%dx%d", l, m, n, k), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				a, w := randFloats(r, m*k), randFloats(r, n*k)
				p := l.PackF32(w, n, k, 1, Order{N: 1, K: n})
				out := &OutF32{C: make([]float32, m*n), Ldc: n}
				gopsOf(b, l.PeakF32, m, n, k, func() {
					p.Gemm(a, k, out, p.All(m))
				})
			})
		}
	}
}

// BenchmarkGemmU8S8 stores codes, or the sums themselves.
func BenchmarkGemmU8S8(b *testing.B) {
	b.Run("codes", func(b *testing.B) {
		benchU8S8(b, func(m, n int) *OutU8S8 {
			return &OutU8S8{U8: make([]uint8, m*n), Ldc: n, Bias: make([]int32, n), Scale: make([]float32, n), Zero: 3, Max: 255}
		})
	})
	b.Run("sums", func(b *testing.B) {
		benchU8S8(b, func(m, n int) *OutU8S8 { return &OutU8S8{I32: make([]int32, m*n), Ldc: n} })
	})
}

func benchU8S8(b *testing.B, outFor func(m, n int) *OutU8S8) {
	for _, l := range Levels()[1:] {
		for _, s := range benchShapes {
			m, n, k := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("%v/%dx%dx%d", l, m, n, k), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2)) // weights that are too large for the way of small ones
				a, w, out := randU8(r, m*k), randS8(r, n*k), outFor(m, n)
				p := l.PackU8S8(w, n, k, 1, Order{N: 1, K: n})
				gopsOf(b, l.PeakU8S8, m, n, k, func() {
					p.Gemm(a, k, out, p.All(m))
				})
			})
		}
	}
}

func BenchmarkGemmBF16(b *testing.B) {
	for _, l := range Levels() {
		for _, s := range benchShapes {
			if !l.TilesBF16() {
				continue
			}
			m, n, k := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("%v/%dx%dx%d", l, m, n, k), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				a, w := randBF16(r, m*k), randBF16(r, n*k)
				p := l.PackBF16(w, n, k, 1, Order{N: 1, K: n})
				out := &OutF32{C: make([]float32, m*n), Ldc: n}
				gopsOf(b, l.PeakBF16, m, n, k, func() { p.Gemm(a, k, out, p.All(m)) })
			})
		}
	}
}

// BenchmarkPeak reports what the instructions behind the products reach alone, on zeros and on random numbers.
func BenchmarkPeak(b *testing.B) {
	for _, l := range Levels()[1:] {
		for name, measure := range map[string]func() Peak{"f32": l.PeakF32, "u8s8": l.PeakU8S8, "bf16": l.PeakBF16} {
			b.Run(fmt.Sprintf("%s/%v", name, l), func(b *testing.B) {
				var zeros, random float64
				for b.Loop() {
					p := measure()
					zeros, random = max(zeros, p.GOPS), max(random, p.Random)
				}
				b.ReportMetric(zeros, "GOP/s")
				b.ReportMetric(random, "random-GOP/s")
			})
		}
	}
}
