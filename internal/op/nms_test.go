package op

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// TestNMSComparesAll holds NonMaxSuppression against the comparison of every box with all that are kept.
func TestNMSComparesAll(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := []float64{nan, inf, -inf, 0, 1e30}
	for range 500 {
		n, spread, center := 1+r.IntN(60), 1+20*r.Float64(), r.IntN(2)
		boxes, scores := make([]float64, 4*n), make([]float64, n)
		for i := range boxes {
			if boxes[i] = spread * r.Float64(); i%4 >= 2 {
				boxes[i] = 3*r.Float64() - 0.5 + float64(1-center)*boxes[i-2]
			}
			if r.IntN(60) == 0 {
				boxes[i] = odd[r.IntN(len(odd))]
			}
		}
		for i := range scores {
			scores[i] = float64(r.IntN(20))
		}
		least := []float64{0, 0.1, 0.5}[r.IntN(3)]
		x, s := of(tensor.Float32, dims(1, n, 4), boxes...), of(tensor.Float32, dims(1, 1, n), scores...)
		got := run(t, node("NonMaxSuppression", 4, 1, "center_point_box", int64(center)), x, s, i64v(1000), of(tensor.Float32, dims(1), least))[0]

		all := make([]box, n)
		order := make([]int, n)
		for i := range all {
			all[i], order[i] = boxOf(tensor.Of[float32](x)[4*i:][:4], center == 1), i
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(scores[b] - scores[a]) })
		var want []int64
		var kept []box
		for _, i := range order {
			limit := float64(float32(least))
			if !slices.ContainsFunc(kept, func(k box) bool { return k.overlap(all[i]) > limit }) {
				kept, want = append(kept, all[i]), append(want, 0, 0, int64(i))
			}
		}
		if !slices.Equal(tensor.Of[int64](got), want) {
			t.Fatalf("boxes %v by %v, %g: %v, want %v", boxes, scores, least, tensor.Of[int64](got), want)
		}
	}
}

// TestRank orders scores, the highest first, and takes both zeros as alike.
func TestRank(t *testing.T) {
	negative := float32(math.Copysign(0, -1))
	list := []float32{float32(math.Inf(1)), math.MaxFloat32, 2, 1, 1e-40, 0, -1e-40, -1, -2, -math.MaxFloat32, float32(math.Inf(-1))}
	for i, s := range list[1:] {
		if rank(list[i]) >= rank(s) {
			t.Errorf("%v does not come before %v", list[i], s)
		}
	}
	if rank(negative) != rank(0) {
		t.Error("zeros differ")
	}
}
