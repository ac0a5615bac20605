package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalConcat(c *Call) ([]*tensor.Tensor, error) {
	return one(concat(c.In, c.Int("axis", 0)))
}

// concat joins tensors of one type along an axis. Missing ones are an error, as is an empty list.
func concat(in []*tensor.Tensor, axis int) (*tensor.Tensor, error) {
	if len(in) == 0 || slices.Contains(in, nil) {
		return nil, invalidf("nothing to join")
	}
	axis, err := axisOf(axis, in[0].Rank())
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(in[0].Shape)
	shape[axis] = 0
	for _, t := range in {
		if err := joinable(in[0], t, axis); err != nil {
			return nil, err
		}
		shape[axis] += t.Shape[axis]
	}
	dst, err := newCells(in[0].DType, shape)
	if err != nil {
		return nil, err
	}
	outer, inner := tensor.Elements(shape[:axis]), tensor.Elements(shape[axis+1:])
	at := 0
	for _, t := range in {
		src, run := cellsOf(t), t.Shape[axis]*inner
		for o := range outer {
			dst.copy(o*shape[axis]*inner+at, src, o*run, run)
		}
		at += run
	}
	return dst.tensor(in[0].DType, shape), nil
}

// joinable says whether a and b agree but along axis.
func joinable(a, b *tensor.Tensor, axis int) error {
	if a.DType != b.DType || a.Rank() != b.Rank() || b.Kind != tensor.Dense {
		return invalidf("%s and %s cannot be joined", a, b)
	}
	for i, d := range b.Shape {
		if i != axis && d != a.Shape[i] {
			return invalidf("%s and %s cannot be joined along axis %d", a, b, axis)
		}
	}
	return nil
}

func inferConcat(c *Inference) ([]Fact, error) {
	d, rank := tensor.Undefined, -1
	for i := range c.In {
		if f := c.Input(i); f.Ranked {
			d, rank = f.DType, len(f.Shape)
		}
	}
	if rank < 0 {
		return Typed(graph.Unranked(c.Input(0).DType)), nil
	}
	axis, err := axisOf(c.Int("axis", 0), rank)
	if err != nil {
		return nil, err
	}
	dims := unknownDims(rank)
	dims[axis] = graph.Known(0)
	for i := range c.In {
		if err := joinDims(dims, c.Input(i), axis); err != nil {
			return nil, err
		}
	}
	t := graph.OfDims(d, dims)
	if elems := joinElems(c); elems != nil && followsElems(t) {
		return []Fact{elemsFact(d, elems, false)}, nil
	}
	return Typed(t), nil
}

// joinDims adds one more operand to the dimensions of the result.
func joinDims(dims []graph.Dim, f Fact, axis int) error {
	if !f.Ranked {
		dims[axis] = graph.Unknown
		return nil
	}
	if len(f.Shape) != len(dims) {
		return invalidf("%s does not have rank %d", f.Type, len(dims))
	}
	for k, d := range f.Shape {
		switch {
		case k == axis:
			dims[k] = addDims(dims[k], d, 1)
		case dims[k].IsKnown() && d.IsKnown() && d.Size != dims[k].Size:
			return invalidf("%s does not fit %v at dimension %d", f.Type, dims, k)
		case !dims[k].IsKnown() && (d.IsKnown() || dims[k].Name == ""):
			dims[k] = d
		}
	}
	return nil
}

// joinElems returns the elements of joined vectors, nil where even their number is unknown.
func joinElems(c *Inference) []graph.Dim {
	elems := []graph.Dim{}
	for i := range c.In {
		list, ok := elemsOf(c.Input(i))
		if !ok || len(elems)+len(list) > foldLimit {
			return nil
		}
		elems = append(elems, list...)
	}
	return elems
}
