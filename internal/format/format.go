// Package format defines the ways lowbit writes a real number in few bits.
//
// A format is a ruler: a fixed set of marks. Quantizing a group of values picks how large
// the ruler is (Scale) and where it lies (Zero), then moves every value to its nearest mark:
//
//	x ≈ Scale · (mark[code] − Zero)
//
// Each format is one row in All. The package also holds the codecs of the standard small
// floating-point types, which the operators share.
package format

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

// All lists every format in the order that help and reports print them.
var All = []*Format{Int8, Uint8, Int16, Uint16, Int4, Uint4}

// Kind groups formats as the literature does.
type Kind string

// The families of formats.
const (
	Linear Kind = "linear"
)

// A Format is one row of the table of number formats.
type Format struct {
	Name   string       // the word in plans, flags and reports
	Bits   int          // of one code
	Kind   Kind         // family
	Lo, Hi int          // smallest and largest code of a whole-number grid
	Elem   tensor.DType // ONNX element type of the codes
	Zero   bool         // the ruler may shift: the zero point is fitted
	Opset  int          // first default-domain opset whose QuantizeLinear writes Elem
	Act    string       // activation format that its integer kernel pairs with; "": dequantize
}

// Params places the ruler over one group of values.
type Params struct {
	Scale float32
	Zero  int32
}

// Lookup returns the format with the given name, or nil.
func Lookup(name string) *Format {
	i := slices.IndexFunc(All, func(f *Format) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return All[i]
}

// ByElem returns the format whose codes are stored as element type d, or nil.
func ByElem(d tensor.DType) *Format {
	i := slices.IndexFunc(All, func(f *Format) bool { return f.Elem == d })
	if i < 0 {
		return nil
	}
	return All[i]
}

// Cover returns the parameters with which f spans [lo, hi], widened to hold zero exactly.
// A format without zero point is symmetric about zero and leaves its lowest code unused
// where that makes the codes symmetric too; symmetric asks the same of one that may shift.
// A range too small for a normal float32 scale gives scale one (ONNX Runtime's rule).
func (f *Format) Cover(lo, hi float64, symmetric bool) Params {
	lo, hi = min(lo, 0), max(hi, 0)
	qlo, qhi := float64(f.Lo), float64(f.Hi)
	if !f.Zero || symmetric {
		hi = max(-lo, hi)
		lo = -hi
		if f.Lo < 0 {
			qlo = -qhi
		}
	}
	scale := (hi - lo) / (qhi - qlo)
	p := Params{Scale: float32(scale)}
	if !(scale >= 0x1p-126) || math.IsInf(float64(p.Scale), 0) {
		return Params{Scale: 1, Zero: f.middle()}
	}
	if !f.Zero || symmetric {
		p.Zero = f.middle()
		return p
	}
	z := math.RoundToEven(qlo - lo/float64(p.Scale))
	p.Zero = int32(max(qlo, min(qhi, z)))
	return p
}

// middle is the code of zero in a symmetric grid: 0 for signed codes, 128 for uint8.
func (f *Format) middle() int32 {
	if f.Lo < 0 {
		return 0
	}
	return int32((f.Hi + 1) / 2)
}

// Encode writes the code of each value's nearest mark, in ONNX's order: divide, round half to
// even, add the zero point, saturate. NaN becomes the zero point.
func (f *Format) Encode(codes []int32, x []float32, p Params) {
	lo, hi := float32(f.Lo)-float32(p.Zero), float32(f.Hi)-float32(p.Zero)
	for i, v := range x {
		t := v / p.Scale
		switch {
		case t != t:
			t = 0
		case t < lo:
			t = lo
		case t > hi:
			t = hi
		}
		codes[i] = int32(math.RoundToEven(float64(t))) + p.Zero
	}
}

// Decode is the inverse of Encode: the value of each code.
func (f *Format) Decode(x []float32, codes []int32, p Params) {
	for i, c := range codes {
		x[i] = float32(c-p.Zero) * p.Scale
	}
}

// Range returns the smallest and largest value that p can express.
func (f *Format) Range(p Params) (lo, hi float32) {
	return p.Scale * float32(int32(f.Lo)-p.Zero), p.Scale * float32(int32(f.Hi)-p.Zero)
}

// Code returns the code of one number computed in float64: for int32, which float32 cannot hold.
func (f *Format) Code(x float64, p Params) int32 {
	t := math.RoundToEven(x/float64(p.Scale)) + float64(p.Zero)
	return int32(max(float64(f.Lo), min(float64(f.Hi), t)))
}
