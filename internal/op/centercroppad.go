package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// cropAxes returns the axes that CenterCropPad changes.
func cropAxes(n *graph.Node, rank, sizes int) ([]int, error) {
	axes, err := axesOf(n.Ints("axes"), rank)
	if err == nil && len(axes) != sizes {
		err = invalidf("%d sizes for %d axes", sizes, len(axes))
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
