package format

import (
	"math"

	"lowbit/internal/tensor"
)

// A miniFloat describes a binary floating-point encoding of at most 16 bits by its fields.
type miniFloat struct {
	exp, man int // bits of the exponent and of the stored mantissa
	bias     int
	signed   bool
	inf      bool // the largest exponent holds infinities and NaN, as in IEEE 754
	nan      int  // code of a NaN, without sign; -1 if there is none
	top      int  // code of the largest finite value, without sign
	negNaN   bool // NaN is the code of minus zero (the FNUZ types), and there is no minus zero
}

// The encodings of ONNX's small floats (ONNX IR, "Float stored in 8 bits", "Float stored in
// 4 bits"; OCP Microscaling Formats 1.0, section 5).
var miniFloats = map[tensor.DType]*miniFloat{
	tensor.Float16:        {exp: 5, man: 10, bias: 15, signed: true, inf: true, nan: 0x7e00, top: 0x7bff},
	tensor.BFloat16:       {exp: 8, man: 7, bias: 127, signed: true, inf: true, nan: 0x7fc0, top: 0x7f7f},
	tensor.Float8E4M3FN:   {exp: 4, man: 3, bias: 7, signed: true, nan: 0x7f, top: 0x7e},
	tensor.Float8E4M3FNUZ: {exp: 4, man: 3, bias: 8, signed: true, nan: 0x80, top: 0x7f, negNaN: true},
	tensor.Float8E5M2:     {exp: 5, man: 2, bias: 15, signed: true, inf: true, nan: 0x7f, top: 0x7b},
	tensor.Float8E5M2FNUZ: {exp: 5, man: 2, bias: 16, signed: true, nan: 0x80, top: 0x7f, negNaN: true},
	tensor.Float4E2M1:     {exp: 2, man: 1, bias: 1, signed: true, nan: -1, top: 7},
}

// width returns the bits of a code.
func (f *miniFloat) width() int { return 1 + f.exp + f.man }

// decode returns the value of a code.
func (f *miniFloat) decode(code uint16) float64 {
	sign := code >> (f.exp + f.man) & 1
	mag := int(code) & (1<<(f.exp+f.man) - 1)
	if f.negNaN && sign == 1 && mag == 0 || f.nan >= 0 && !f.negNaN && !f.inf && mag == f.nan {
		return math.NaN()
	}
	e, m := mag>>f.man, mag&(1<<f.man-1)
	var v float64
	switch {
	case f.inf && e == 1<<f.exp-1 && m == 0:
		v = math.Inf(1)
	case f.inf && e == 1<<f.exp-1:
		return math.NaN()
	case e == 0:
		v = math.Ldexp(float64(m), 1-f.bias-f.man)
	default:
		v = math.Ldexp(float64(m|1<<f.man), e-f.bias-f.man)
	}
	if sign == 1 {
		return -v
	}
	return v
}

// encode rounds to nearest, ties to even. Above the largest finite value it returns that value
// if saturate, else infinity where there is one and NaN where there is none. An infinity
// saturates likewise (ONNX Cast, "saturate").
func (f *miniFloat) encode(x float64, saturate bool) uint16 {
	sign := uint16(0)
	if math.Signbit(x) {
		sign, x = 1<<(f.exp+f.man), -x
	}
	if math.IsNaN(x) {
		return f.encodeNaN(sign)
	}
	mag := f.top + 1
	if x < math.Ldexp(1, 1<<f.exp-f.bias+1) {
		mag = f.round(x)
	}
	if mag > f.top {
		switch {
		case saturate || f.nan < 0:
			mag = f.top
		case f.inf:
			mag = (1<<f.exp - 1) << f.man
		default:
			return f.encodeNaN(sign)
		}
	}
	if mag == 0 && f.negNaN {
		return 0
	}
	return sign | uint16(mag)
}

func (f *miniFloat) encodeNaN(sign uint16) uint16 {
	switch {
	case f.nan < 0:
		return sign | uint16(f.top) // E2M1 has no NaN; ONNX leaves the result open
	case f.negNaN:
		return uint16(f.nan)
	}
	return sign | uint16(f.nan)
}

// round returns the magnitude code nearest to x >= 0, ties to even; it may exceed top.
func (f *miniFloat) round(x float64) int {
	if x == 0 {
		return 0
	}
	_, e := math.Frexp(x) // x in [2^(e-1), 2^e)
	e = max(e-1, 1-f.bias)
	m := int(math.RoundToEven(math.Ldexp(x, f.man-e)))
	return m + (e+f.bias-1)<<f.man // a mantissa of 2^man carries its hidden bit into the exponent
}

// decodeE8M0 returns 2^(code-127); 255 is NaN (OCP MX 1.0, section 5.4.1).
func decodeE8M0(code uint8) float64 {
	if code == 255 {
		return math.NaN()
	}
	return math.Ldexp(1, int(code)-127)
}
