package doctor

import (
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/report"
)

// A reading is what one activation's site does to the values that it meets.
type reading struct {
	stats       *calib.Stats // of the float values
	report.Diff              // float values against quantized ones
	outside     uint64       // values beyond the range of the codes
	distant     uint64       // those of them that lie far beyond it
	counts      []int64      // how many values other than zero take each code
}

// crowd is the share of the values other than zero that take one of the two commonest codes.
func (r *reading) crowd() float64 {
	var first, second, all int64
	for _, c := range r.counts {
		all += c
		if c > first {
			first, second = c, first
		} else if c > second {
			second = c
		}
	}
	return float64(first+second) / float64(max(1, all))
}

// readingPart is how many values are rounded at a time: what is written of them stays in the cache.
const readingPart = 4096

// quantize rounds values as a site does, and counts what happens to them.
func (r *reading) quantize(s *site, x []float32) {
	p, read := s.params, s.read
	if s.dynamic {
		p = ranged(x)
		read = p
	}
	if r.counts == nil && s.format.Bits <= 16 {
		r.counts = make([]int64, 1<<s.format.Bits)
	}
	codes, y := make([]int32, readingPart), make([]float32, readingPart)
	for part := range slices.Chunk(x, readingPart) {
		s.format.Encode(codes[:len(part)], part, p)
		s.format.Decode(y[:len(part)], codes[:len(part)], read)
		r.Diff.Add(part, y[:len(part)])
		r.count(s.format, p, part, codes)
	}
}

// beyond is how far, as a share of the range of the codes, a value has to lie outside of it to be one that the range was not
// made for. What lies nearer may be among those that made it: an end is rounded to whole codes, or cut by an observer, and
// where many values lie on it, as a background does, all of them are outside then.
const beyond = 1. / 16

// count takes note of the codes that values took, and of those values that lie outside of the codes' range.
func (r *reading) count(f *format.Format, p format.Params, x []float32, codes []int32) {
	a, b := f.Range(p)
	half := float64(p.Scale) / 2
	lo, hi := float64(a)-half, float64(b)+half
	slack := max(half, beyond*(float64(b)-float64(a)))
	least, most := float64(a)-slack, float64(b)+slack
	mask := len(r.counts) - 1
	for i, v := range x {
		if v != 0 && r.counts != nil {
			r.counts[int(codes[i])&mask]++
		}
		if e := float64(v); e < lo || e > hi {
			r.outside++
			if e < least || e > most {
				r.distant++
			}
		}
	}
}

// share is the part of values outside the range of an activation's codes. Where that is much wider than all of the samples,
// what is near to its ends for the codes is far for them.
func (r *reading) share(s *site) float64 {
	lo, hi := s.span()
	n := r.distant
	if hi-lo > outlierRatio*float64(r.stats.Max-r.stats.Min) {
		n = r.outside
	}
	return float64(n) / float64(max(1, r.Len()))
}

// ranged returns the parameters that DynamicQuantizeLinear finds.
func ranged(x []float32) format.Params {
	if len(x) == 0 {
		return format.Params{Scale: 1}
	}
	return over(float64(slices.Min(x)), float64(slices.Max(x)))
}

// over returns the parameters of codes from 0 to 255 over a range widened to hold zero.
func over(lo, hi float64) format.Params {
	lo, hi = min(lo, 0), max(hi, 0)
	scale := (hi - lo) / 255
	if !(scale > 0) {
		return format.Params{Scale: 1}
	}
	return format.Params{Scale: float32(scale), Zero: int32(min(255, max(0, math.RoundToEven(-lo/scale))))}
}
