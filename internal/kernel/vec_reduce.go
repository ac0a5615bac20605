package kernel

import "math"

// Reduce names a reduction of a float32 slice to one number. The order is fixed: element i goes to
// lane i mod 16, and the lanes are folded 16→8→4→2→1, so results are bit-equal on every machine.
type Reduce uint8

// The reductions. ReduceMax and ReduceMin propagate NaN.
const (
	ReduceSum       Reduce = iota // Σ x
	ReduceSumSquare               // Σ x²
	ReduceL1                      // Σ |x|
	ReduceDeviation               // Σ (x−p)²
	ReduceMax                     // the largest; −∞ of nothing
	ReduceMin                     // the smallest; +∞ of nothing
	numReduce                     // how many there are
)

const lanes = 16

type reduceRow struct {
	name string
	ref  func(x []float32, p float32) float32
}

var reduceRows = [numReduce]reduceRow{
	ReduceSum:       {"ReduceSum", sumRef},
	ReduceSumSquare: {"ReduceSumSquare", sumSquareRef},
	ReduceL1:        {"ReduceL1", l1Ref},
	ReduceDeviation: {"ReduceDeviation", deviationRef},
	ReduceMax:       {"ReduceMax", reduceMaxRef},
	ReduceMin:       {"ReduceMin", reduceMinRef},
}

// reduceFn is an assembly body for n ≥ 1 elements.
type reduceFn func(x *float32, n int, p float32) float32

// String returns the name of the reduction.
func (op Reduce) String() string { return reduceRows[op].name }

// Reduce folds x. Only [ReduceDeviation] takes notice of p.
func (l Level) Reduce(op Reduce, x []float32, p float32) float32 {
	if f, ok := reduceAsm[op].pick(l); ok && len(x) > 0 {
		return f(&x[0], len(x), p)
	}
	return reduceRows[op].ref(x, p)
}

// ReduceRows folds each of len(dst) rows of equal length.
func (l Level) ReduceRows(op Reduce, dst, x []float32) {
	if len(dst) == 0 {
		return
	}
	n := len(x) / len(dst)
	for r := range dst {
		dst[r] = l.Reduce(op, x[r*n:r*n+n], 0)
	}
}

// MinMax is the smallest and the largest element that is not NaN; +∞ and −∞ of nothing.
// Zeros are +0.
func (l Level) MinMax(x []float32) (lo, hi float32) {
	if f, ok := minMaxAsm.pick(l); ok && len(x) > 0 {
		return f(&x[0], len(x))
	}
	return minMaxRef(x)
}

// minMaxFn is an assembly body of [Level.MinMax] for n ≥ 1 elements.
type minMaxFn func(x *float32, n int) (lo, hi float32)

func minMaxRef(x []float32) (lo, hi float32) {
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	return lo + 0, hi + 0
}

// sumLanes adds f(v) lane by lane. The lanes start at +0, so that an absent element changes nothing.
func sumLanes(x []float32, f func(v float32) float32) float32 {
	var s [lanes]float32
	for i, v := range x {
		s[i%lanes] += float32(f(v))
	}
	return foldSum(&s)
}

func foldSum(s *[lanes]float32) float32 {
	for n := lanes / 2; n > 0; n /= 2 {
		for j := range n {
			s[j] += s[j+n]
		}
	}
	return s[0]
}

func sumRef(x []float32, _ float32) float32 {
	return sumLanes(x, func(v float32) float32 { return v })
}

func sumSquareRef(x []float32, _ float32) float32 { return sumLanes(x, squareOne) }
func l1Ref(x []float32, _ float32) float32        { return sumLanes(x, absOne) }

func deviationRef(x []float32, p float32) float32 {
	return sumLanes(x, func(v float32) float32 { return (v - p) * (v - p) })
}

func reduceMaxRef(x []float32, _ float32) float32 { return foldLanes(x, math.Inf(-1), maxRef) }
func reduceMinRef(x []float32, _ float32) float32 { return foldLanes(x, math.Inf(1), minRef) }

func foldLanes(x []float32, start float64, f func(dst, x, y []float32)) float32 {
	var s [lanes]float32
	for j := range s {
		s[j] = float32(start)
	}
	spans(len(x), lanes, func(i, n int) { f(s[:n], x[i:i+n], s[:n]) })
	for n := lanes / 2; n > 0; n /= 2 {
		f(s[:n], s[n:2*n], s[:n])
	}
	return s[0]
}
