package op

import (
	"math"
)

// total adds term(v) of all elements.
func total[T number](term func(T) T) func(x []T) T {
	return func(x []T) T {
		var sum T
		for _, v := range x {
			sum += term(v)
		}
		return sum
	}
}

func same[T any](v T) T { return v }

func square[T number](v T) T { return v * v }

func multiplied[T number](x []T) T {
	p := T(1)
	for _, v := range x {
		p *= v
	}
	return p
}

func extreme[T number](start T, pick func(a, b T) T) func([]T) T {
	return func(x []T) T {
		v := start
		for _, w := range x {
			v = pick(v, w)
		}
		return v
	}
}

var (
	sumFloats = total(same[float64])
	sumInts   = total(same[int64])

	reduceSum       = &reduction{f: sumFloats, i: sumInts}
	reduceSumSquare = &reduction{f: total(square[float64]), i: total(square[int64])}
	reduceL1        = &reduction{f: total(math.Abs), i: total(func(v int64) int64 { return max(v, -v) }), u: total(same[uint64])}
	reduceL2        = &reduction{f: func(x []float64) float64 { return math.Sqrt(total(square[float64])(x)) }}
	reduceProd      = &reduction{f: multiplied[float64], i: multiplied[int64]}
	reduceMean      = &reduction{f: meanOf}
	reduceLogSum    = &reduction{f: func(x []float64) float64 { return math.Log(sumFloats(x)) }}

	reduceLogSumExp = &reduction{f: logSumExp}

	reduceMax = &reduction{
		f: maxOf,
		i: extreme(math.MinInt64, func(a, b int64) int64 { return max(a, b) }),
		u: extreme(0, func(a, b uint64) uint64 { return max(a, b) }),
	}
	reduceMin = &reduction{
		f: minOf,
		i: extreme(math.MaxInt64, func(a, b int64) int64 { return min(a, b) }),
		u: extreme(math.MaxUint64, func(a, b uint64) uint64 { return min(a, b) }),
	}
)
