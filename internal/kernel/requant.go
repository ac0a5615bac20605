package kernel

import "math"

// Requantize writes an integer sum in 8 bits: clamp(round(acc*m)+zero, lo, hi)
// with acc rounded to float32, one float32 product, and ties to even. These
// bits are the same on every machine and level.
func Requantize(acc int32, m float32, zero, lo, hi int32) int32 {
	v := float32(float32(acc) * m)
	// Beyond ±2^16 the zero point cannot bring the value back into range.
	v = min(max(v, -65536), 65536)
	q := int32(math.RoundToEven(float64(v))) + zero
	return min(max(q, lo), hi)
}
