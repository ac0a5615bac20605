package op

import "math"

// A spectrum is a sequence of complex numbers.
type spectrum struct{ re, im []float64 }

func newSpectrum(n int) spectrum { return spectrum{make([]float64, n), make([]float64, n)} }

// fourier returns the discrete Fourier transform of x, with the exponent's sign +1 for the
// inverse (which the caller divides by the length). Even lengths split in halves (Cooley and
// Tukey), long odd ones become a convolution, short ones are summed term by term.
func fourier(x spectrum, sign float64) spectrum {
	n := len(x.re)
	if n%2 == 1 && n > 64 {
		return fourierChirp(x, sign)
	}
	if n%2 == 1 || n == 0 {
		return fourierSum(x, sign)
	}
	even, odd := newSpectrum(n/2), newSpectrum(n/2)
	for i := range n / 2 {
		even.re[i], even.im[i] = x.re[2*i], x.im[2*i]
		odd.re[i], odd.im[i] = x.re[2*i+1], x.im[2*i+1]
	}
	even, odd = fourier(even, sign), fourier(odd, sign)
	y := newSpectrum(n)
	for k := range n / 2 {
		sin, cos := math.Sincos(sign * 2 * math.Pi * float64(k) / float64(n))
		re, im := times(odd.re[k], odd.im[k], cos, sin)
		y.re[k], y.im[k] = even.re[k]+re, even.im[k]+im
		y.re[n/2+k], y.im[n/2+k] = even.re[k]-re, even.im[k]-im
	}
	return y
}

// fourierSum is the definition.
func fourierSum(x spectrum, sign float64) spectrum {
	n := len(x.re)
	y, turn := newSpectrum(n), newSpectrum(n)
	for i := range n {
		turn.im[i], turn.re[i] = math.Sincos(sign * 2 * math.Pi * float64(i) / float64(n))
	}
	for k := range n {
		at := 0
		for i := range n {
			re, im := times(x.re[i], x.im[i], turn.re[at], turn.im[at])
			y.re[k] += re
			y.im[k] += im
			if at += k; at >= n {
				at -= n
			}
		}
	}
	return y
}

// fourierChirp writes the transform as a convolution with e^(iπk²/n), which it computes at a
// power of two (Bluestein 1970).
func fourierChirp(x spectrum, sign float64) spectrum {
	n, size := len(x.re), 1
	for size < 2*n-1 {
		size *= 2
	}
	chirp, a, b := newSpectrum(n), newSpectrum(size), newSpectrum(size)
	for k := range n {
		chirp.im[k], chirp.re[k] = math.Sincos(sign * math.Pi * float64(k*k%(2*n)) / float64(n))
		a.re[k], a.im[k] = times(x.re[k], x.im[k], chirp.re[k], chirp.im[k])
		for _, at := range []int{k, (size - k) % size} {
			b.re[at], b.im[at] = chirp.re[k], -chirp.im[k]
		}
	}
	a, b = fourier(a, -1), fourier(b, -1)
	for k := range size {
		a.re[k], a.im[k] = times(a.re[k], a.im[k], b.re[k], b.im[k])
	}
	a = fourier(a, 1)
	y := newSpectrum(n)
	for k := range n {
		y.re[k], y.im[k] = times(a.re[k]/float64(size), a.im[k]/float64(size), chirp.re[k], chirp.im[k])
	}
	return y
}

// times multiplies two complex numbers.
func times(a, b, c, d float64) (re, im float64) {
	return float64(a*c) - float64(b*d), float64(a*d) + float64(b*c)
}
