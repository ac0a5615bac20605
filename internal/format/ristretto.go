package format

import (
	"math"

	"lowbit/internal/tensor"
)

// Ristretto8 is dynamic fixed point: eight bits whose scale is a power of two, so that rescaling
// is a shift. The integer length of a layer is ⌈log2 max + 1⌉, so that at most the last step of its
// largest value is lost (Gysel et al., Ristretto, 2016, section III).
var Ristretto8 = &Format{
	Name: "ristretto8", Bits: 8, Kind: FixedPoint, Lo: -128, Hi: 127, Elem: tensor.Int8, Via: Dequantize, Opset: 10,
	Acts: []string{"ristretto8"}, Snap: powerAbove, Whole: true,
}

// Ristretto4 is dynamic fixed point of four bits.
var Ristretto4 = &Format{
	Name: "ristretto4", Bits: 4, Kind: FixedPoint, Lo: -8, Hi: 7, Elem: tensor.Int4, Via: Dequantize, Opset: 21,
	Acts: []string{"ristretto8"}, Snap: powerAbove, Search: true, Whole: true,
}

// powerAbove is the smallest power of two that is not below s.
func powerAbove(s float64) float64 {
	m, e := math.Frexp(s) // s = m·2^e, m in [½, 1)
	if m == 0.5 {
		e--
	}
	return math.Ldexp(1, e)
}
