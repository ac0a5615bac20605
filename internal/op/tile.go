package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

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
