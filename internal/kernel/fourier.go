package kernel

import (
	"math"
	"math/bits"
)

// mostRadix is the longest sum that a stage of a transform computes term by term.
const mostRadix = 31

// A Fourier is a discrete Fourier transform of one length, in stages of small radix (Cooley and Tukey 1965, in the order of
// Stockham 1966), or where a factor of the length is too large for one as a convolution (Bluestein 1970). It is read-only.
type Fourier struct {
	n      int
	sign   float64 // of the exponent
	stages []fourierStage
	chirp  *chirp // nil: the stages are of length n
}

// A fourierStage sums radix parts of what is left of the length, count apart.
type fourierStage struct {
	radix, count int
	turns        []complex128 // of the sums but the first, by butterfly
	cos, sin     []float64    // of odd radices: by sum and pair of terms
}

// NewFourier prepares transforms of n numbers, with the exponent's sign +1 for the inverse, which does not divide by n.
func NewFourier(n int, sign float64) *Fourier {
	t := &Fourier{n: n, sign: sign}
	left := n
	for left > 1 {
		r := radixOf(left)
		if r > mostRadix {
			t.stages, t.chirp = nil, newChirp(n, sign)
			return t
		}
		t.stages = append(t.stages, newFourierStage(r, left/r, sign))
		left /= r
	}
	return t
}

// radixOf is 4 or the least prime factor of n.
func radixOf(n int) int {
	if n%4 == 0 {
		return 4
	}
	for r := 2; r*r <= n; r++ {
		if n%r == 0 {
			return r
		}
	}
	return n
}

func newFourierStage(r, count int, sign float64) fourierStage {
	s := fourierStage{radix: r, count: count}
	for p := range count {
		for k := 1; k < r; k++ {
			s.turns = append(s.turns, unity(sign, p*k, r*count))
		}
	}
	if r%2 == 1 {
		for k := 1; k <= r/2; k++ {
			for j := 1; j <= r/2; j++ {
				w := unity(sign, j*k%r, r)
				s.cos, s.sin = append(s.cos, real(w)), append(s.sin, imag(w))
			}
		}
	}
	return s
}

// unity is e^(±2πi k/n).
func unity(sign float64, k, n int) complex128 {
	sin, cos := math.Sincos(sign * 2 * math.Pi * float64(k) / float64(n))
	return complex(cos, sin)
}

// Room is how many numbers Transform takes for each lane: twice those that the stages hold.
func (t *Fourier) Room() int {
	if t.chirp != nil {
		return 2 * t.chirp.size
	}
	return 2 * t.n
}

// Transform transforms lanes signals, which lie side by side at the start of room: number k of signal i is at k*lanes+i. It
// returns the part of room where the results lie likewise.
func (t *Fourier) Transform(room []complex128, lanes int) []complex128 {
	half := t.Room() / 2 * lanes
	x, y := room[:half], room[half:2*half]
	if t.chirp != nil {
		return t.chirp.transform(x, y, lanes)[:t.n*lanes]
	}
	x, _ = t.run(x, y, lanes)
	return x
}

// run makes all stages and returns the results first.
func (t *Fourier) run(x, y []complex128, stride int) (result, other []complex128) {
	for i := range t.stages {
		s := &t.stages[i]
		s.run(y, x, stride, t.sign)
		stride *= s.radix
		x, y = y, x
	}
	return x, y
}

// run makes one stage; numbers that are treated alike are stride long.
func (s *fourierStage) run(y, x []complex128, stride int, sign float64) {
	step, each := stride*s.count, s.radix-1
	for p := range s.count {
		to, from, w := y[p*s.radix*stride:][:s.radix*stride], x[p*stride:], s.turns[p*each:][:each]
		switch s.radix {
		case 2:
			fourierTwo(to, from, stride, step, w[0])
		case 4:
			fourierFour(to, from, stride, step, w, sign)
		default:
			s.odd(to, from, stride, step, w)
		}
	}
}

