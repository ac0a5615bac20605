package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalSkipLayerNormalization normalizes input + skip (+ bias) along the last axis. Inputs:
// input (N,L,H), skip that broadcasts to it, gamma, beta, bias (H). Outputs: the result, mean
// and 1/deviation (N,L,1), the sum.
func evalSkipLayerNormalization(c *Call) ([]*tensor.Tensor, error) {
	x, skip := c.In[0], c.In[1]
	if err := wantRank("input", x.Shape, 1); err != nil {
		return nil, err
	}
	hidden := x.Shape[x.Rank()-1]
	for _, i := range []int{2, 3, 4} {
		if err := wantShape("gamma, beta or bias", c.Input(i), hidden); err != nil {
			return nil, err
		}
	}
	if !broadcastsTo(skip.Shape, x.Shape) {
		return nil, invalidf("skip of shape %v for an input of shape %v", skip.Shape, x.Shape)
	}
	v, err := floatsOf(x, skip, c.Input(4))
	if err != nil {
		return nil, err
	}
	sum := zip(v[0], v[1], x.Shape, skip.Shape, x.Shape, addArith.f)
	if v[2] != nil {
		sum = zip(sum, v[2], x.Shape, []int{hidden}, x.Shape, addArith.f)
	}
	total, err := fromFloats(x.DType, sum, x.Shape)
	if err != nil {
		return nil, err
	}
	mean, inverse := standardize(sum, hidden, float64(c.Float("epsilon", 1e-12)))
	if err := affine(sum, x.Shape, c.In[2], c.Input(3)); err != nil {
		return nil, err
	}
	y, err := fromFloats(x.DType, sum, x.Shape)
	if err != nil {
		return nil, err
	}
	stats := slices.Clone(x.Shape)
	stats[len(stats)-1] = 1
	out := []*tensor.Tensor{y, nil, nil, total}
	for i, v := range [][]float64{mean, inverse} {
		if out[1+i], err = statistic(tensor.Float32, v, stats); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func inferSkipLayerNormalization(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	stat := graph.Unranked(tensor.Float32)
	if n := len(t.Shape); n > 0 {
		stat = graph.OfDims(tensor.Float32, t.Shape)
		stat.Shape[n-1] = graph.Known(1)
	}
	return Typed(t, stat, stat, t), nil
}
