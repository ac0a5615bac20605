package kernel

import "math"

// Codes of signed powers of two: [ExponentZero] means 0, and it ± 2ⁱ means ± 2ⁱ, for i to [Exponents].
const (
	ExponentZero = 64
	Exponents    = 6
)

// LogCodes writes the code of each number rounded in the log domain: of magnitude 2ⁱ where i of the
// ascending bounds in at are no greater than |x|, of the sign of x, and 0 of 0. Bounds not in use are NaN.
// A NaN counts as a number below all bounds.
func (l Level) LogCodes(dst []uint8, x []float32, at *[Exponents]float32) {
	x = x[:len(dst)]
	f, m := logCodesAsm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &x[0], m, at)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = logCode(x[i], at)
	}
}

func logCode(x float32, at *[Exponents]float32) uint8 {
	mag := uint8(1)
	for _, t := range at {
		if float32(math.Abs(float64(x))) >= t {
			mag *= 2
		}
	}
	switch {
	case x == 0:
		return ExponentZero
	case math.Signbit(float64(x)):
		return ExponentZero - mag
	}
	return ExponentZero + mag
}

// logCodesFn is an assembly body of [Level.LogCodes].
type logCodesFn func(dst *uint8, x *float32, n int, at *[Exponents]float32)
