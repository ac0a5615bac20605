package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalTrilu keeps the triangle above (or below) the k-th diagonal of each matrix.
func evalTrilu(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if x.Rank() < 2 {
		return nil, invalidf("%s holds no matrices", x)
	}
	k := 0
	if c.Has(1) {
		v, err := indices(c.In[1])
		if err != nil || len(v) != 1 {
			return nil, invalidf("k is %s, not one number", c.In[1])
		}
		k = v[0]
	}
	dst, err := newCells(x.DType, x.Shape)
	if err != nil {
		return nil, err
	}
	src, upper := cellsOf(x), c.Bool("upper", true)
	rows, cols := x.Shape[x.Rank()-2], x.Shape[x.Rank()-1]
	k = max(-rows-1, min(k, cols+1))
	for r := range tensor.Elements(x.Shape[:x.Rank()-1]) {
		lo, hi := 0, cols
		if edge := max(0, min(r%rows+k, cols)); upper {
			lo = edge
		} else {
			hi = max(0, min(r%rows+k+1, cols))
		}
		dst.copy(r*cols+lo, src, r*cols+lo, hi-lo)
	}
	return []*tensor.Tensor{dst.tensor(x.DType, x.Shape)}, nil
}

// evalReverseSequence reverses the first sequence_lens[b] steps of each batch entry.
func evalReverseSequence(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	batch, time := c.Int("batch_axis", 1), c.Int("time_axis", 0)
	if x.Rank() < 2 || batch+time != 1 || batch*time != 0 {
		return nil, invalidf("batch axis %d and time axis %d of %s", batch, time, x)
	}
	lens, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	if len(lens) != x.Shape[batch] {
		return nil, invalidf("%d lengths for a batch of %d", len(lens), x.Shape[batch])
	}
	dst, err := newCells(x.DType, x.Shape)
	if err != nil {
		return nil, err
	}
	src, own := cellsOf(x), strides(x.Shape)
	run := tensor.Elements(x.Shape[2:])
	for b, n := range lens {
		if n < 0 || n > x.Shape[time] {
			return nil, invalidf("length %d of %d steps", n, x.Shape[time])
		}
		for t := range x.Shape[time] {
			from := t
			if t < n {
				from = n - 1 - t
			}
			dst.copy(b*own[batch]+t*own[time], src, b*own[batch]+from*own[time], run)
		}
	}
	return []*tensor.Tensor{dst.tensor(x.DType, x.Shape)}, nil
}

// cropAxes returns the axes that CenterCropPad changes.
func cropAxes(n *graph.Node, rank, sizes int) ([]int, error) {
	axes := n.Ints("axes")
	if axes == nil {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	if len(axes) != sizes {
		return nil, invalidf("%d sizes for %d axes", sizes, len(axes))
	}
	_, err := axisSet(axes, rank)
	for i, a := range axes {
		axes[i], _ = axisOf(a, rank)
	}
	return axes, err
}

func evalCenterCropPad(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	sizes, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	axes, err := cropAxes(c.Node, x.Rank(), len(sizes))
	if err != nil {
		return nil, err
	}
	shape, lo := slices.Clone(x.Shape), make([]int, x.Rank())
	for i, a := range axes {
		shape[a] = sizes[i]
		if diff := sizes[i] - x.Shape[a]; diff >= 0 {
			lo[a] = diff / 2
		} else {
			lo[a] = -(-diff / 2)
		}
	}
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	padInto(dst, shape, x, lo, padSource["constant"], cellsOf(tensor.New(x.DType)))
	return []*tensor.Tensor{dst.tensor(x.DType, shape)}, nil
}

func inferCenterCropPad(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	sizes, ok := elemsOf(c.Input(1))
	if !x.Ranked || !ok {
		return Typed(graph.Unranked(x.DType)), nil
	}
	axes, err := cropAxes(c.Node, len(x.Shape), len(sizes))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	for i, a := range axes {
		dims[a] = sizes[i]
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
