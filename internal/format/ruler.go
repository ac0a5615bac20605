package format

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"unsafe"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A ruler is what follows from the marks of a format: their order, and where one gives way to
// the next.
type ruler struct {
	once sync.Once
	ord  []int32   // codes by ascending mark; of codes with equal marks the first
	at   []float32 // the marks in that order
	mid  []float32 // between at[i] and at[i+1]
	nan  int32     // code of NaN
}

// grid says whether the marks are consecutive whole numbers that equal their codes.
func (f *Format) grid() bool { return f.Lo < f.Hi }

// mini is the floating-point type whose numbers are the marks, nil where there are others.
func (f *Format) mini() *miniFloat {
	if f.grid() || f.Marks != nil {
		return nil
	}
	return miniFloats[f.Elem]
}

// prepare makes the ruler.
func (f *Format) prepare() *ruler {
	f.once.Do(func() {
		r := &f.ruler
		marks := f.Marks
		if m := f.mini(); m != nil && m.width() <= 8 {
			marks = marksOf(f.Elem)
		}
		for c, m := range marks {
			if m-m == 0 {
				r.ord = append(r.ord, int32(c))
			}
		}
		slices.SortStableFunc(r.ord, func(a, b int32) int { return cmp.Compare(marks[a], marks[b]) })
		r.ord = slices.CompactFunc(r.ord, func(a, b int32) bool { return marks[a] == marks[b] })
		for i, c := range r.ord {
			r.at = append(r.at, marks[c])
			if i > 0 {
				r.mid = append(r.mid, f.middle(r.at[i-1], r.at[i]))
			}
		}
		if len(r.ord) > 0 {
			r.nan = r.find(0)
		}
	})
	return &f.ruler
}

// middle is where two neighbouring marks part.
func (f *Format) middle(a, b float32) float32 {
	if f.Mid != nil {
		return f.Mid(a, b)
	}
	return a + (b-a)/2
}

// find returns the code of the mark nearest to t. A tie goes to the even code.
func (r *ruler) find(t float32) int32 {
	if t != t {
		return r.nan
	}
	lo := 0
	for n := len(r.mid); n > 0; { // without branches on t, which nothing predicts
		half := (n + 1) / 2
		above := 0
		if t > r.mid[lo+half-1] {
			above = 1
		}
		lo, n = lo+above*half, n-half
	}
	if lo < len(r.mid) && t == r.mid[lo] && r.ord[lo]&1 == 1 {
		lo++
	}
	return r.ord[lo]
}

// ends returns the smallest and the largest mark.
func (f *Format) ends() (lo, hi float32) {
	switch m := f.mini(); {
	case f.grid():
		return float32(f.Lo), float32(f.Hi)
	case m != nil:
		top := float32(m.decode(uint16(m.top)))
		return -top, top
	}
	r := f.prepare()
	return r.at[0], r.at[len(r.at)-1]
}

// Mark returns what a code means before scaling.
func (f *Format) Mark(code int32) float32 {
	switch m := f.mini(); {
	case f.grid():
		return float32(code)
	case m != nil:
		return float32(m.decode(uint16(code)))
	}
	return f.Marks[code]
}

// Codes is how many codes a format with Marks has, 0 for others.
func (f *Format) Codes() int { return len(f.Marks) }

// Steps returns the marks in ascending order, and the points between neighbours above which the
// next one is taken. Both are nil for whole numbers and for floats of more than eight bits.
func (f *Format) Steps() (marks, between []float32) {
	r := f.prepare()
	return r.at, r.mid
}

// Encode writes the code of each value's nearest mark. Whole numbers follow ONNX's order: divide,
// round half to even, add the zero point, saturate; NaN becomes the zero point. Other marks are
// found by the points where neighbours part, a tie going to the even code; beyond the ends
// values saturate, and NaN becomes NaN where the format has one, else the code nearest zero.
func (f *Format) Encode(codes []int32, x []float32, p Params) {
	switch m := f.mini(); {
	case f.grid() && f.Bits <= 8 && len(x) >= leastBytes:
		f.encodeBytes(codes, x, p)
	case f.grid():
		f.encodeGrid(codes, x, p)
	case m != nil && m.width() == 16 && p.Scale == 1:
		buf := make([]uint16, min(1024, len(x)))
		for len(x) > 0 {
			part := buf[:min(len(buf), len(x))]
			m.encodeHalves(part, x)
			for i, c := range part {
				codes[i] = int32(c)
			}
			codes, x = codes[len(part):], x[len(part):]
		}
	case m != nil:
		for i, v := range x {
			codes[i] = int32(m.encode(float64(v/p.Scale), true))
		}
	default:
		r := f.prepare()
		for i, v := range x {
			codes[i] = r.find(v / p.Scale)
		}
	}
}

func (f *Format) encodeGrid(codes []int32, x []float32, p Params) {
	for i, v := range x {
		codes[i] = f.gridCode(v, p)
	}
}

// gridCode is the code of one value on a grid of whole numbers.
func (f *Format) gridCode(v float32, p Params) int32 {
	lo, hi := float32(f.Lo)-float32(p.Zero), float32(f.Hi)-float32(p.Zero)
	t := v / p.Scale
	switch {
	case t != t:
		t = 0
	case t < lo:
		t = lo
	case t > hi:
		t = hi
	}
	return int32(math.RoundToEven(float64(t))) + p.Zero
}

// level is that of the kernels that encode whole numbers of eight bits.
var level, _ = kernel.Best() // an error shows where networks are compiled

// leastBytes is how many values it takes for the kernels to gain.
const leastBytes = 32

// narrowRun is how many codes are made as bytes at a time where wider ones are wanted.
const narrowRun = 1024

