package kernel

import (
	"flag"
	"math"
	"testing"
)

// stride is how far apart the tested bit patterns lie; 1 tests each float32 there is.
var stride = flag.Uint64("stride", 30011, "distance of the bit patterns that accuracy tests visit")

// accuracy says how far a function may be from float64: ulp units in the last place of the true
// value, or abs if that is more. Functions that go by eˣ take it for 0 below the normal range, least.
var accuracy = []struct {
	op   Unary
	p, q float32
	want func(x float64) float64
	ulp  float64
	abs  float64
}{
	{op: Exp, want: math.Exp, ulp: 1.1, abs: least},
	{op: Log, want: math.Log, ulp: 1.1},
	{op: Tanh, want: math.Tanh, ulp: 3},
	{op: Erf, want: math.Erf, ulp: 2.5},
	{op: Sigmoid, want: sigmoid64, ulp: 3, abs: least},
	{op: Gelu, want: gelu64, ulp: 4, abs: 3e-7},
	{op: GeluTanh, want: geluTanh64, ulp: 4, abs: 6e-7},
	{op: Silu, want: func(x float64) float64 { return x * sigmoid64(x) }, ulp: 4, abs: 88 * least},
	{op: HardSwish, want: hardSwish64, ulp: 4, abs: 3e-7},
	{op: Softplus, want: softplus64, ulp: 3, abs: least},
	{op: Softsign, want: func(x float64) float64 { return x / (1 + math.Abs(x)) }, ulp: 2},
	{op: Mish, want: func(x float64) float64 { return x * math.Tanh(softplus64(x)) }, ulp: 5, abs: 88 * least},
	{op: Sin, want: math.Sin, ulp: 1.6, abs: 1.2e-7},
	{op: Cos, want: math.Cos, ulp: 1.6, abs: 1.2e-7},
	{op: Celu, p: 0.3, q: 1 / 0.3, want: func(x float64) float64 { return max(x, 0) + min(0, 0.3*math.Expm1(x/0.3)) }, ulp: 2.1},
	{op: Elu, p: 1, q: 1, want: elu64, ulp: 2},
	{op: Tan, want: math.Tan, ulp: 4},
	{op: Asin, want: math.Asin, ulp: 2},
	{op: Acos, want: math.Acos, ulp: 2},
	{op: Atan, want: math.Atan, ulp: 2},
	{op: Sinh, want: math.Sinh, ulp: 2},
	{op: Cosh, want: math.Cosh, ulp: 2},
	{op: Asinh, want: math.Asinh, ulp: 4},
	{op: Acosh, want: math.Acosh, ulp: 3},
	{op: Atanh, want: math.Atanh, ulp: 3},
	{op: Sqrt, want: math.Sqrt, ulp: 0.5},
	{op: Reciprocal, want: func(x float64) float64 { return 1 / x }, ulp: 0.5},
}

const least = 0x1.02p-126 // e^-87.33 and a little

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func gelu64(x float64) float64    { return x * 0.5 * math.Erfc(-x/math.Sqrt2) }
func geluTanh64(x float64) float64 {
	return x * sigmoid64(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
}
func hardSwish64(x float64) float64 { return x * min(max(x/6+0.5, 0), 1) }
func softplus64(x float64) float64  { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
func elu64(x float64) float64 {
	if x > 0 {
		return x
	}
	return math.Expm1(x)
}

func TestAccuracy(t *testing.T) {
	var x, y [4096]float32
	for _, c := range accuracy {
		var worst, worstAbs, at float64
		for b := uint64(0); b < 1<<32; {
			n := 0
			for ; n < len(x) && b < 1<<32; b += *stride {
				if v := math.Float32frombits(uint32(b)); !math.IsInf(float64(v), 0) {
					x[n] = v
					n++
				}
			}
			Generic.UnaryWith(c.op, y[:n], x[:n], c.p, c.q)
			for i, v := range y[:n] {
				u, a := distance(v, c.want(float64(x[i])))
				if math.Abs(float64(v)) < 16 {
					worstAbs = max(worstAbs, a)
				}
				if u > worst && a > c.abs {
					worst, at = u, float64(x[i])
				}
			}
		}
		t.Logf("%-10s %.3f ulp at %g beyond an error of %g, %.2g below 16", c.op, worst, at, c.abs, worstAbs)
		if worst > c.ulp {
			t.Errorf("%s(%g): off by %.2f ulp, more than %g", c.op, at, worst, c.ulp)
		}
	}
}

// distance is the error of got in units in the last place of want, and as it is. The unit of a
// subnormal is that of the smallest normal number's.
func distance(got float32, want float64) (ulp, abs float64) {
	if math.IsNaN(want) != (got != got) {
		return math.Inf(1), math.Inf(1)
	}
	if math.IsNaN(want) || float64(got) == want || math.IsInf(float64(float32(want)), 0) && float32(want) == got {
		return 0, 0
	}
	_, e := math.Frexp(want)
	unit := math.Ldexp(1, max(e-24, -149))
	abs = math.Abs(float64(got) - want)
	return abs / unit, abs
}
