package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A batchNorm is the layout of BatchNormalization's input seen as (batch, channels, inner).
type batchNorm struct {
	batch, channels, inner int
	stats                  []int // shape of scale, bias, mean and variance
}

func newBatchNorm(c *Call) (*batchNorm, error) {
	x := c.In[0].Shape
	if err := wantRank("input", x, 1); err != nil {
		return nil, err
	}
	b := &batchNorm{batch: x[0], channels: 1, inner: 1, stats: []int{1}}
	switch {
	case len(x) > 1 && c.Opset < 9 && !c.Bool("spatial", true):
		b.channels, b.stats = tensor.Elements(x[1:]), slices.Clone(x[1:])
	case len(x) > 1:
		b.channels, b.inner, b.stats = x[1], tensor.Elements(x[2:]), []int{x[1]}
	}
	for i, name := range []string{"scale", "bias", "mean", "variance"} {
		if err := wantShape(name, c.In[1+i], b.stats...); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// each calls f with the elements of every row of one channel.
func (b *batchNorm) each(x []float64, f func(ch int, row []float64)) {
	if b.inner == 0 {
		return
	}
	for i := range b.batch * b.channels {
		f(i%b.channels, x[i*b.inner:(i+1)*b.inner])
	}
}

// moments returns the mean and the population variance of every channel.
func (b *batchNorm) moments(x []float64) (mean, variance []float64) {
	mean, variance = make([]float64, b.channels), make([]float64, b.channels)
	count := float64(max(1, b.batch*b.inner))
	b.each(x, func(ch int, row []float64) {
		for _, v := range row {
			mean[ch] += v / count
		}
	})
	b.each(x, func(ch int, row []float64) {
		for _, v := range row {
			d := v - mean[ch]
			variance[ch] += float64(d*d) / count
		}
	})
	return mean, variance
}

func evalBatchNorm(c *Call) ([]*tensor.Tensor, error) {
	b, err := newBatchNorm(c)
	if err != nil {
		return nil, err
	}
	in, err := floatsOf(c.In[:5]...)
	if err != nil {
		return nil, err
	}
	mean, variance := in[3], in[4]
	training := c.Bool("training_mode", false) || c.Opset < 14 && c.Wants(1)
	if training {
		mean, variance = b.moments(in[0])
	}
	y := slices.Clone(in[0])
	eps := float64(c.Float("epsilon", 1e-5))
	b.each(y, func(ch int, row []float64) {
		scale := in[1][ch] / math.Sqrt(variance[ch]+eps)
		for i, v := range row {
			row[i] = float64((v-mean[ch])*scale) + in[2][ch]
		}
	})
	out, err := fromFloats(c.In[0].DType, y, c.In[0].Shape)
	if err != nil || !training {
		return []*tensor.Tensor{out}, err
	}
	return b.trained(c, out, in, mean, variance)
}

// trained adds the outputs of training: the running statistics, and those of the batch before opset 14.
func (b *batchNorm) trained(c *Call, y *tensor.Tensor, in [][]float64, mean, variance []float64) ([]*tensor.Tensor, error) {
	momentum := float64(c.Float("momentum", 0.9))
	out := []*tensor.Tensor{y}
	for _, s := range [][]float64{
		blend(in[3], mean, momentum), blend(in[4], variance, momentum), mean, variance,
	} {
		t, err := fromFloats(c.In[3].DType, s, b.stats)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// blend returns a*w + b*(1-w).
func blend(a, b []float64, w float64) []float64 {
	out := make([]float64, len(a))
	for i := range out {
		out[i] = float64(a[i]*w) + float64(b[i]*(1-w))
	}
	return out
}

func inferBatchNorm(c *Inference) ([]Fact, error) {
	x, mean := c.Input(0), c.Input(3)
	types := []graph.Type{x.Type}
	for range max(1, len(c.Out)) - 1 {
		types = append(types, mean.Type)
	}
	return Typed(types...), nil
}
