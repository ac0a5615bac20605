package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalExpand(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	want, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	shape, err := BroadcastShape(x.Shape, want)
	if err != nil {
		return nil, err
	}
	return one(strided(x, shape, 0, broadcastStrides(x.Shape, shape)))
}

func inferExpand(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	want, ok := elemsOf(c.Input(1))
	if !x.Ranked || !ok {
		return Typed(graph.Unranked(x.DType)), nil
	}
	for _, d := range want {
		if n, known := numberOf(d); known && n < 0 {
			return nil, invalidf("dimension %d is negative", n)
		}
	}
	dims, err := broadcastDims(x.Shape, want)
	if err != nil {
		return nil, err
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
