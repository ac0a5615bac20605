package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// globalPool returns the evaluation of a pooling over all spatial axes of (N,C,D...); f sees one plane.
func globalPool(f func(plane []float64) float64) func(*Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x := c.In[0]
		if err := wantRank("input", x.Shape, 2); err != nil {
			return nil, err
		}
		size := tensor.Elements(x.Shape[2:])
		if size == 0 {
			return nil, invalidf("input of shape %v has no elements to pool", x.Shape)
		}
		data, err := floats(x)
		if err != nil {
			return nil, err
		}
		shape := append([]int{}, x.Shape...)
		for i := range shape[2:] {
			shape[2+i] = 1
		}
		y := make([]float64, tensor.Elements(shape))
		for i := range y {
			y[i] = f(data[i*size : (i+1)*size])
		}
		return one(fromFloats(x.DType, y, shape))
	}
}

func evalGlobalLpPool(c *Call) ([]*tensor.Tensor, error) {
	p := c.Int("p", 2)
	if p < 1 {
		return nil, invalidf("p is %d", p)
	}
	return globalPool(func(plane []float64) float64 {
		s := 0.0
		for _, v := range plane {
			s += math.Pow(math.Abs(v), float64(p))
		}
		return math.Pow(s, 1/float64(p))
	})(c)
}

func inferGlobalPool(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	if len(x.Shape) < 2 {
		return nil, invalidf("%s, at least 2 dimensions are needed", x.Type)
	}
	dims := append([]graph.Dim{}, x.Shape...)
	for i := range dims[2:] {
		dims[2+i] = graph.Known(1)
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
