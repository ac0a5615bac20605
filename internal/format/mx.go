package format

import (
	"math"

	"lowbit/internal/tensor"
)

// MXFP4 shares a power of two among 32 four-bit floats (OCP Microscaling Formats 1.0, section 5).
var MXFP4 = &Format{
	Name: "mxfp4", Bits: 4, Kind: BlockFloat, Marks: e2m1, Elem: tensor.Uint4, Via: Table, Opset: 21,
	Group: 32, Scale: E8M0, Fit: sharedExponent,
}

// MXFP8 shares a power of two among 32 floats of eight bits.
var MXFP8 = &Format{
	Name: "mxfp8", Bits: 8, Kind: BlockFloat, Elem: tensor.Float8E4M3FN, Via: Dequantize, Opset: 21,
	Group: 32, Scale: E8M0, Fit: sharedExponent,
}

// NVFP4 gives 16 four-bit floats a scale in E4M3, and the tensor one in float32 (NVIDIA, Pretraining
// LLMs with NVFP4, 2025, section 2).
var NVFP4 = &Format{
	Name: "nvfp4", Bits: 4, Kind: BlockFloat, Marks: e2m1, Elem: tensor.Uint4, Via: Table, Opset: 21,
	Group: 16, Scale: E4M3Scale,
}

// sharedExponent is the power of two that puts the exponent of the largest value on the largest
// exponent of the marks (OCP Microscaling Formats 1.0, section 6.3).
func sharedExponent(f *Format, x []float32) float32 {
	top := float32(0)
	for _, v := range x {
		top = max(top, v, -v)
	}
	if top == 0 {
		return 0
	}
	_, end := f.ends()
	return float32(math.Ldexp(1, math.Ilogb(float64(top))-math.Ilogb(float64(end))))
}
