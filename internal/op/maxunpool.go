package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// unpoolShape returns the shape that a MaxPool with the node's attributes had read to write x.
func unpoolShape(n *graph.Node, x []int) ([]int, error) {
	kernel := n.Ints("kernel_shape")
	if len(kernel) == 0 || len(x) != len(kernel)+2 {
		return nil, invalidf("kernel_shape %v for an input of shape %v", kernel, x)
	}
	s, err := slideOf(n, kernel)
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(x)
	for i, d := range x[2:] {
		shape[2+i] = (d-1)*s.stride[i] + kernel[i] - s.pads[i] - s.pads[len(kernel)+i]
	}
	_, err = sized(shape)
	return shape, err
}

// evalMaxUnpool puts every element where its index says. The indices are those of the shape
// that the attributes imply, even where output_shape asks for a larger one.
func evalMaxUnpool(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if err := wantShape("indices", c.In[1], x.Shape...); err != nil {
		return nil, err
	}
	implied, err := unpoolShape(c.Node, x.Shape)
	if err != nil {
		return nil, err
	}
	shape := implied
	if c.Has(2) {
		if shape, err = indices(c.In[2]); err != nil {
			return nil, err
		}
		if err := covers(shape, implied); err != nil {
			return nil, err
		}
	}
	at, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	src, st := cellsOf(x), strides(shape)
	for i, p := range at {
		if p < 0 || p >= tensor.Elements(implied) {
			return nil, invalidf("index %d is outside shape %v", p, implied)
		}
		to := 0
		for k, d := range unravel(p, implied) {
			to += d * st[k]
		}
		dst.copy(to, src, i, 1)
	}
	return one(dst.tensor(x.DType, shape), nil)
}

// covers refuses a shape that differs from least in batch or channels or is smaller elsewhere.
func covers(shape, least []int) error {
	if len(shape) != len(least) {
		return invalidf("output_shape %v for rank %d", shape, len(least))
	}
	for i, d := range shape {
		if d < least[i] || i < 2 && d != least[i] {
			return invalidf("output_shape %v does not cover %v", shape, least)
		}
	}
	return nil
}

func inferMaxUnpool(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if shape, ok := c.Ints(2); ok && c.Has(2) {
		if _, err := sized(shape); err != nil {
			return nil, err
		}
		return Typed(graph.Of(x.DType, shape...)), nil
	}
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	if shape, ok := x.Static(); ok && !c.Has(2) {
		out, err := unpoolShape(c.Node, shape)
		return Typed(graph.Of(x.DType, out...)), err
	}
	dims := unknownDims(len(x.Shape))
	if len(dims) > 1 {
		copy(dims, x.Shape[:2])
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
