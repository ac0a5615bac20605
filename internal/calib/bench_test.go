package calib

import (
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
)

func BenchmarkRange(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	x := make([]float32, 1<<18)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	s := NewStats(true)
	s.Add(0, x)
	for _, o := range All {
		b.Run(o.Name, func(b *testing.B) {
			for b.Loop() {
				o.Range(s, format.Uint8, false)
			}
		})
	}
}
