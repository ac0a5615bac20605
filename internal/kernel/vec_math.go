package kernel

import "math"

// The scalar functions below are the definition of the vector kernels: the assembly does the same
// operations in the same order. A product that is added is written float32(a*b) so that no
// compiler contracts it. The polynomials are minimax fits of our own, relative to the result.

const (
	signBit = 1 << 31

	magic  = 12582912      // 1.5·2²³: x+magic has RNE(x) in its low bits
	log2e  = 1.44269504089 // 1/ln 2
	ln2Hi  = 0.693359375   // 355/512, so n·ln2Hi is exact for |n| < 2¹⁵
	ln2Lo  = -2.12194440055e-4
	expMin = -87.33 // e^x, near the least normal number, is taken for 0 below
	expMax = 89     // and is +Inf above

	sqrtHalf   = 0.70710678119
	geluCubic  = 0.0356774081363   // 0.044715·√(2/π)
	geluLinear = 0.797884560803    // √(2/π)
	erfMax     = 3.9999998         // erf rounds to 1 from here on
	sqrtHalfI  = 0x3f3504f3        // bits of √½
	minNormal  = 1.17549435082e-38 // 2⁻¹²⁶
	log1pSplit = 0.414213562373    // √2 − 1
)

// expPoly: (eʳ−1−r)/r² on |r| ≤ ln2/2, error 3.2e-9.
var expPoly = [...]float32{0.5, 0.16666518, 0.041666206, 0.008368953, 0.0013950602}

// logPoly: (ln(1+f)−f+f²/2)/f³ on √½ ≤ 1+f ≤ √2, error 5.8e-9.
var logPoly = [...]float32{0.3333333, -0.2500082, 0.20001227, -0.16623357, 0.14201757, -0.13160183, 0.12761576, -0.07634497}

// erfTable[d][k] is the coefficient of tᵈ of erf(k/4+t) for 0 ≤ t < ¼, error 5.4e-8 in the first piece,
// where the constant is 0, and 3.5e-8 in the others.
var erfTable = [...][16]float32{
	{
		0.0, 0.2763264, 0.5204999, 0.71115565, 0.8427008, 0.92290014, 0.96610516, 0.9866717,
		0.9953223, 0.9985373, 0.999593, 0.9998994, 0.9999779, 0.9999957, 0.9999993, 0.9999999,
	},
	{
		1.1283791, 1.0600128, 0.8787813, 0.6429307, 0.415108, 0.23652187, 0.11893079, 0.052775145,
		0.020666927, 0.0071422127, 0.0021782063, 0.0005862372, 0.000139237, 2.918378e-05, 5.3979984e-06, 8.8110323e-07,
	},
	{
		6.9993785e-06, -0.26493642, -0.43932846, -0.4821796, -0.4151301, -0.2956864, -0.17841922, -0.092363596,
		-0.04133141, -0.016065257, -0.0054420205, -0.0016103532, -0.00041698955, -9.4611576e-05, -1.8828803e-05, -3.2893647e-06,
	},
	{
		-0.37633228, -0.31037128, -0.147584, 0.026437027, 0.13874117, 0.1681363, 0.13916808, 0.09029092,
		0.048182685, 0.021639898, 0.008286058, 0.002726931, 0.00077550876, 0.00019131586, 4.1057727e-05, 7.681614e-06,
	},
	{
		0.0020243837, 0.13649401, 0.19210719, 0.15376708, 0.06650193, -0.010807472, -0.047920812, -0.049230423,
		-0.03417608, -0.018431647, -0.008116368, -0.00298965, -0.00093404186, -0.00024970755, -5.7469064e-05, -1.1435457e-05,
	},
	{
		0.105946824, 0.04627624, -0.026580792, -0.066581786, -0.06106705, -0.030680588, -0.0023366292, 0.011307714,
		0.012437112, 0.008361112, 0.004239076, 0.0017297728, 0.00058530853, 0.00016698266, 4.058446e-05, 8.4623625e-06,
	},
}

// Cody and Waite's reduction by π/2: the whole multiples of the first two parts are exact for |x| up to sinMost.
const (
	twoOverPi = 0.63661977236758
	sinMost   = 8192
)

