package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
)

// Moments holds Σx and Σx² of finite float32 values without any rounding: integer sums of the
// significands for each exponent. So the sums depend on the multiset of values alone: not on
// their order, nor on how they were split over calls, threads or machines.
// It can take 2³⁹ values. The zero value is empty; equal sums compare equal.
type Moments struct {
	sum    [255]int64  // Σ of signed significands, in units of 2^(max(e,1)−150)
	lo, hi [255]uint64 // Σ of squared significands: its low 32 bits, and the bits above
}

// momentTable holds pairs (Σ of significands, Σ of their squares) by exponent, in four parts that
// are added up in the end.
type momentTable [4][256][2]uint64

// momentFn is an assembly body of [Level.AddMoments].
type momentFn func(t *momentTable, x *float32, n int)

// momentSpan is how many values go into one table. Squares below 2⁴⁸ allow for 2¹⁶ in each part.
const momentSpan = 1 << 16

// AddMoments adds the finite values of x to m; NaN and ±∞ are left out.
func (l Level) AddMoments(m *Moments, x []float32) {
	if f, n := momentAsm.part(l, len(x)); n >= 1024 { // below, the tables cost more than they save
		t := getScratch()
		defer t.free()
		spans(n, momentSpan, func(i, n int) {
			clear(t.moments[:])
			f(&t.moments, &x[i], n)
			m.join(&t.moments)
		})
		x = x[n:]
	}
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
	m.carry()
}

// carry leaves 32 bits in lo, so that equal sums have equal representations.
func (m *Moments) carry() {
	for e := range m.lo {
		m.hi[e] += m.lo[e] >> 32
		m.lo[e] &= math.MaxUint32
	}
}

func (m *Moments) join(t *momentTable) {
	for i := range t {
		for e := range m.sum {
			s, q := t[i][e][0], t[i][e][1]
			m.sum[e] += int64(s)
			m.lo[e] += q & math.MaxUint32
			m.hi[e] += q >> 32
		}
	}
}

// Merge adds the values of o.
func (m *Moments) Merge(o *Moments) {
	for e := range m.sum {
		m.sum[e] += o.sum[e]
		m.lo[e] += o.lo[e]
		m.hi[e] += o.hi[e]
	}
	m.carry()
}

// MarshalBinary writes the sums of each exponent, little endian: 255 times Σx as int64 and Σx² as
// 128 bits. Equal sums give equal bytes.
func (m *Moments) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, momentBytes)
	for e := range m.sum {
		b = binary.LittleEndian.AppendUint64(b, uint64(m.sum[e]))
		b = binary.LittleEndian.AppendUint64(b, m.lo[e]|m.hi[e]<<32)
		b = binary.LittleEndian.AppendUint64(b, m.hi[e]>>32)
	}
	return b, nil
}

const momentBytes = 255 * 24

// UnmarshalBinary reads what MarshalBinary wrote. It is an error if the length is not that.
func (m *Moments) UnmarshalBinary(b []byte) error {
	if len(b) != momentBytes {
		return fmt.Errorf("moments take %d bytes, here are %d", momentBytes, len(b))
	}
	for e := range m.sum {
		r := b[e*24:]
		low := binary.LittleEndian.Uint64(r[8:])
		m.sum[e] = int64(binary.LittleEndian.Uint64(r))
		m.lo[e] = low & math.MaxUint32
		m.hi[e] = low>>32 | binary.LittleEndian.Uint64(r[16:])<<32
	}
	return nil
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
		v := new(big.Int).SetUint64(m.hi[e])
		v.Lsh(v, 32).Add(v, new(big.Int).SetUint64(m.lo[e]))
		t.Add(t, v.Lsh(v, uint(2*(max(e, 1)-1))))
	}
	return scaled(t, -298)
}

// scaled is v·2^exp, rounded to nearest.
func scaled(v *big.Int, exp int) float64 {
	f, _ := new(big.Float).SetMantExp(new(big.Float).SetInt(v), exp).Float64()
	return f
}
