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
