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
	sum, total, err := skipSum(c, 4)
	if err != nil {
		return nil, err
	}
	hidden := total.Shape[total.Rank()-1]
	mean, inverse := standardize(sum, hidden, float64(c.Float("epsilon", 1e-12)))
	out, err := skipOutputs(c, sum, total, c.Input(3), inverse)
	if err != nil {
		return nil, err
	}
	out[1], err = statistic(tensor.Float32, mean, out[2].Shape)
	return out, err
}

// evalSkipSimplifiedLayerNormalization divides input + skip (+ bias) by the root of its mean square
// along the last axis. Inputs: input, skip, gamma, bias. It has no mean to give.
func evalSkipSimplifiedLayerNormalization(c *Call) ([]*tensor.Tensor, error) {
	sum, total, err := skipSum(c, 3)
	if err != nil {
		return nil, err
	}
	hidden := total.Shape[total.Rank()-1]
	return skipOutputs(c, sum, total, nil, unitRMS(sum, hidden, float64(c.Float("epsilon", 1e-12))))
}

// skipSum adds input, skip and the bias at input bias, and checks that these and the vectors before it
// have the length of a row.
func skipSum(c *Call, bias int) ([]float64, *tensor.Tensor, error) {
	x, skip := c.In[0], c.In[1]
	if err := wantRank("input", x.Shape, 1); err != nil {
		return nil, nil, err
	}
	hidden := x.Shape[x.Rank()-1]
	for i := 2; i <= bias; i++ {
		if err := wantShape("gamma, beta or bias", c.Input(i), hidden); err != nil {
			return nil, nil, err
		}
	}
	if !broadcastsTo(skip.Shape, x.Shape) {
		return nil, nil, invalidf("skip of shape %v for an input of shape %v", skip.Shape, x.Shape)
	}
	v, err := floatsOf(x, skip, c.Input(bias))
	if err != nil {
		return nil, nil, err
	}
	sum := zip(v[0], v[1], x.Shape, skip.Shape, x.Shape, addArith.f)
	if v[2] != nil {
		sum = zip(sum, v[2], x.Shape, []int{hidden}, x.Shape, addArith.f)
	}
	total, err := fromFloats(x.DType, sum, x.Shape)
	return sum, total, err
}

// skipOutputs applies gamma and beta to normalized rows and gathers the results but for the mean.
func skipOutputs(c *Call, y []float64, total, beta *tensor.Tensor, inverse []float64) ([]*tensor.Tensor, error) {
	if err := affine(y, total.Shape, c.In[2], beta); err != nil {
		return nil, err
	}
	out := []*tensor.Tensor{nil, nil, nil, total}
	var err error
	if out[0], err = fromFloats(total.DType, y, total.Shape); err != nil {
		return nil, err
	}
	stats := slices.Clone(total.Shape)
	stats[len(stats)-1] = 1
	out[2], err = statistic(tensor.Float32, inverse, stats)
	return out, err
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
