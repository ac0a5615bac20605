package format

import "lowbit/internal/tensor"

// Binary keeps the sign alone: code 0 is +1, which zero takes too, code 1 is −1. The scale is the
// mean magnitude, which has the least squared error (Rastegari et al., XNOR-Net, 2016, section 3.1).
var Binary = &Format{
	Name: "binary", Bits: 1, Kind: Signs, Marks: []float32{1, -1}, Elem: tensor.Uint8, Via: Pick, Opset: 13,
	Acts: []string{"binary", "uint8"}, Fit: func(_ *Format, x []float32) float32 { return float32(meanAbs(x, -1)) },
}

// Ternary is −1, 0 and 1. The scale is the mean of the magnitudes above 0.7 times their mean
// (Li et al., Ternary Weight Networks, 2016, section 2.2).
var Ternary = &Format{
	Name: "ternary", Bits: 2, Kind: Signs, Lo: -1, Hi: 1, Elem: tensor.Int2, Via: Dequantize, Opset: 25, Acts: []string{"uint8", "ternary"},
	Fit: func(_ *Format, x []float32) float32 { return float32(meanAbs(x, 0.7*meanAbs(x, -1))) },
}

// meanAbs is the mean of the magnitudes above a bound; 0 where there are none.
func meanAbs(x []float32, above float64) float64 {
	sum, n := 0.0, 0
	for _, v := range x {
		if m := float64(max(v, -v)); m > above {
			sum += m
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
