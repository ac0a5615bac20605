package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalExpand(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	want, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	shape, err := broadcastShape(x.Shape, want)
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

func evalTile(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	repeats, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	if len(repeats) != x.Rank() {
		return nil, invalidf("%d repeats for rank %d", len(repeats), x.Rank())
	}
	// x (a,b,…) repeated (r,s,…) times is (1,a,1,b,…) expanded to (r,a,s,b,…)
	own := strides(x.Shape)
	shape := make([]int, x.Rank())
	var wide, step []int
	for i, r := range repeats {
		if r < 0 || r > math.MaxInt/max(1, x.Shape[i]) {
			return nil, invalidf("repeat count %d", r)
		}
		shape[i] = r * x.Shape[i]
		wide, step = append(wide, r, x.Shape[i]), append(step, 0, own[i])
	}
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	dst.copyStrided(wide, cellsOf(x), 0, step)
	return []*tensor.Tensor{dst.tensor(x.DType, shape)}, nil
}

func inferTile(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	repeats, ok := elemsOf(c.Input(1))
	dims := unknownDims(len(x.Shape))
	if ok && len(repeats) != len(dims) {
		return nil, invalidf("%d repeats for rank %d", len(repeats), len(dims))
	}
	for i := range repeats {
		dims[i] = mulDims(x.Shape[i], repeats[i])
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
