package kernel

import (
	"math"
	"math/big"
)

// Moments holds Σx and Σx² of finite float32 values without any rounding: integer sums of the
// significands for each exponent. So the sums depend on the multiset of values alone: not on
// their order, nor on how they were split over calls, threads or machines.
// It can take 2³² values. The zero value is empty.
type Moments struct {
	sum    [255]int64  // Σ of signed significands, in units of 2^(max(e,1)−150)
	lo, hi [255]uint64 // Σ of squared significands: its low 32 bits, and the bits above
}

// AddMoments adds the finite values of x to m; NaN and ±∞ are left out.
func (l Level) AddMoments(m *Moments, x []float32) {
	for _, v := range x {
		b := math.Float32bits(v)
		e := b >> 23 & 255
		if e == 255 {
			continue
		}
		s := int64(b & (1<<23 - 1))
		if e > 0 {
			s |= 1 << 23
		}
		q := uint64(s * s)
		m.lo[e] += q & math.MaxUint32
		m.hi[e] += q >> 32
		if b&signBit != 0 {
			s = -s
		}
		m.sum[e] += s
	}
}

// Merge adds the values of o.
func (m *Moments) Merge(o *Moments) {
	for e := range m.sum {
		m.sum[e] += o.sum[e]
		m.lo[e] += o.lo[e]
		m.hi[e] += o.hi[e]
	}
}

// Sum is Σx, rounded once.
func (m *Moments) Sum() float64 {
	t := new(big.Int)
	for e := range m.sum {
		v := big.NewInt(m.sum[e])
		t.Add(t, v.Lsh(v, uint(max(e, 1)-1)))
	}
	return scaled(t, -149)
}

// SumSquares is Σx², rounded once.
func (m *Moments) SumSquares() float64 {
	t := new(big.Int)
	for e := range m.lo {
		c, lo := m.hi[e]+m.lo[e]>>32, m.lo[e]&math.MaxUint32
		v := new(big.Int).SetUint64(c)
		v.Lsh(v, 32).Add(v, new(big.Int).SetUint64(lo))
		t.Add(t, v.Lsh(v, uint(2*(max(e, 1)-1))))
	}
	return scaled(t, -298)
}

// scaled is v·2^exp, rounded to nearest.
func scaled(v *big.Int, exp int) float64 {
	f, _ := new(big.Float).SetMantExp(new(big.Float).SetInt(v), exp).Float64()
	return f
}
