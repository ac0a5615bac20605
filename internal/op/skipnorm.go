package op

import (
	"math"

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
	v, err := floatsOf(x, skip, c.In[2], c.Input(3), c.Input(4))
	if err != nil {
		return nil, err
	}
	sum := zip(v[0], v[1], x.Shape, skip.Shape, x.Shape, addArith.f)
	if v[4] != nil {
		sum = zip(sum, v[4], x.Shape, []int{hidden}, x.Shape, addArith.f)
	}
	total, err := fromFloats(x.DType, sum, x.Shape)
	if err != nil {
		return nil, err
	}
	rows := 0
	if hidden > 0 {
		rows = len(sum) / hidden
	}
	mean, inv := make([]float64, rows), make([]float64, rows)
	for r := range rows {
		mean[r], inv[r] = normalizeRow(sum[r*hidden:][:hidden], v[2], v[3], float64(c.Float("epsilon", 1e-12)))
	}
	y, err := fromFloats(x.DType, sum, x.Shape)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{y, columnOf(mean, x.Shape), columnOf(inv, x.Shape), total}, nil
}

// normalizeRow makes a row's mean 0 and its variance 1, scales it by gamma and adds beta,
// which may be nil. It returns the mean and the inverse deviation.
func normalizeRow(row, gamma, beta []float64, epsilon float64) (mean, inv float64) {
	n := float64(len(row))
	mean = sumFloats(row) / n
	variance := 0.0
	for _, v := range row {
		variance += (v - mean) * (v - mean) / n
	}
	inv = 1 / math.Sqrt(variance+epsilon)
	for i, v := range row {
		row[i] = (v - mean) * inv * gamma[i]
		if beta != nil {
			row[i] += beta[i]
		}
	}
	return mean, inv
}

// columnOf returns a float tensor of one number for each row of a tensor of the given shape.
func columnOf(v []float64, shape []int) *tensor.Tensor {
	out := append([]int{}, shape...)
	out[len(out)-1] = 1
	t := tensor.New(tensor.Float32, out...)
	for i := range tensor.Of[float32](t) {
		if i < len(v) {
			tensor.Of[float32](t)[i] = float32(v[i])
		}
	}
	return t
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
