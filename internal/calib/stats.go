// Package calib observes the values that flow through a network, and turns what it saw into
// the parameters of a number format.
//
// Everything kept of a value depends only on the multiset of numbers seen: any order, batching,
// thread count or merge of partial results gives the same bytes.
package calib

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
)

// Bins is the number of bins on each side of zero.
const Bins = 1 << log2Bins

const log2Bins = 12

// firstExp is the bin width exponent that histograms start from; bins only ever grow.
const firstExp = -40

// Stats is what is kept of one value over all samples: 64 KB at most.
type Stats struct {
	Count, Zeros, NaNs, Infs uint64
	Min, Max                 float32 // of the finite values; +Inf and -Inf before the first
	Samples                  int
	finite                   int      // samples that held a finite value
	mins, maxs               exactSum // of the extremes of each of those

	// Neg and Pos count the finite non-zero values by magnitude: bin i holds |x| in
	// [i·2^Exp, (i+1)·2^Exp). They are nil where only the extremes were asked for; one that has counted nothing takes no memory.
	Neg, Pos []uint64
	Exp      int
}

// NewStats returns empty statistics, with histograms if hist is set.
func NewStats(hist bool) *Stats {
	s := &Stats{Min: float32(math.Inf(1)), Max: float32(math.Inf(-1)), Exp: firstExp}
	if hist {
		s.Neg, s.Pos = empty[:], empty[:]
	}
	return s
}

// empty is what every side of a histogram is until it has something to count. Nothing is written to it.
var empty [Bins]uint64

// bare says whether a side of a histogram has never counted.
func bare(h []uint64) bool { return h != nil && &h[0] == &empty[0] }

// wanted gives a side of a histogram its own bins.
func wanted(h *[]uint64) {
	if bare(*h) {
		*h = make([]uint64, Bins)
	}
}

// addSpan is how many values are counted while they are near.
const addSpan = 1 << 13

// Add observes the values of one sample.
func (s *Stats) Add(l kernel.Level, x []float32) {
	s.Samples++
	s.Count += uint64(len(x))
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for part := range slices.Chunk(x, addSpan) {
		c := l.Scan(part)
		s.Zeros += uint64(c.Zeros)
		s.NaNs += uint64(c.NaNs)
		s.Infs += uint64(c.Infs)
		lo, hi = min(lo, c.Min), max(hi, c.Max)
		if s.Neg != nil && c.Finite > c.Zeros {
			if c.Min < 0 {
				wanted(&s.Neg)
			}
			if c.Max > 0 {
				wanted(&s.Pos)
			}
			s.widen(max(-c.Min, c.Max))
			l.HistF32(s.Neg, s.Pos, part, s.Exp)
		}
		s.Min, s.Max = min(s.Min, c.Min), max(s.Max, c.Max)
	}
	if lo <= hi {
		s.finite++
		s.mins.add(lo)
		s.maxs.add(hi)
	}
}

// widen merges neighbouring bins until amax falls into the last one or before.
func (s *Stats) widen(amax float32) {
	if s.amax() == 0 { // nothing to merge yet
		_, e := math.Frexp(float64(amax)) // below 2^e
		s.Exp = max(s.Exp, e-log2Bins)
	}
	for float64(amax) >= math.Ldexp(Bins, s.Exp) {
		halve(s.Neg)
		halve(s.Pos)
		s.Exp++
	}
}

func halve(h []uint64) {
	if bare(h) {
		return
	}
	for i := range len(h) / 2 {
		h[i] = h[2*i] + h[2*i+1]
	}
	clear(h[len(h)/2:])
}

// Merge adds what o observed; o may be changed.
func (s *Stats) Merge(o *Stats) {
	s.Count += o.Count
	s.Zeros += o.Zeros
	s.NaNs += o.NaNs
	s.Infs += o.Infs
	s.Min, s.Max = min(s.Min, o.Min), max(s.Max, o.Max)
	s.Samples += o.Samples
	s.finite += o.finite
	s.mins.merge(&o.mins)
	s.maxs.merge(&o.maxs)
	if s.Neg == nil || o.Neg == nil {
		return
	}
	for s.Exp < o.Exp {
		halve(s.Neg)
		halve(s.Pos)
		s.Exp++
	}
	for o.Exp < s.Exp {
		halve(o.Neg)
		halve(o.Pos)
		o.Exp++
	}
	join(&s.Neg, o.Neg)
	join(&s.Pos, o.Pos)
}

// join adds the counts of o to h.
func join(h *[]uint64, o []uint64) {
	if bare(o) {
		return
	}
	wanted(h)
	for i, n := range o {
		(*h)[i] += n
	}
}

// Seen says whether any finite value was observed.
func (s *Stats) Seen() bool { return s.Min <= s.Max }

// MeanMin is the mean over samples of each sample's smallest finite value.
func (s *Stats) MeanMin() float64 { return s.mins.value() / float64(max(1, s.finite)) }

// MeanMax is the mean over samples of each sample's largest finite value.
func (s *Stats) MeanMax() float64 { return s.maxs.value() / float64(max(1, s.finite)) }

// width is the width of a bin.
func (s *Stats) width() float64 { return math.Ldexp(1, s.Exp) }

// amax is the largest magnitude seen.
func (s *Stats) amax() float64 { return float64(max(-s.Min, s.Max, 0)) }

// magnitudes returns the counts of |x|, the signs added together, over [0, amax].
func (s *Stats) magnitudes() []uint64 {
	n := min(Bins, int(s.amax()/s.width())+1)
	h := make([]uint64, n)
	for i := range h {
		h[i] = s.Neg[i] + s.Pos[i]
	}
	return h
}
