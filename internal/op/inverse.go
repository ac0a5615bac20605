package op

import (
	"slices"

	"lowbit/internal/tensor"
)

// evalInverse inverts each matrix of X (...,n,n).
func evalInverse(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	data, n, err := squareMatrices(x)
	if err != nil {
		return nil, err
	}
	y := make([]float64, 0, x.Len())
	for i := range len(data) / max(n*n, 1) {
		m, ok := inverted(slices.Clone(data[i*n*n:(i+1)*n*n]), n)
		if !ok {
			return nil, invalidf("matrix %d has no inverse", i)
		}
		y = append(y, m...)
	}
	return one(fromFloats(x.DType, y, x.Shape))
}

// inverted eliminates with row pivots (Gauss and Jordan); a (n,n) is overwritten. It is false for a singular matrix.
func inverted(a []float64, n int) ([]float64, bool) {
	y := make([]float64, n*n)
	for k := range n {
		y[k*n+k] = 1
	}
	for k := range n {
		pivot := pivotRow(a, n, k)
		if a[pivot*n+k] == 0 {
			return nil, false
		}
		for _, m := range [][]float64{a, y} {
			for j := range n {
				m[k*n+j], m[pivot*n+j] = m[pivot*n+j], m[k*n+j]
			}
		}
		p := a[k*n+k]
		for j := range n {
			a[k*n+j] /= p
			y[k*n+j] /= p
		}
		for r := range n {
			if f := a[r*n+k]; r != k && f != 0 {
				addScaled(a[r*n:(r+1)*n], a[k*n:(k+1)*n], -f, 1)
				addScaled(y[r*n:(r+1)*n], y[k*n:(k+1)*n], -f, 1)
			}
		}
	}
	return y, true
}
