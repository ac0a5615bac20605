package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalGemm computes alpha*A*B + beta*C, C broadcast to (M,N).
func evalGemm(c *Call) ([]*tensor.Tensor, error) {
	a, b := c.In[0], c.In[1]
	if len(a.Shape) != 2 || len(b.Shape) != 2 {
		return nil, invalidf("shapes %v and %v, matrices are needed", a.Shape, b.Shape)
	}
	in, err := floatsOf(a, b, c.Input(2))
	if err != nil {
		return nil, err
	}
	sa, sb := a.Shape, b.Shape
	if c.Bool("transA", false) {
		in[0], sa = transposed(in[0], sa[0], sa[1]), []int{sa[1], sa[0]}
	}
	if c.Bool("transB", false) {
		in[1], sb = transposed(in[1], sb[0], sb[1]), []int{sb[1], sb[0]}
	}
	s, err := newMatmul(sa, sb)
	if err != nil {
		return nil, err
	}
	y := multiply(s, in[0], in[1])
	alpha := float64(c.Float("alpha", 1))
	for i := range y {
		y[i] *= alpha
	}
	if c.Has(2) {
		if err := addGemmBias(y, s.out, in[2], c.In[2].Shape, float64(c.Float("beta", 1))); err != nil {
			return nil, err
		}
	}
	return one(fromFloats(a.DType, y, s.out))
}

// addGemmBias adds beta*bias, of a shape that broadcasts to out, to y.
func addGemmBias(y []float64, out []int, bias []float64, shape []int, beta float64) error {
	full, err := BroadcastShape(shape, out)
	if err != nil || len(full) != 2 || full[0] != out[0] || full[1] != out[1] {
		return invalidf("bias of shape %v does not broadcast to %v", shape, out)
	}
	eachIndex(out, [][]int{broadcastStrides(shape, out)}, func(i int, off []int) {
		y[i] += float64(beta * bias[off[0]])
	})
	return nil
}

// transposed returns the transpose of a matrix of rows rows and cols columns.
func transposed(x []float64, rows, cols int) []float64 {
	y := make([]float64, len(x))
	for r := range rows {
		for c := range cols {
			y[c*rows+r] = x[r*cols+c]
		}
	}
	return y
}

func inferGemm(c *Inference) ([]Fact, error) {
	a, b := c.Input(0), c.Input(1)
	dims := unknownDims(2)
	inner := unknownDims(2)
	for i, f := range []Fact{a, b} {
		if !f.Ranked {
			continue
		}
		if len(f.Shape) != 2 {
			return nil, invalidf("%s, a matrix is needed", f.Type)
		}
		keep := i
		if c.Bool([]string{"transA", "transB"}[i], false) {
			keep = 1 - i
		}
		dims[i], inner[i] = f.Shape[keep], f.Shape[1-keep]
	}
	if inner[0].IsKnown() && inner[1].IsKnown() && inner[0].Size != inner[1].Size {
		return nil, invalidf("%s and %s do not fit for a product", a.Type, b.Type)
	}
	return Typed(graph.OfDims(a.DType, dims)), nil
}

// gemmAxis is the output-channel axis of Gemm's second input.
func gemmAxis(n *graph.Node) int {
	if n.Bool("transB", false) {
		return 0
	}
	return 1
}

// gemmLeftAxis is the axis of Gemm's first input along which the rows of its result lie.
func gemmLeftAxis(n *graph.Node) int {
	if n.Bool("transA", false) {
		return 1
	}
	return 0
}

// rowsOfMatrix is the axis of the rows of a stack of matrices.
func rowsOfMatrix(*graph.Node) int { return -2 }
