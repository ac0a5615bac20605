package calib

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	"lowbit/internal/kernel"
)

// A keptStats is Stats as JSON holds them.
type keptStats struct {
	Count, Zeros, NaNs, Infs uint64
	Min, Max                 uint32 // the bits: they may be infinite
	Samples, Finite, Exp     int
	Mins, Maxs               []byte // of sums, as varints
	Neg, Pos                 []byte // as varints, without the zeros at the end; null where there are none
}

// MarshalJSON writes all that is kept.
func (s *Stats) MarshalJSON() ([]byte, error) {
	k := keptStats{
		Count: s.Count, Zeros: s.Zeros, NaNs: s.NaNs, Infs: s.Infs, Min: math.Float32bits(s.Min), Max: math.Float32bits(s.Max),
		Samples: s.Samples, Finite: s.finite, Exp: s.Exp, Neg: packed(s.Neg), Pos: packed(s.Pos),
	}
	var errMin, errMax error
	k.Mins, errMin = packedSums(&s.mins)
	k.Maxs, errMax = packedSums(&s.maxs)
	if err := errors.Join(errMin, errMax); err != nil {
		return nil, err
	}
	return json.Marshal(k)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Stats) UnmarshalJSON(b []byte) error {
	var k keptStats
	if err := json.Unmarshal(b, &k); err != nil {
		return err
	}
	*s = Stats{
		Count: k.Count, Zeros: k.Zeros, NaNs: k.NaNs, Infs: k.Infs, Min: math.Float32frombits(k.Min), Max: math.Float32frombits(k.Max),
		Samples: k.Samples, finite: k.Finite, Exp: k.Exp,
	}
	if err := errors.Join(unpackSums(&s.mins, k.Mins), unpackSums(&s.maxs, k.Maxs)); err != nil || k.Neg == nil || k.Pos == nil {
		return err
	}
	s.Neg, s.Pos = make([]uint64, Bins), make([]uint64, Bins)
	return errors.Join(unpack(s.Neg, k.Neg), unpack(s.Pos, k.Pos))
}

// packedSums writes sums, of which most are zero.
func packedSums(m *kernel.Moments) ([]byte, error) {
	b, err := m.MarshalBinary()
	list := make([]uint64, len(b)/8)
	for i := range list {
		list[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return packed(list), err
}

// unpackSums reads what packedSums wrote.
func unpackSums(m *kernel.Moments, text []byte) error {
	b, err := m.MarshalBinary() // for its size
	if err != nil {
		return err
	}
	list := make([]uint64, len(b)/8)
	if err := unpack(list, text); err != nil {
		return err
	}
	for i, v := range list {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return m.UnmarshalBinary(b)
}

// packed writes numbers as varints, without the zeros at the end; nil where there are no numbers.
func packed(list []uint64) []byte {
	if list == nil {
		return nil
	}
	n := len(list)
	for n > 0 && list[n-1] == 0 {
		n--
	}
	b := []byte{}
	for _, v := range list[:n] {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// unpack reads what packed wrote into numbers that are zero.
func unpack(list []uint64, b []byte) error {
	for i := 0; len(b) > 0; i++ {
		v, n := binary.Uvarint(b)
		if n <= 0 || i == len(list) {
			return errors.New("these are not the counts of a value")
		}
		list[i], b = v, b[n:]
	}
	return nil
}
