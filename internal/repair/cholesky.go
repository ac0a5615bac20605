package repair

import "math"

// cholesky factors a symmetric positive definite matrix a (n,n) into L·Lᵀ in place of its lower
// half, and says whether it is definite.
func cholesky(a []float64, n int) bool {
	for i := range n {
		ri := a[i*n:][:n]
		for j := range i + 1 {
			rj := a[j*n:][:n]
			s := ri[j] - dot(ri[:j], rj[:j])
			if i != j {
				ri[j] = s / rj[j]
				continue
			}
			if !(s > 0) || math.IsInf(s, 0) {
				return false
			}
			ri[i] = math.Sqrt(s)
		}
	}
	return true
}

// dot sums in four strands, which the processor adds side by side.
func dot(x, y []float64) float64 {
	var a, b, c, d float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += float64(x[i] * y[i])
		b += float64(x[i+1] * y[i+1])
		c += float64(x[i+2] * y[i+2])
		d += float64(x[i+3] * y[i+3])
	}
	for ; i < len(x); i++ {
		a += float64(x[i] * y[i])
	}
	return (a + b) + (c + d)
}

// axpy adds a·x to y.
func axpy(y []float64, a float64, x []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += float64(a * v)
	}
}

// solve replaces b by the solution of L·Lᵀ·x = b.
func solve(l []float64, n int, b []float64) {
	for i := range n {
		row := l[i*n:][:n]
		b[i] = (b[i] - dot(row[:i], b[:i])) / row[i]
	}
	for i := n - 1; i >= 0; i-- {
		b[i] /= l[i*n+i]
		axpy(b, -b[i], l[i*n:][:i])
	}
}

// invertLower replaces the lower triangular matrix l (n,n) by its inverse and clears the upper half.
func invertLower(l []float64, n int) {
	row := make([]float64, n)
	for i := range n {
		li := l[i*n:][:n]
		clear(row)
		for j := range i {
			axpy(row, -li[j], l[j*n:][:j+1])
		}
		d := li[i]
		clear(li)
		for j := range i {
			li[j] = row[j] / d
		}
		li[i] = 1 / d
	}
}
