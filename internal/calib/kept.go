package calib

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
)

// A keptStats is Stats as JSON holds them.
type keptStats struct {
	Count, Zeros, NaNs, Infs uint64
	Min, Max                 uint32 // the bits: they may be infinite
	Samples, Finite, Exp     int
	Mins, Maxs               exactSum
	Neg, Pos                 []byte // as varints, without the zeros at the end; null where there are none
}

// MarshalJSON writes all that is kept.
func (s *Stats) MarshalJSON() ([]byte, error) {
	k := keptStats{
		Count: s.Count, Zeros: s.Zeros, NaNs: s.NaNs, Infs: s.Infs, Min: math.Float32bits(s.Min), Max: math.Float32bits(s.Max),
		Samples: s.Samples, Finite: s.finite, Exp: s.Exp, Mins: s.mins, Maxs: s.maxs,
		Neg: packed(s.Neg), Pos: packed(s.Pos),
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
		Samples: k.Samples, finite: k.Finite, Exp: k.Exp, mins: k.Mins, maxs: k.Maxs,
	}
	if k.Neg == nil || k.Pos == nil {
		return nil
	}
	s.Neg, s.Pos = empty[:], empty[:]
	return errors.Join(unpack(&s.Neg, k.Neg), unpack(&s.Pos, k.Pos))
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

// unpack reads what packed wrote of a side of a histogram.
func unpack(h *[]uint64, b []byte) error {
	if len(b) > 0 {
		wanted(h)
	}
	for i := 0; len(b) > 0; i++ {
		v, n := binary.Uvarint(b)
		if n <= 0 || i == Bins {
			return errors.New("these are not the counts of a value")
		}
		(*h)[i], b = v, b[n:]
	}
	return nil
}
