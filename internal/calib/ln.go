package calib

import "math"

// lnSteps is how many parts an octave is cut into.
const lnSteps = 128

// lnTable holds, for the middle c of each part of [1, 2), 1/c and ln c.
var lnTable = func() (t [lnSteps][2]float64) {
	for i := range t {
		inverse := 1 / (1 + (float64(i)+0.5)/lnSteps)
		// −ln v = 2·artanh s of s = (1−v)/(1+v), |s| ≤ 1/3
		s := (1 - inverse) / (1 + inverse)
		power, sum := s, 0.0
		for k := 1; k < 70; k += 2 {
			sum += float64(power / float64(k))
			power = float64(power*s) * s
		}
		t[i] = [2]float64{inverse, 2 * sum}
	}
	return t
}()

// ln is the natural logarithm of a finite x > 0, to within a few units of its last place (of 1, near
// x = 1). Every machine computes the same bits: math.Log is written in assembly on some, and
// products may be fused with sums on others, which the conversions here prevent.
func ln(x float64) float64 {
	m, e := math.Frexp(x)
	i := int(float64(m*(2*lnSteps))) - lnSteps
	r := float64(2*m*lnTable[i][0]) - 1 // |r| < 1/256
	r2 := float64(r * r)
	high := float64(r2*(float64(r*(1.0/5))-float64(r2*(1.0/6)))) + (float64(r*(1.0/3)) - float64(r2*(1.0/4)))
	p := r - float64(r2*(1.0/2)) + float64(r2*high) // r − r²/2 + r³/3 − r⁴/4 + r⁵/5 − r⁶/6
	return float64(float64(e-1)*math.Ln2) + (lnTable[i][1] + p)
}
