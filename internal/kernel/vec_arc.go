package kernel

import "math"

// The circular and hyperbolic functions that tables and gates do not need, and their inverses, as in vec_math.go.

const (
	halfPiHi = 1.57079637   // float32 of π/2
	halfPiLo = -4.371139e-8 // and what it lacks
	hugeArc  = 16384        // from here on √(x²±1) is x
)

// Each is (f(a)−a)/a³ by a²: for a up to ½, atan and sinh up to 1. Relative to f(a) the errors are
// 4.9e-9, 7.1e-9, 3e-10, 1.3e-9 and 1.4e-9.
var (
	asinPoly  = [...]float32{0.16666752, 0.07495309, 0.045469306, 0.024183769, 0.04216035}
	atanPoly  = [...]float32{-0.333333, 0.19998536, -0.14264125, 0.10951637, -0.084019735, 0.057933863, -0.031155346, 0.01090299, -0.0017911041}
	sinhPoly  = [...]float32{0.16666667, 0.0083333105, 0.00019842894, 2.7822302e-06}
	asinhPoly = [...]float32{-0.16666643, 0.074986406, -0.044383086, 0.028162718, -0.01322807}
	atanhPoly = [...]float32{0.333333, 0.20002615, 0.1422076, 0.118415274, 0.05064739, 0.17773885}
)

// odd is a + a·z·c(z).
func odd(c []float32, a, z float32) float32 { return a + float32(float32(a*z)*poly(c, z)) }

// tanOne is sin/cos, and −cos/sin in odd quarters.
func tanOne(x float32) float32 {
	if !(absOne(x) <= sinMost) {
		return float32(math.Tan(float64(x)))
	}
	q, r := quarter(x, halfPiFine[:])
	s, c := sinPart(r), cosPart(r)
	if q&1 != 0 {
		s, c = negOne(c), s
	}
	return s / c
}

// halfArc takes the arcs of |x| > ½ by those of half the angle to 1: it gives asin s, where s is √((1−|x|)/2) for these.
func halfArc(x float32) (v float32, far bool) {
	a := absOne(x)
	s, z := a, a*a
	if far = a > 0.5; far {
		z = (1 - a) * 0.5
		s = sqrtOne(z)
	}
	return odd(asinPoly[:], s, z), far
}

func asinOne(x float32) float32 {
	v, far := halfArc(x)
	if far {
		v = (halfPiHi - (v + v)) + halfPiLo
	}
	return copySign(v, x)
}

func acosOne(x float32) float32 {
	v, far := halfArc(x)
	w := v
	if !far {
		w = copySign(v, x)
	}
	t := halfPiHi - (w - halfPiLo)
	switch {
	case !far:
		return t
	case x < 0:
		return t + t
	}
	return v + v
}

// atanOne is π/2 − atan(1/x) above 1.
func atanOne(x float32) float32 {
	a := absOne(x)
	far := a > 1
	if far {
		a = -1 / a
	}
	v := odd(atanPoly[:], a, a*a)
	if far {
		v = halfPiHi + (v + halfPiLo)
	}
	return copySign(v, x)
}

// expHalves is eˣ/2 and e⁻ˣ/2 for x ≥ 0.
func expHalves(x float32) (up, down float32) {
	if x > 90 {
		x = 90
	}
	p, n := expReduce(x)
	h := (n - 1) >> 1
	up = (1 + p) * pow2(h) * pow2(n-1-h)
	return up, 0.25 / up
}

func sinhOne(x float32) float32 {
	a := absOne(x)
	up, down := expHalves(a)
	v := up - down
	if a < 1 {
		v = odd(sinhPoly[:], a, a*a)
	}
	return copySign(v, x)
}

func coshOne(x float32) float32 {
	up, down := expHalves(absOne(x))
	return up + down
}

// logFrom is ln u + k·ln2 for u ≥ 1, and u where it is no such number.
func logFrom(u, k float32) float32 {
	f, e := logSplit(u)
	y := logParts(f, e+k)
	if !(u <= math.MaxFloat32) {
		return u
	}
	return y
}

// asinhOne is ln(a+√(a²+1)) from ½ on.
func asinhOne(x float32) float32 {
	a := absOne(x)
	u, k := a+sqrtOne(float32(a*a)+1), float32(0)
	if a > hugeArc {
		u, k = a, 1
	}
	v := logFrom(u, k)
	if a < 0.5 {
		v = odd(asinhPoly[:], a, a*a)
	}
	return copySign(v, x)
}

// acoshOne is ln(1+f) with f = t+√(t²+2t), t = x−1.
func acoshOne(x float32) float32 {
	t := x - 1
	f := t + sqrtOne(t*(t+2))
	u, k := 1+f, float32(0)
	if x > hugeArc {
		u, k = x, 1
	}
	v := logFrom(u, k)
	switch {
	case x < 1:
		return float32(math.NaN())
	case f < log1pSplit:
		return logParts(f, 0)
	}
	return v
}

// atanhOne is half of ln((1+a)/(1−a)) from ½ on.
func atanhOne(x float32) float32 {
	a := absOne(x)
	v := 0.5 * logOne((1+a)/(1-a))
	if a < 0.5 {
		v = odd(atanhPoly[:], a, a*a)
	}
	return copySign(v, x)
}
