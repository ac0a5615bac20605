package calib

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestExactSum compares with sums of unlimited precision, in another order and in two parts too.
func TestExactSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		finite := anyFloat32().Filter(func(x float32) bool { return x-x == 0 })
		list := rapid.SliceOf(finite).Draw(t, "values")
		want := new(big.Float).SetPrec(700)
		var all exactSum
		for _, x := range list {
			want.Add(want, new(big.Float).SetFloat64(float64(x)))
			all.add(x)
		}
		if f, _ := want.Float64(); all.value() != f {
			t.Fatalf("%v sum to %v, want %v", list, all.value(), f)
		}
		rand.New(rand.NewPCG(1, uint64(len(list)))).Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		var parts [2]exactSum
		for i, x := range list {
			parts[i%2].add(x)
		}
		if parts[0].merge(&parts[1]); parts[0] != all {
			t.Fatalf("in parts %v is %v", list, parts[0])
		}
	})
	for _, x := range []float32{0, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1, -1.5, 0x1p-126} {
		var s exactSum
		if s.add(x); s.value() != float64(x) {
			t.Errorf("%g comes back as %g", x, s.value())
		}
	}
}
