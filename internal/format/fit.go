package format

import (
	"fmt"
	"math"

	"lowbit/internal/tensor"
)

// Cover returns the parameters with which f spans [lo, hi], widened to hold zero exactly.
// A format without zero point is symmetric about zero and leaves its lowest code unused
// where that makes the codes symmetric too; symmetric asks the same of one that may shift.
// A range too small for a normal float32 scale gives scale one (ONNX Runtime's rule).
func (f *Format) Cover(lo, hi float64, symmetric bool) Params {
	p, _ := f.cover(lo, hi, symmetric)
	return p
}

// cover is Cover that says too whether the range is large enough for a scale of its own.
func (f *Format) cover(lo, hi float64, symmetric bool) (p Params, ok bool) {
	lo, hi = min(lo, 0), max(hi, 0)
	if !f.Scaled() {
		return Params{Scale: 1}, true
	}
	qlo, qhi := f.span()
	shifts := f.Zero && !symmetric
	if !shifts {
		hi = max(-lo, hi)
		lo = -hi
		if qlo < 0 {
			qlo = -qhi
		}
	}
	scale := (hi - lo) / (qhi - qlo)
	if f.Snap != nil && scale > 0 {
		qlo, qhi = f.span()
		scale = f.Snap(hi / max(-qlo, qhi))
	}
	p = Params{Scale: float32(scale), Zero: f.centre()}
	if !(scale >= leastScale) || math.IsInf(float64(p.Scale), 0) {
		return Params{Scale: 1, Zero: f.centre()}, false
	}
	if shifts {
		z := math.RoundToEven(qlo - lo/float64(p.Scale))
		p.Zero = int32(max(qlo, min(qhi, z)))
	}
	return p, true
}

// leastScale is the smallest normal float32.
const leastScale = 0x1p-126

// emptyScale is that of blocks of weights in which nothing reaches leastScale: one would make ones of their zeros
// in formats without a zero, and steps of the biases beside them that are as large as those of activations. Products with
// the scales of what flows are normal numbers still.
const emptyScale = 0x1p-64

// empty says whether a block of weights is too small for a scale of its own.
func (f *Format) empty(x []float32) bool {
	if f.Fit != nil {
		return !(f.Fit(f, x) >= leastScale)
	}
	lo, hi := extremes(x)
	_, ok := f.cover(lo, hi, f.Bits >= 8)
	return !ok
}

// span returns the marks at the ends.
func (f *Format) span() (lo, hi float64) {
	if f.grid() {
		return float64(f.Lo), float64(f.Hi)
	}
	a, b := f.ends()
	return float64(a), float64(b)
}

// centre is the code of zero in a symmetric grid: 0 for signed codes, 128 for uint8.
func (f *Format) centre() int32 {
	if !f.Zero || f.Lo < 0 {
		return 0
	}
	return int32((f.Hi + 1) / 2)
}

// Ascending steps of the search for a clip: the share of the range that is kept.
const (
	leastKept = 0.3
	coarse    = 0.02
	fine      = 0.005
)

// FitBlock returns the parameters for the weights of one block, all finite: by the format's own
// rule, else with the least squared error where the format asks for a search, else those that
// cover every weight. Formats of eight bits and more stay symmetric.
func (f *Format) FitBlock(x []float32) Params {
	if f.Fit != nil {
		if s := f.Fit(f, x); s >= leastScale {
			return Params{Scale: s}
		}
		return Params{Scale: 1}
	}
	lo, hi := extremes(x)
	symmetric := f.Bits >= 8
	p := f.Cover(lo, hi, symmetric)
	if !f.Search || lo == hi {
		return p
	}
	n := min(searchPart, len(x))
	s := &search{f: f, x: x, codes: make([]int32, n), back: make([]float32, n)}
	s.try(p)
	if f.Snap != nil {
		s.try(Params{Scale: p.Scale / 2})
		s.try(Params{Scale: p.Scale / 4})
		return s.best
	}
	at := s.shrink(1, coarse, func(k float64) Params { return f.Cover(k*lo, k*hi, symmetric) })
	at = s.shrink(math.Min(1, at+coarse), fine, func(k float64) Params { return f.Cover(k*lo, k*hi, symmetric) })
	if f.Zero { // the ends are free: shrink each alone
		s.shrink(at, coarse, func(k float64) Params { return f.Cover(k*lo, at*hi, symmetric) })
		s.shrink(at, coarse, func(k float64) Params { return f.Cover(at*lo, k*hi, symmetric) })
	}
	return s.best
}

