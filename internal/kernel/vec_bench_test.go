package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchLevels runs f under each level; bytes is what one call moves.
func benchLevels(b *testing.B, name string, elems int, f func(l Level)) {
	for _, l := range Levels() {
		if l != Generic && l != AVX2 && l != AVX512 {
			continue
		}
		b.Run(fmt.Sprintf("%s/%s", name, l), func(b *testing.B) {
			for b.Loop() {
				f(l)
			}
			b.ReportMetric(float64(elems)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "elem/ns")
		})
	}
}

func normals(n int) []float32 {
	r := rand.New(rand.NewPCG(9, 9))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func BenchmarkVec(b *testing.B) {
	const n = 4096
	x, y, dst := normals(n), normals(n), make([]float32, n)
	benchLevels(b, "Add", n, func(l Level) { l.Binary(Add, dst, x, y) })
	for _, op := range []Unary{Relu, Exp, Log, Tanh, Erf, Sigmoid, Gelu, Silu, Softplus} {
		benchLevels(b, op.String(), n, func(l Level) { l.Unary(op, dst, x) })
	}
}

func BenchmarkNorm(b *testing.B) {
	const rows, cols = 128, 384
	x, dst := normals(rows*cols), make([]float32, rows*cols)
	gamma, beta := normals(cols), normals(cols)
	benchLevels(b, "LayerNorm384", len(x), func(l Level) { l.LayerNormRows(dst, x, gamma, beta, 1e-5) })
	benchLevels(b, "RMSNorm384", len(x), func(l Level) { l.RMSNormRows(dst, x, gamma, 1e-5) })
	benchLevels(b, "Softmax128", len(x), func(l Level) { l.SoftmaxRows(dst, x, 128) })
	benchLevels(b, "Softmax10", len(x)-2, func(l Level) { l.SoftmaxRows(dst[:len(x)-2], x, 10) })
	benchLevels(b, "AffineRows24", len(x), func(l Level) { l.AffineRows(dst, x, gamma[:24], beta[:24], 0, 6) })
	benchLevels(b, "BinaryRows384", len(x), func(l Level) { l.BinaryRows(Add, dst, x, gamma) })
	benchLevels(b, "Sum", len(x), func(l Level) { l.Reduce(ReduceSum, x, 0) })
	benchLevels(b, "MinMax", len(x), func(l Level) { l.MinMax(x) })
}
