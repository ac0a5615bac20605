package format

import "lowbit/internal/tensor"

// FP16 is IEEE half precision. Values are stored as they are, without a scale.
var FP16 = &Format{Name: "fp16", Bits: 16, Kind: Floating, Elem: tensor.Float16, Via: Cast, Opset: 13}

// BF16 is the upper half of a float32.
var BF16 = &Format{Name: "bf16", Bits: 16, Kind: Floating, Elem: tensor.BFloat16, Via: Cast, Opset: 13}

// FP8E4M3 has four exponent bits, no infinities and a largest value of 448 (OCP FP8, 2023).
var FP8E4M3 = &Format{Name: "fp8-e4m3", Bits: 8, Kind: Floating, Elem: tensor.Float8E4M3FN, Via: Dequantize, Opset: 21}

// FP8E5M2 has five exponent bits and a largest value of 57344.
var FP8E5M2 = &Format{Name: "fp8-e5m2", Bits: 8, Kind: Floating, Elem: tensor.Float8E5M2, Via: Dequantize, Opset: 21}

// FP4E2M1 is 0, ½, 1, 1½, 2, 3, 4, 6 and a sign.
var FP4E2M1 = &Format{
	Name: "fp4-e2m1", Bits: 4, Kind: Floating, Marks: e2m1, Elem: tensor.Uint4, Via: Table, Opset: 21,
	Search: true, Group: 32,
}

// e2m1 lists what the codes of the four-bit float mean.
var e2m1 = marksOf(tensor.Float4E2M1)

// marksOf lists what the codes of a small float mean.
func marksOf(d tensor.DType) []float32 {
	f := miniFloats[d]
	m := make([]float32, 1<<f.width())
	for c := range m {
		m[c] = float32(f.decode(uint16(c)))
	}
	return m
}
