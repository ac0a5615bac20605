package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalDet(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	data, n, err := squareMatrices(x)
	if err != nil {
		return nil, err
	}
	r := x.Rank()
	if _, err := sized(x.Shape[:r-2]); err != nil {
		return nil, err
	}
	y := make([]float64, tensor.Elements(x.Shape[:r-2]))
	for i := range y {
		y[i] = determinant(slices.Clone(data[i*n*n:(i+1)*n*n]), n)
	}
	return one(fromFloats(x.DType, y, x.Shape[:r-2]))
}

// squareMatrices returns the numbers of matrices (...,n,n).
func squareMatrices(x *tensor.Tensor) (data []float64, n int, err error) {
	r := x.Rank()
	if r < 2 || x.Shape[r-1] != x.Shape[r-2] {
		return nil, 0, invalidf("shape %v, square matrices are needed", x.Shape)
	}
	data, err = floats(x)
	return data, x.Shape[r-1], err
}

// pivotRow is the row from k on whose element in column k is the largest.
func pivotRow(a []float64, n, k int) int {
	pivot := k
	for r := k + 1; r < n; r++ {
		if math.Abs(a[r*n+k]) > math.Abs(a[pivot*n+k]) {
			pivot = r
		}
	}
	return pivot
}

// determinant eliminates with row pivots; a (n,n) is overwritten.
func determinant(a []float64, n int) float64 {
	det := 1.0
	for k := range n {
		pivot := pivotRow(a, n, k)
		if a[pivot*n+k] == 0 {
			return 0
		}
		if pivot != k {
			det = -det
			for j := range n {
				a[k*n+j], a[pivot*n+j] = a[pivot*n+j], a[k*n+j]
			}
		}
		det *= a[k*n+k]
		for r := k + 1; r < n; r++ {
			addScaled(a[r*n+k:(r+1)*n], a[k*n+k:(k+1)*n], -a[r*n+k]/a[k*n+k], 1)
		}
	}
	return det
}

func inferDet(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	if len(x.Shape) < 2 {
		return nil, invalidf("%s, square matrices are needed", x.Type)
	}
	return Typed(graph.OfDims(x.DType, x.Shape[:len(x.Shape)-2])), nil
}