// A search keeps the parameters with the least squared error so far.
type search struct {
	f     *Format
	x     []float32
	codes []int32
	back  []float32
	best  Params
	least float64
	tried bool
}

// searchPart is how many weights are tried between looks at whether it is worth going on.
const searchPart = 16

// try says whether p is the best so far. Errors only add up, so it stops where they are too many.
func (s *search) try(p Params) bool {
	if !(p.Scale >= leastScale) {
		return false
	}
	least := math.Inf(1)
	if s.tried {
		least = s.least
	}
	sum := 0.0
	for at := 0; at < len(s.x); at += searchPart {
		x := s.x[at:min(at+searchPart, len(s.x))]
		if sum = s.f.errors(sum, x, p, s.codes, s.back); sum >= least {
			return false
		}
	}
	s.best, s.least, s.tried = p, sum, true
	return true
}

// errors adds to sum the squared errors of x with parameters p. codes and back are room for as many.
func (f *Format) errors(sum float64, x []float32, p Params, codes []int32, back []float32) float64 {
	if f.grid() {
		zero, scale := float32(p.Zero), p.Scale
		lo, hi := float32(f.Lo)-zero, float32(f.Hi)-zero
		for _, v := range x { // what Encode and Decode do, in one
			t := v / scale
			if t < lo {
				t = lo
			} else if t > hi {
				t = hi
			}
			e := float64(v) - float64(float32(math.RoundToEven(float64(t)))*scale)
			sum += float64(e * e)
		}
		return sum
	}
	codes, back = codes[:len(x)], back[:len(x)]
	f.Encode(codes, x, p)
	f.Decode(back, codes, p)
	for i, v := range x {
		e := float64(v) - float64(back[i])
		sum += float64(e * e)
	}
	return sum
}

// shrink tries shares of the range from one on downwards, a coarse step as far as leastKept, a
// fine one twice as far as a coarse step, and returns the best.
func (s *search) shrink(from, step float64, at func(k float64) Params) float64 {
	best, end := from, leastKept
	if step == fine {
		end = math.Max(leastKept, from-2*coarse)
	}
	for i := 0; from-float64(i)*step >= end; i++ {
		if k := from - float64(i)*step; s.try(at(k)) {
			best = k
		}
	}
	return best
}

// FitTensor returns the parameters for each block of weights. It is an error if one is not finite.
func (f *Format) FitTensor(x []float32, shape []int, b Block) ([]Params, error) {
	return f.FitTensorWith(x, shape, b, f.FitBlock)
}

// FitTensorWith is FitTensor with another rule for one block.
func (f *Format) FitTensorWith(x []float32, shape []int, b Block, fit func(x []float32) Params) ([]Params, error) {
	for i, v := range x {
		if v-v != 0 {
			return nil, fmt.Errorf("element %d is %v", i, v)
		}
	}
	p := make([]Params, tensor.Elements(b.ParamShape(shape)))
	var empty []int
	least := float32(math.Inf(1))
	b.each(x, shape, func(i int, v []float32) {
		if f.empty(v) {
			p[i] = Params{Scale: emptyScale, Zero: f.centre()}
			empty = append(empty, i)
			return
		}
		p[i] = fit(v)
		least = min(least, p[i].Scale)
	})
	if f.Scale != nil && len(empty) < len(p) { // scales far from theirs would cost the others their bits
		for _, i := range empty {
			p[i].Scale = least
		}
	}
	return p, nil
}