// halfPi are the parts of π/2. Near its poles and zeros the tangent needs those of halfPiFine.
var (
	halfPi     = [...]float32{1.5703125, 4.837512969970703e-4, 7.549790126404332e-8}
	halfPiFine = [...]float32{1.5703125, 4.837512969970703e-4, 7.543712854385376e-8, 6.07710062827671e-11}
)

// sinPoly: (sin r − r)/r³ and cosPoly: (cos r − 1 + r²/2)/r⁴, by r², on |r| ≤ π/4, errors 3.6e-9 of r and 9.6e-11.
var (
	sinPoly = [...]float32{-0.16666655, 0.008332178, -0.00019517266}
	cosPoly = [...]float32{0.041666646, -0.0013887368, 2.4438415e-05}
)

func sinOne(x float32) float32 { return quarters(x, 0, math.Sin) }
func cosOne(x float32) float32 { return quarters(x, 1, math.Cos) }

// quarters is sin(x + turn·π/2), which beyond sinMost is that of float64.
func quarters(x float32, turn uint32, wide func(float64) float64) float32 {
	if !(absOne(x) <= sinMost) {
		return float32(wide(float64(x)))
	}
	q, r := quarter(x, halfPi[:])
	q += turn
	v := sinPart(r)
	if q&1 != 0 {
		v = cosPart(r)
	}
	return math.Float32frombits(math.Float32bits(v) ^ q<<30&signBit)
}

// quarter splits x = q·π/2 + r, by the parts of π/2, and gives the low bits of q.
func quarter(x float32, parts []float32) (q uint32, r float32) {
	t := float32(x*twoOverPi) + magic
	k := t - magic
	r = x
	for _, p := range parts {
		r -= float32(k * p)
	}
	return math.Float32bits(t), r
}

// sinPart and cosPart are the sine and cosine of |r| ≤ π/4.
func sinPart(r float32) float32 {
	z := r * r
	return r + float32(float32(r*z)*poly(sinPoly[:], z))
}

func cosPart(r float32) float32 {
	z := r * r
	return (1 - float32(z*0.5)) + float32(float32(z*z)*poly(cosPoly[:], z))
}

func poly(c []float32, x float32) float32 {
	y := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		y = float32(y*x) + c[i]
	}
	return y
}

func reluOne(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x
}

func negOne(x float32) float32    { return math.Float32frombits(math.Float32bits(x) ^ signBit) }
func absOne(x float32) float32    { return math.Float32frombits(math.Float32bits(x) &^ signBit) }
func squareOne(x float32) float32 { return x * x }

func sqrtOne(x float32) float32       { return float32(math.Sqrt(float64(x))) }
func reciprocalOne(x float32) float32 { return 1 / x }
func floorOne(x float32) float32      { return float32(math.Floor(float64(x))) }
func ceilOne(x float32) float32       { return float32(math.Ceil(float64(x))) }
func roundOne(x float32) float32      { return float32(math.RoundToEven(float64(x))) }

// clampOne keeps NaN; where lo > hi it gives hi.
func clampOne(x, lo, hi float32) float32 {
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}

func copySign(x, sign float32) float32 {
	return math.Float32frombits(math.Float32bits(x) | math.Float32bits(sign)&signBit)
}

// expReduce splits x = n·ln2 + r and returns eʳ−1 and n.
func expReduce(x float32) (float32, int32) {
	t := float32(x*log2e) + magic
	n := t - magic
	r := x - float32(n*ln2Hi)
	r -= float32(n * ln2Lo)
	p := float32(float32(r*r)*poly(expPoly[:], r)) + r
	return p, int32(math.Float32bits(t)) - int32(math.Float32bits(magic))
}

func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// expOne is eˣ, with 0 for results below the normal range: an instruction that makes a subnormal number
// takes a hundred times as long, and gates and attention masks live there. The power of two goes in by
// halves, so that it may leave the range.
func expOne(x float32) float32 {
	p, n := expReduce(clampOne(x, expMin, expMax))
	h := n >> 1
	y := (1 + p) * pow2(h) * pow2(n-h)
	if x < expMin {
		return 0
	}
	return y
}

// expm1One is eˣ−1 for −20 ≤ x ≤ 20.
func expm1One(x float32) float32 {
	p, n := expReduce(x)
	s := pow2(n)
	return float32(s*p) + (s - 1)
}

// logParts is ln(1+f) + k·ln2.
func logParts(f, k float32) float32 {
	z := f * f
	y := float32(float32(f*z)*poly(logPoly[:], f)) + float32(k*ln2Lo)
	y -= float32(0.5 * z)
	y += f
	return y + float32(k*ln2Hi)
}

