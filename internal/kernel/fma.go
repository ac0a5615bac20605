package kernel

import "math"

// fma32 returns x·y + z rounded once, as the fused instructions of every machine do. (What Go makes
// of x*y + z differs between machines.)
func fma32(x, y, z float32) float32 {
	p := float64(x) * float64(y) // exact: 48 bits
	s := p + float64(z)
	b := math.Float64bits(s)
	if b&tail == half || b>>52&0x7ff < wholeExp {
		return fmaTie(p, float64(z), s)
	}
	return float32(s)
}

// addScaled adds x·w to acc, element by element, as fma32 does.
func addScaled(acc []float32, x float32, w []float32) {
	w = w[:len(acc)]
	f := float64(x)
	for j, v := range acc {
		p, z := f*float64(w[j]), float64(v)
		s := p + z
		b := math.Float64bits(s)
		if b&tail == half || b>>52&0x7ff < wholeExp {
			acc[j] = fmaTie(p, z, s)
			continue
		}
		acc[j] = float32(s)
	}
}

const (
	tail     = 1<<29 - 1  // the bits of a float64 that float32 has no room for
	half     = 1 << 28    // of them: in the middle between two float32
	wholeExp = 1023 - 126 // exponent from which float32 has all its bits
)

// fmaTie rounds p + z, of which s is the nearest float64, to float32. Where s is not exact its last
// bit is made odd, so that the second rounding goes the way of the exact sum (Boldo and Melquiond,
// When double rounding is odd, IMACS 2005). It is no part of fma32 so that that can be inlined.
//
//go:noinline
func fmaTie(p, z, s float64) float32 {
	if s-s != 0 {
		return float32(s)
	}
	v := s - p
	e := (p - (s - v)) + (z - v) // what s lacks (Knuth, TAOCP 2, 4.2.2)
	if b := math.Float64bits(s); e != 0 && b&1 == 0 {
		if (e > 0) == (s > 0) {
			b++
		} else {
			b--
		}
		s = math.Float64frombits(b)
	}
	return float32(s)
}
