package calib

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
)

// An exactSum is Σx of finite float32 values without any rounding, in two's complement, least word first, in units of the
// least float32, 2⁻¹⁴⁹. So it depends on the multiset of values alone: not on their order, nor on how they were split over samples
// and threads. It has room for 2¹⁰⁶ values.
type exactSum [6]uint64

// add adds x, which is finite.
func (s *exactSum) add(x float32) {
	b := math.Float32bits(x)
	e, significand := b>>23&255, uint64(b&(1<<23-1))
	if e > 0 {
		significand |= 1 << 23
		e--
	}
	var v exactSum
	word, shift := e/64, e%64
	v[word], v[word+1] = significand<<shift, significand>>(64-shift)
	if x < 0 {
		v.negate()
	}
	s.merge(&v)
}

// merge adds the values of o.
func (s *exactSum) merge(o *exactSum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], o[i], carry)
	}
}

func (s *exactSum) negate() {
	carry := uint64(1)
	for i := range s {
		s[i], carry = bits.Add64(^s[i], 0, carry)
	}
}

// value is the sum, rounded once.
func (s *exactSum) value() float64 {
	m := *s
	minus := m[len(m)-1]>>63 != 0
	if minus {
		m.negate()
	}
	var b []byte
	for _, w := range slices.Backward(m[:]) {
		for i := 56; i >= 0; i -= 8 {
			b = append(b, byte(w>>i))
		}
	}
	f, _ := new(big.Float).SetMantExp(new(big.Float).SetInt(new(big.Int).SetBytes(b)), -149).Float64()
	if minus {
		return -f
	}
	return f
}