var narrow = sync.Pool{New: func() any { return new([narrowRun]byte) }}

// encodeBytes is encodeGrid by kernels.
func (f *Format) encodeBytes(codes []int32, x []float32, p Params) {
	buf := narrow.Get().(*[narrowRun]byte)
	defer narrow.Put(buf)
	for len(x) > 0 {
		part := buf[:min(narrowRun, len(x))]
		f.encodeNarrow(part, x[:len(part)], p)
		if f.Lo < 0 {
			for i, c := range part {
				codes[i] = int32(int8(c))
			}
		} else {
			for i, c := range part {
				codes[i] = int32(c)
			}
		}
		codes, x = codes[len(part):], x[len(part):]
	}
}

// encodeNarrow writes codes of eight bits or fewer as a byte each. Those of kernels saturate at the ends of a byte first.
func (f *Format) encodeNarrow(codes []byte, x []float32, p Params) {
	if f.Lo < 0 {
		codes := asInt8(codes)
		level.QuantizeS8(codes, x, p.Scale, int8(p.Zero))
		saturate(codes, x, int8(f.Lo), int8(f.Hi), int8(p.Zero))
	} else {
		level.QuantizeU8(codes, x, p.Scale, uint8(p.Zero))
		saturate(codes, x, uint8(f.Lo), uint8(f.Hi), uint8(p.Zero))
	}
}

// asInt8 returns bytes as numbers with a sign.
func asInt8(b []byte) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// decodeNarrow is decodeRun of codes of a byte each.
func (f *Format) decodeNarrow(x []float32, codes []byte, p []Params, own owner) {
	one := p[own.first]
	switch {
	case own.step == 0 && f.Lo < 0 && one.Zero == int32(int8(one.Zero)):
		level.DequantizeS8(x, asInt8(codes), one.Scale, int8(one.Zero))
	case own.step == 0 && f.Lo >= 0 && one.Zero == int32(uint8(one.Zero)):
		level.DequantizeU8(x, codes, one.Scale, uint8(one.Zero))
	default:
		for i, c := range codes {
			code, by := int32(c), p[own.of(i)]
			if f.Lo < 0 {
				code = int32(int8(c))
			}
			x[i] = float32(code-by.Zero) * by.Scale
		}
	}
}

// saturate moves codes between lo and hi, and those of NaN to zero.
func saturate[T int8 | uint8](codes []T, x []float32, lo, hi, zero T) {
	for i, v := range x {
		c := max(lo, min(hi, codes[i]))
		if v != v {
			c = zero
		}
		codes[i] = c
	}
}

// encodeHalves writes the codes of numbers in a float of 16 bits by kernels, but for those without a finite one.
func (m *miniFloat) encodeHalves(codes []uint16, x []float32) {
	if m == miniFloats[tensor.Float16] {
		level.EncodeF16(codes, x)
	} else {
		level.EncodeBF16(codes, x)
	}
	top := uint16(1<<m.exp-1) << m.man
	for i, c := range codes {
		if c&top == top {
			codes[i] = m.encode(float64(x[i]), true)
		}
	}
}

// Halves returns float32 numbers as a tensor of 16-bit floats of type d: to nearest, ties to even; beyond the ends they saturate.
func Halves(d tensor.DType, x []float32, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	miniFloats[d].encodeHalves(tensor.Of[uint16](t), x)
	return t
}

// FromHalves returns a tensor of 16-bit floats as float32.
func FromHalves(t *tensor.Tensor) *tensor.Tensor {
	y := tensor.New(tensor.Float32, t.Shape...)
	miniFloats[t.DType].decodeHalves(tensor.Of[float32](y), tensor.Of[uint16](t))
	return y
}

// decodeHalves writes what codes of a float of 16 bits mean.
func (m *miniFloat) decodeHalves(x []float32, codes []uint16) {
	if m == miniFloats[tensor.Float16] {
		level.DecodeF16(x, codes)
	} else {
		level.DecodeBF16(x, codes)
	}
}

// Decode is the inverse of Encode: the value of each code.
func (f *Format) Decode(x []float32, codes []int32, p Params) {
	if f.grid() {
		for i, c := range codes {
			x[i] = float32(c-p.Zero) * p.Scale
		}
		return
	}
	for i, c := range codes {
		x[i] = f.Mark(c) * p.Scale
	}
}

// Nearest returns the number that x becomes in the format, computed in float64.
func (f *Format) Nearest(x float64, p Params) float64 {
	s := float64(p.Scale)
	switch m := f.mini(); {
	case f.grid():
		q := math.RoundToEven(x/s) + float64(p.Zero)
		return (math.Max(float64(f.Lo), math.Min(float64(f.Hi), q)) - float64(p.Zero)) * s
	case m != nil:
		return m.decode(m.encode(x/s, true)) * s
	}
	return float64(f.Marks[f.prepare().find(float32(x/s))]) * s
}

// Range returns the smallest and largest value that p can express.
func (f *Format) Range(p Params) (lo, hi float32) {
	a, b := f.ends()
	z := float32(p.Zero)
	return p.Scale * (a - z), p.Scale * (b - z)
}

// Normal returns the least magnitude that a floating-point format writes with all its digits, 0 for others.
func (f *Format) Normal() float32 {
	if m := f.mini(); m != nil {
		return float32(math.Ldexp(1, 1-m.bias))
	}
	return 0
}

// Code returns the code of one number computed in float64: for int32, which float32 cannot hold.
func (f *Format) Code(x float64, p Params) int32 {
	t := math.RoundToEven(x/float64(p.Scale)) + float64(p.Zero)
	return int32(max(float64(f.Lo), min(float64(f.Hi), t)))
}
