package kernel

import "math"

// Powers, as in vec_math.go but for the logarithm and what follows from it, which are of float64.

const (
	magic64 = 3 << 51 // x+magic64 has RNE(x) in its low bits
	exp2Max = 160     // beyond all that float32 holds
)

// log2Poly: log₂((1+s)/(1−s))/s by s², for factors of √½ to √2, error 2.7e-14 of the result.
var log2Poly = [...]float64{2.88539008177785, 0.9617966941134005, 0.5770779423468428, 0.41220925432246486, 0.3199056120068346, 0.28290144493216884}

// exp2Poly: 2ʳ on |r| ≤ ½, error 1.9e-9.
var exp2Poly = [...]float64{1.0000000005542222, 0.6931472057371089, 0.24022646890405355, 0.05550328777509786, 0.009618488985280236, 0.0013399931049639334, 0.00015345804192248}

// powOne follows C's pow. The logarithm of what has none is made of k alone.
func powOne(x, y float32) float32 {
	a := absOne(x)
	v, k0 := a, float32(0)
	if a < minNormal {
		v, k0 = a*(1<<23), -23
	}
	f, k := logSplit(v)
	k += k0
	if a == 0 {
		k = float32(math.Inf(-1))
	}
	if !(a <= math.MaxFloat32) {
		k = a
	}
	p := powParts(f, k, y)
	if a == 1 || y == 0 {
		p = 1
	}
	return powSign(p, x, y)
}

// powParts is ((1+f)·2ᵏ)^y.
func powParts(f, k, y float32) float32 {
	s := float64(f) / (float64(f) + 2)
	t := float64(y) * (float64(s*poly64(log2Poly[:], float64(s*s))) + float64(k))
	if t < -exp2Max {
		t = -exp2Max
	}
	if t > exp2Max {
		t = exp2Max
	}
	n := t + magic64
	p := poly64(exp2Poly[:], t-(n-magic64))
	return float32(p * math.Float64frombits((math.Float64bits(n)+1023)<<52))
}

func poly64(c []float64, x float64) float64 {
	y := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		y = float64(y*x) + c[i]
	}
	return y
}

// powSign makes of p = |x|^y what it is with the sign of x.
func powSign(p, x, y float32) float32 {
	half := y * 0.5
	switch {
	case floorOne(y) != y:
		if x < 0 && x >= -math.MaxFloat32 {
			return float32(math.NaN())
		}
	case floorOne(half) != half && math.Float32bits(x)&signBit != 0:
		return negOne(p)
	}
	return p
}
