package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalCDist gives the distance between each row of A (M,N) and each of B (K,N).
func evalCDist(c *Call) ([]*tensor.Tensor, error) {
	a, b, metric := c.In[0], c.In[1], c.Str("metric", "sqeuclidean")
	if a.Rank() != 2 || b.Rank() != 2 || a.Shape[1] != b.Shape[1] {
		return nil, invalidf("rows of shapes %v and %v", a.Shape, b.Shape)
	}
	if metric != "sqeuclidean" && metric != "euclidean" {
		return nil, unsupportedf("metric %q", metric)
	}
	shape, width := []int{a.Shape[0], b.Shape[0]}, a.Shape[1]
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	v, err := floatsOf(a, b)
	if err != nil {
		return nil, err
	}
	y := make([]float64, tensor.Elements(shape))
	for i := range y {
		row, other := v[0][i/shape[1]*width:][:width], v[1][i%shape[1]*width:][:width]
		for k, x := range row {
			y[i] += float64((x - other[k]) * (x - other[k]))
		}
		if metric == "euclidean" {
			y[i] = math.Sqrt(y[i])
		}
	}
	return one(fromFloats(a.DType, y, shape))
}

func inferCDist(c *Inference) ([]Fact, error) {
	d := unknownDims(2)
	for i := range d {
		if f := c.Input(i); f.Ranked {
			if len(f.Shape) != 2 {
				return nil, invalidf("%s, two dimensions are needed", f.Type)
			}
			d[i] = f.Shape[0]
		}
	}
	return Typed(graph.OfDims(c.Input(0).DType, d)), nil
}