// logSplit is v = (1+f)·2ᵏ.
func logSplit(v float32) (f, k float32) {
	i := int32(math.Float32bits(v))
	e := (i - sqrtHalfI) >> 23
	return math.Float32frombits(uint32(i-e<<23)) - 1, float32(e)
}

func logOne(x float32) float32 {
	v, k0 := x, float32(0)
	if x < minNormal {
		v, k0 = x*(1<<23), -23
	}
	f, k := logSplit(v)
	y := logParts(f, k+k0)
	switch {
	case !(x <= math.MaxFloat32):
		return x
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	}
	return y
}

// tanhOne is t/(t+2) with t = e^2|x| − 1.
func tanhOne(x float32) float32 {
	a := absOne(x)
	if a > 10 {
		a = 10
	}
	t := expm1One(a + a)
	return copySign(t/(t+2), x)
}

// erfOne is a polynomial on each quarter up to 4.
func erfOne(x float32) float32 {
	a := absOne(x)
	if a > erfMax {
		a = erfMax
	}
	k := int32(a * 4)
	t := a - float32(float32(k)*0.25)
	k &= 15 // of NaN, too
	y := erfTable[5][k]
	for d := 4; d >= 0; d-- {
		y = float32(y*t) + erfTable[d][k]
	}
	return copySign(y, x)
}

// sigmoidOne is e/(1+e) below zero and 1/(1+e) above, e = e^−|x|.
func sigmoidOne(x float32) float32 {
	e := expOne(negOne(absOne(x)))
	num := float32(1)
	if math.Float32bits(x)&signBit != 0 {
		num = e
	}
	return num / (1 + e)
}

// atLeast keeps NaN. The gates below multiply with 0 where x is very negative: a bound keeps
// −∞·0 out, and the result is −0.
func atLeast(x, lo float32) float32 {
	if x < lo {
		return lo
	}
	return x
}

func geluOne(x float32) float32 {
	x = atLeast(x, -20)
	return float32(0.5*x) * (1 + erfOne(x*sqrtHalf))
}

func geluTanhOne(x float32) float32 {
	x = atLeast(x, -20)
	u := x * (float32(float32(x*x)*geluCubic) + geluLinear)
	return float32(0.5*x) * (1 + tanhOne(u))
}

func siluOne(x float32) float32 { return atLeast(x, -150) * sigmoidOne(x) }

func hardSwishOne(x float32) float32 {
	return atLeast(x, -3) * clampOne(float32(x*(1.0/6))+0.5, 0, 1)
}

// softplusOne is max(x, 0) + ln(1+e), e = e^−|x|, with 1+e taken as (1+f)·2ᵏ exactly.
func softplusOne(x float32) float32 {
	e := expOne(negOne(absOne(x)))
	f, k := (e-1)*0.5, float32(1)
	if e < log1pSplit {
		f, k = e, 0
	}
	return reluOne(x) + logParts(f, k)
}

func softsignOne(x float32) float32 {
	x = clampOne(x, -math.MaxFloat32, math.MaxFloat32)
	return x / (1 + absOne(x))
}

// mishOne: tanh(ln(1+w)) = n/(n+2) with w = eˣ, n = w·(w+2).
func mishOne(x float32) float32 {
	x = atLeast(x, -150)
	w := expOne(clampOne(x, -150, 20))
	n := float32(w * (w + 2))
	return x * (n / (n + 2))
}

func eluOne(x, p, q float32) float32 {
	if x > 0 {
		return q * x
	}
	return p * expm1One(atLeast(x, -20))
}

func celuOne(x, p, q float32) float32 {
	if x > 0 {
		return x
	}
	return p * expm1One(atLeast(x*q, -20))
}

func thresholdOne(x, p, _ float32) float32 {
	if x > p {
		return x
	}
	return 0
}

func shrinkOne(x, p, q float32) float32 {
	switch {
	case x < -q:
		return x + p
	case x > q:
		return x - p
	}
	return 0
}

func hardSigmoidOne(x, p, q float32) float32 { return clampOne(float32(x*p)+q, 0, 1) }

func subTwoOne(x, p, q float32) float32 { return x - p - q }

func scaleShiftOne(x, p, q float32) float32 { return float32(x*p) + q }
