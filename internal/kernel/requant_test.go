package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestRequantize(t *testing.T) {
	for _, c := range []struct {
		acc          int32
		m            float32
		zero, lo, hi int32
		want         int32
	}{
		{1, 0.5, 10, 0, 255, 10}, // ties to even
		{3, 0.5, 10, 0, 255, 12},
		{-1, 0.5, 10, 0, 255, 10},
		{-3, 0.5, 10, 0, 255, 8},
		{1000, 1, 0, 0, 255, 255},
		{-1000, 1, 0, 0, 255, 0},
		{-1000, 1, 0, -127, 127, -127},
		{math.MaxInt32, 1e9, -128, -128, 127, 127}, // far beyond int32
		{math.MinInt32, 1e9, 127, -128, 127, -128},
		{16777217, 1, -16777210, -128, 127, -128}, // no zero point is that far
		{16777217, 0x1p-20, 0, -128, 127, 16},
		{5, float32(math.Inf(1)), 3, 0, 200, 200},
	} {
		if got := Requantize(c.acc, c.m, c.zero, c.lo, c.hi); got != c.want {
			t.Errorf("Requantize(%d, %g, %d, %d, %d) = %d, want %d", c.acc, c.m, c.zero, c.lo, c.hi, got, c.want)
		}
	}
}

// TestRequantizeRounds checks that the sum is rounded to float32 before the
// product: 2^24+1 is no float32.
func TestRequantizeRounds(t *testing.T) {
	const m = 0x1.8p-23
	if got, want := Requantize(1<<24+1, m, 0, 0, 255), Requantize(1<<24, m, 0, 0, 255); got != want {
		t.Errorf("2^24+1 gives %d, 2^24 gives %d", got, want)
	}
}

// TestRequantizeShift holds scales that are powers of two, as dynamic fixed point has them, against
// shifts that round half to even: for sums that float32 holds they are the same.
func TestRequantizeShift(t *testing.T) {
	r := rand.New(rand.NewPCG(71, 72))
	for range 200000 {
		acc, bits := int32(r.IntN(1<<25)-1<<24), r.IntN(17)
		if r.IntN(2) == 0 { // near a tie
			acc = int32(r.IntN(600)-300)<<bits>>1 + int32(r.IntN(3)) - 1
		}
		q := acc >> bits
		rest, half := acc-q<<bits, int32(1)<<bits>>1
		if bits > 0 && (rest > half || rest == half && q&1 == 1) {
			q++
		}
		want := min(max(q, -128), 127)
		if got := Requantize(acc, float32(math.Ldexp(1, -bits)), 0, -128, 127); got != want {
			t.Fatalf("%d shifted by %d is %d, want %d", acc, bits, got, want)
		}
	}
}
