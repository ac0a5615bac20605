package op

import "math"

func dot(a, b []float64) float64 {
	b = b[:len(a)]
	s := 0.0
	for i, v := range a {
		s += float64(v * b[i])
	}
	return s
}

// addScaled adds w*x to y, element by element; x is read every step elements.
func addScaled(y, x []float64, w float64, step int) {
	if step == 1 {
		x = x[:len(y)]
		for i := range y {
			y[i] += float64(w * x[i])
		}
		return
	}
	for i := range y {
		y[i] += float64(w * x[i*step])
	}
}

func fill(x []float64, v float64) {
	for i := range x {
		x[i] = v
	}
}

func fillInts(x []int, v int) {
	for i := range x {
		x[i] = v
	}
}

// logSumExp is log Σ exp(x), computed around the largest element so that nothing overflows.
func logSumExp(x []float64) float64 {
	top := maxOf(x)
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

// maxOf returns the largest element, NaN where there is one, -Inf of nothing.
func maxOf(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	return top
}

// minOf returns the smallest element, NaN where there is one, Inf of nothing.
func minOf(x []float64) float64 {
	low := math.Inf(1)
	for _, v := range x {
		low = min(low, v)
	}
	return low
}

func meanOf(x []float64) float64 { return sumFloats(x) / float64(len(x)) }
