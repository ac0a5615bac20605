package format

import (
	"fmt"
	"math"

	"lowbit/internal/tensor"
)

// FromFloatsE8M0 stores numbers as powers of two. round is "up", "down" or "nearest", whose
// ties go up. With saturate, zero and numbers out of range become the nearest power that
// there is; without, NaN. NaN stays NaN; of negative numbers the magnitude is taken.
func FromFloatsE8M0(x []float64, round string, saturate bool, shape ...int) (*tensor.Tensor, error) {
	bump := map[string]float64{"up": 0.5, "nearest": 0.75, "down": 1}[round] // the mantissa in [½,1) above or at which to round up
	if bump == 0 {
		return nil, fmt.Errorf("round mode %q is none of up, down, nearest", round)
	}
	t := tensor.New(tensor.Float8E8M0, shape...)
	for i, v := range x {
		t.Raw[i] = roundE8M0(math.Abs(v), bump, saturate)
	}
	return t, nil
}

func roundE8M0(v, bump float64, saturate bool) uint8 {
	const nan = 255
	if v != v || math.IsInf(v, 0) && !saturate {
		return nan
	}
	code := 0
	switch {
	case math.IsInf(v, 0):
		code = nan
	case v > 0:
		m, e := math.Frexp(v) // v = m·2^e
		code = e - 1 + 127
		if m >= bump && m > 0.5 {
			code++
		}
	default:
		code = -1
	}
	switch {
	case code >= 0 && code < nan:
		return uint8(code)
	case !saturate:
		return nan
	case code < 0:
		return 0
	}
	return nan - 1
}
