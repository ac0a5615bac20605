package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// standardize turns each run of size neighbours in x into (x-mean)/sqrt(variance+eps), in
// place, and returns the mean and the reciprocal deviation of every run.
func standardize(x []float64, size int, eps float64) (mean, inverse []float64) {
	if size == 0 {
		return nil, nil
	}
	for at := 0; at < len(x); at += size {
		run := x[at : at+size]
		m, v := 0.0, 0.0
		for _, e := range run {
			m += e
		}
		m /= float64(size)
		for _, e := range run {
			v += float64((e - m) * (e - m))
		}
		inv := 1 / math.Sqrt(v/float64(size)+eps)
		for i, e := range run {
			run[i] = (e - m) * inv
		}
		mean, inverse = append(mean, m), append(inverse, inv)
	}
	return mean, inverse
}

// affine applies y*scale+bias in place, both of shapes that broadcast to y's; nil is left out.
func affine(y []float64, shape []int, scale, bias *tensor.Tensor) error {
	for i, t := range []*tensor.Tensor{scale, bias} {
		if t == nil {
			continue
		}
		full, err := BroadcastShape(t.Shape, shape)
		if err != nil || !slices.Equal(full, shape) {
			return invalidf("%s of shape %v does not broadcast to %v", []string{"scale", "bias"}[i], t.Shape, shape)
		}
		v, err := floats(t)
		if err != nil {
			return err
		}
		eachIndex(shape, [][]int{broadcastStrides(t.Shape, shape)}, func(at int, off []int) {
			if i == 0 {
				y[at] *= v[off[0]]
			} else {
				y[at] += v[off[0]]
			}
		})
	}
	return nil
}

func evalInstanceNorm(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if err := wantRank("input", x.Shape, 3); err != nil {
		return nil, err
	}
	return normalizeGroups(c, x.Shape[1], x.Shape[1])
}

func evalGroupNorm(c *Call) ([]*tensor.Tensor, error) {
	x, groups := c.In[0], c.Int("num_groups", 1)
	if err := wantRank("input", x.Shape, 2); err != nil {
		return nil, err
	}
	if groups < 1 || x.Shape[1]%groups != 0 {
		return nil, invalidf("%d groups do not divide %d channels", groups, x.Shape[1])
	}
	factors := x.Shape[1]
	if c.Opset < 21 {
		factors = groups // one scale and bias for each group
	}
	return normalizeGroups(c, groups, factors)
}

// normalizeGroups standardizes groups of channels of (N,C,D...) and applies scale and bias, of
// which there are factors, each for as many channels in a row.
func normalizeGroups(c *Call, groups, factors int) ([]*tensor.Tensor, error) {
	x := c.In[0]
	for i, name := range []string{"scale", "bias"} {
		if err := wantShape(name, c.In[1+i], factors); err != nil {
			return nil, err
		}
	}
	in, err := floatsOf(x, c.In[1], c.In[2])
	if err != nil {
		return nil, err
	}
	y := slices.Clone(in[0])
	if len(y) > 0 {
		standardize(y, tensor.Elements(x.Shape[1:])/groups, float64(c.Float("epsilon", 1e-5)))
		size := tensor.Elements(x.Shape[1:]) / factors
		for i := range y {
			f := i / size % factors
			y[i] = float64(y[i]*in[1][f]) + in[2][f]
		}
	}
	return one(fromFloats(x.DType, y, x.Shape))
}

func evalLayerNorm(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", -1), x.Rank())
	if err != nil {
		return nil, err
	}
	stash, err := stashType(c.Node)
	if err != nil {
		return nil, err
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := slices.Clone(data)
	mean, inverse := standardize(y, tensor.Elements(x.Shape[axis:]), float64(c.Float("epsilon", 1e-5)))
	if err := affine(y, x.Shape, c.In[1], c.Input(2)); err != nil {
		return nil, err
	}
	stats := slices.Clone(x.Shape)
	fillInts(stats[axis:], 1)
	out := make([]*tensor.Tensor, 3)
	if out[0], err = fromFloats(x.DType, y, x.Shape); err != nil {
		return nil, err
	}
	for i, v := range [][]float64{mean, inverse} {
		if out[1+i], err = statistic(stash, v, stats); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// statistic stores what standardize returned of every run; empty runs have none, and count as zero.
func statistic(d tensor.DType, v []float64, shape []int) (*tensor.Tensor, error) {
	if len(v) != tensor.Elements(shape) {
		v = make([]float64, tensor.Elements(shape))
	}
	return fromFloats(d, v, shape)
}

// stashType returns the element type of LayerNormalization's statistics.
func stashType(n *graph.Node) (tensor.DType, error) {
	d := n.Int("stash_type", int(tensor.Float32))
	switch tensor.DType(d) {
	case tensor.Float32, tensor.BFloat16, tensor.Float16, tensor.Float64:
		return tensor.DType(d), nil
	}
	return 0, invalidf("stash_type %d", d)
}

func inferLayerNorm(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	stash, err := stashType(c.Node)
	if err != nil {
		return nil, err
	}
	stats := graph.Unranked(stash)
	if x.Ranked {
		axis, err := axisOf(c.Int("axis", -1), len(x.Shape))
		if err != nil {
			return nil, err
		}
		dims := slices.Clone(x.Shape)
		for i := axis; i < len(dims); i++ {
			dims[i] = graph.Known(1)
		}
		stats = graph.OfDims(stash, dims)
	}
	return Typed(x.Type, stats, stats), nil
}

func evalRMSNorm(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", -1), x.Rank())
	if err != nil {
		return nil, err
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := slices.Clone(data)
	inverse := unitRMS(y, tensor.Elements(x.Shape[axis:]), float64(c.Float("epsilon", 1e-5)))
	if err := affine(y, x.Shape, c.In[1], nil); err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, 2)
	if out[0], err = fromFloats(c.In[1].DType, y, x.Shape); err != nil {
		return nil, err
	}
	stats := slices.Clone(x.Shape)
	fillInts(stats[axis:], 1)
	out[1], err = statistic(tensor.Float32, inverse, stats)
	return out, err
}

// unitRMS divides each run of size neighbours in x by the root of its mean square plus eps, in place,
// and returns the factors.
func unitRMS(x []float64, size int, eps float64) (inverse []float64) {
	for at := 0; at < len(x); at += size {
		run := x[at : at+size]
		inv := 1 / math.Sqrt(dot(run, run)/float64(size)+eps)
		for i := range run {
			run[i] *= inv
		}
		inverse = append(inverse, inv)
	}
	return inverse
}

// inferSimplifiedLayerNorm adds to RMSNormalization the factors of its runs.
func inferSimplifiedLayerNorm(c *Inference) ([]Fact, error) {
	out, err := inferRMSNorm(c)
	if err != nil {
		return nil, err
	}
	stats := graph.Unranked(tensor.Float32)
	if x := c.Input(0); x.Ranked {
		axis, err := axisOf(c.Int("axis", -1), len(x.Shape))
		if err != nil {
			return nil, err
		}
		stats = graph.OfDims(tensor.Float32, slices.Clone(x.Shape))
		for i := axis; i < len(x.Shape); i++ {
			stats.Shape[i] = graph.Known(1)
		}
	}
	return append(out, Fact{Type: stats}), nil
}

func inferRMSNorm(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	t.DType = c.Input(1).DType
	return Typed(t), nil
}
