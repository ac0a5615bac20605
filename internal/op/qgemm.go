package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// matrixOf returns a matrix, transposed if the node says so.
func matrixOf(t *tensor.Tensor, transpose bool) (*tensor.Tensor, error) {
	if t.Rank() != 2 {
		return nil, invalidf("operand of shape %v, a matrix is needed", t.Shape)
	}
	if !transpose {
		return t, nil
	}
	return moveAxis(t, 0, 1)
}

// evalQGemm computes alpha·A·B + C on codes. Inputs: A, its scale and zero point, B likewise,
// C in int32 at the scale of the product, scale and zero point of the result; without the
// latter the result is float.
func evalQGemm(c *Call) ([]*tensor.Tensor, error) {
	a, err := matrixOf(c.In[0], c.Bool("transA", false))
	if err != nil {
		return nil, err
	}
	b, err := matrixOf(c.In[3], c.Bool("transB", false))
	if err != nil {
		return nil, err
	}
	acc, s, err := productOf(a, c.In[2], b, c.In[5])
	if err != nil {
		return nil, err
	}
	if bias := c.Input(6); bias != nil {
		v, err := floats(bias)
		if err != nil {
			return nil, err
		}
		if err := addGemmBias(acc, s.out, v, bias.Shape, 1); err != nil {
			return nil, err
		}
	}
	alpha, err := mapFloats(c.In[1], func(v float64) float64 { return v * float64(c.Float("alpha", 1)) })
	if err != nil {
		return nil, err
	}
	if !c.Has(7) || !c.Has(8) {
		return one(scaled(acc, s, alpha, c.In[4], nil, tensor.Float32))
	}
	r, err := newRequant(alpha, c.In[4], c.In[7], c.In[8])
	if err != nil {
		return nil, err
	}
	return quantizedProduct(acc, s, r, c.In[1], c.In[4])
}

// quantizedProduct writes the sums of a matrix product in codes.
func quantizedProduct(acc []float64, s *matmulShape, r *requant, aScale, bScale *tensor.Tensor) ([]*tensor.Tensor, error) {
	channel := perTensor
	if len(r.scales) > 1 {
		var err error
		if channel, err = matmulChannel(s, aScale.Len(), bScale.Len()); err != nil {
			return nil, err
		}
	}
	return one(r.apply(acc, s.out, channel))
}

// scaled multiplies sums of products by the scales of their operands, a scalar and a scalar
// or one for each column, and adds a bias for each column, which may be nil.
func scaled(acc []float64, s *matmulShape, aScale, bScale, bias *tensor.Tensor, d tensor.DType) (*tensor.Tensor, error) {
	if err := wantShape("bias", bias, s.n); err != nil {
		return nil, err
	}
	v, err := floatsOf(aScale, bScale, bias)
	if err != nil {
		return nil, err
	}
	if len(v[0]) != 1 || len(v[1]) != 1 && len(v[1]) != s.n {
		return nil, invalidf("scales of shapes %v and %v for %d columns", aScale.Shape, bScale.Shape, s.n)
	}
	y := make([]float64, len(acc))
	for i, sum := range acc {
		col := i % s.n
		m := float64(float32(v[0][0] * v[1][col%len(v[1])]))
		y[i] = float64(float32(float64(float32(sum)) * m))
		if bias != nil {
			y[i] += v[2][col]
		}
	}
	return fromFloats(d, y, s.out)
}

func inferQGemm(c *Inference) ([]Fact, error) {
	a, b := c.Input(0), c.Input(3)
	out, err := inferGemm(&Inference{Node: c.Node, Opset: c.Opset, In: []Fact{a, b}})
	if err != nil {
		return nil, err
	}
	out[0].DType = tensor.Float32
	if c.Has(7) && c.Has(8) {
		out[0].DType = c.Input(8).DType
	}
	return Typed(graph.OfDims(out[0].DType, out[0].Shape)), nil
}