func fourierTwo(y, x []complex128, n, step int, w complex128) {
	a, b := x[:n], x[step:][:n]
	s, t := y[:n], y[n:][:n]
	for q := range n {
		s[q], t[q] = a[q]+b[q], times(a[q]-b[q], w)
	}
}

func fourierFour(y, x []complex128, n, step int, w []complex128, sign float64) {
	a, b, c, d := x[:n], x[step:][:n], x[2*step:][:n], x[3*step:][:n]
	s, t, u, v := y[:n], y[n:][:n], y[2*n:][:n], y[3*n:][:n]
	w1, w2, w3 := w[0], w[1], w[2]
	for q := range n {
		e, f, g, h := a[q]+c[q], a[q]-c[q], b[q]+d[q], b[q]-d[q]
		h = complex(-sign*imag(h), sign*real(h))
		s[q], t[q], u[q], v[q] = e+g, times(f+h, w1), times(e-g, w2), times(f-h, w3)
	}
}

// odd sums the terms in pairs, whose cosines are the same and whose sines are opposite.
func (s *fourierStage) odd(y, x []complex128, n, step int, w []complex128) {
	r, pairs := s.radix, s.radix/2
	var sums, differences [mostRadix / 2]complex128
	for q := range n {
		first := x[q]
		all := first
		for j := range pairs {
			a, b := x[(j+1)*step+q], x[(r-j-1)*step+q]
			sums[j], differences[j] = a+b, a-b
			all += a + b
		}
		y[q] = all
		for k := range pairs {
			cos, sin := s.cos[k*pairs:][:pairs], s.sin[k*pairs:][:pairs]
			er, ei, or, oi := real(first), imag(first), 0.0, 0.0
			for j := range pairs {
				er += float64(real(sums[j]) * cos[j])
				ei += float64(imag(sums[j]) * cos[j])
				or += float64(real(differences[j]) * sin[j])
				oi += float64(imag(differences[j]) * sin[j])
			}
			y[(k+1)*n+q] = times(complex(er-oi, ei+or), w[k])
			y[(r-k-1)*n+q] = times(complex(er+oi, ei-or), w[r-k-2])
		}
	}
}

// times is the product, rounded alike everywhere.
func times(a, b complex128) complex128 {
	return complex(float64(real(a)*real(b))-float64(imag(a)*imag(b)), float64(real(a)*imag(b))+float64(imag(a)*real(b)))
}

func conjugate(a complex128) complex128 { return complex(real(a), -imag(a)) }

// A chirp makes a transform of length n a convolution with e^(iπk²/n), at a power of two.
type chirp struct {
	n, size int
	turns   []complex128 // e^(±iπk²/n)
	against []complex128 // what they are convolved with, transformed and divided by size
	long    *Fourier
}

func newChirp(n int, sign float64) *chirp {
	size := 1 << bits.Len(uint(2*n-2))
	c := &chirp{n: n, size: size, turns: make([]complex128, n), long: NewFourier(size, -1)}
	room := make([]complex128, c.long.Room())
	for k := range n {
		c.turns[k] = unity(sign, k*k%(2*n), 2*n)
		w := conjugate(c.turns[k]) / complex(float64(size), 0)
		room[k], room[(size-k)%size] = w, w
	}
	c.against = c.long.Transform(room, 1)
	return c
}

// transform transforms the first n numbers of each lane of x. The way back is the way there between conjugates.
func (c *chirp) transform(x, y []complex128, lanes int) []complex128 {
	for k := range c.n {
		for i := range lanes {
			x[k*lanes+i] = times(x[k*lanes+i], c.turns[k])
		}
	}
	clear(x[c.n*lanes:])
	x, y = c.long.run(x, y, lanes)
	for k, w := range c.against {
		for i := range lanes {
			x[k*lanes+i] = conjugate(times(x[k*lanes+i], w))
		}
	}
	x, _ = c.long.run(x, y, lanes)
	for k, w := range c.turns {
		for i := range lanes {
			x[k*lanes+i] = times(conjugate(x[k*lanes+i]), w)
		}
	}
	return x
}
