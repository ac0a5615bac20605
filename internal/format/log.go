package format

import (
	"math"

	"lowbit/internal/tensor"
)

// Log4 keeps a sign and an exponent of three bits: 0 and ±1, ±2, … ±64, so that a product is a
// shift. Code 0 is kept for zero, and the scale is a power of two (Miyashita et al.,
// Convolutional Neural Networks using Logarithmic Data Representation, 2016, section 3).
var Log4 = &Format{
	Name: "log4", Bits: 4, Kind: Logarithmic, Marks: powers(4, 1), Elem: tensor.Uint4, Via: Pick, Opset: 21,
	Acts: []string{"uint8", "log4"}, Search: true, Snap: powerAbove, Mid: logMiddle,
}

// Log4Sqrt2 has half the steps of Log4: 0 and ±√2ᵏ for k = 0…6.
var Log4Sqrt2 = &Format{
	Name: "log4-sqrt2", Bits: 4, Kind: Logarithmic, Marks: powers(4, 0.5), Elem: tensor.Uint4, Via: Table, Opset: 21,
	Parts: rootParts(powers(4, 0.5)), Acts: []string{"uint8"},
	Search: true, Snap: powerAbove, Mid: logMiddle,
}

// Log5 has an exponent of four bits: 0 and ±2ᵏ for k = 0…14.
var Log5 = &Format{
	Name: "log5", Bits: 5, Kind: Logarithmic, Marks: powers(5, 1), Elem: tensor.Uint8, Via: Pick, Opset: 21,
	Parts: byteParts(powers(5, 1)), Acts: []string{"uint8"},
	Search: true, Snap: powerAbove, Mid: logMiddle,
}

// powers lists zero and ±2^(step·k), the sign in the highest bit of the code and k+1 below it.
// Minus zero stays unused.
func powers(bits int, step float64) []float32 {
	m := make([]float32, 1<<bits)
	half := len(m) / 2
	for k := 1; k < half; k++ {
		v := float32(math.Exp2(step * float64(k-1)))
		m[k], m[half+k] = v, -v
	}
	m[half] = float32(math.NaN())
	return m
}

// byteParts splits whole numbers of sixteen bits into 256 times one and another of eight.
func byteParts(marks []float32) []Part {
	high, low := make([]int8, len(marks)), make([]int8, len(marks))
	for c, m := range marks {
		if m == m {
			low[c] = int8(int(m))
			high[c] = int8((int(m) - int(low[c])) >> 8)
		}
	}
	return []Part{{1, low}, {256, high}}
}

// rootParts splits powers of √2 into whole ones and such times √2.
func rootParts(marks []float32) []Part {
	whole, root := make([]int8, len(marks)), make([]int8, len(marks))
	for c, m := range marks {
		switch {
		case m != m:
		case m == float32(int8(m)):
			whole[c] = int8(m)
		default:
			root[c] = int8(math.Round(float64(m) / math.Sqrt2))
		}
	}
	return []Part{{1, whole}, {math.Sqrt2, root}}
}

// logMiddle is halfway between two marks in the log domain. Next to zero it is zero: the
// exponent is clipped, and only zero itself is zero.
func logMiddle(a, b float32) float32 {
	if a == 0 || b == 0 {
		return 0
	}
	m := math.Sqrt(float64(a) * float64(b))
	if a < 0 {
		m = -m
	}
	return float32(m)
}

// Exponents returns the exponents of the smallest and the largest magnitude above zero of a
// logarithmic format, to base two.
func (f *Format) Exponents() (least, most float64) {
	_, top := f.ends()
	return math.Log2(float64(f.Marks[1])), math.Log2(float64(top))
}

// ExponentStep is the difference between the exponents of neighbouring marks of a logarithmic format.
func (f *Format) ExponentStep() float64 {
	least, most := f.Exponents()
	return (most - least) / float64(len(f.Marks)/2-2)
}
