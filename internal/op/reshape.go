package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalReshape(c *Call) ([]*tensor.Tensor, error) {
	want, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	shape, err := reshapeTo(c.In[0].Shape, want, c.Bool("allowzero", false))
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{c.In[0].Reshape(shape...)}, nil
}

// reshapeTo resolves the zeros and the -1 of a wanted shape.
func reshapeTo(have, want []int, allowZero bool) ([]int, error) {
	shape := slices.Clone(want)
	open := -1
	for i, d := range want {
		switch {
		case d == 0 && !allowZero:
			if i >= len(have) {
				return nil, invalidf("shape %v copies dimension %d of %v", want, i, have)
			}
			shape[i] = have[i]
		case d == -1:
			if open >= 0 {
				return nil, invalidf("shape %v leaves more than one dimension open", want)
			}
			open, shape[i] = i, 1
		case d < -1:
			return nil, invalidf("shape %v has a negative dimension", want)
		}
	}
	total := tensor.Elements(have)
	rest, err := tensor.CheckedElements(shape)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	if open >= 0 && rest > 0 {
		shape[open] = total / rest
	} else if open >= 0 {
		shape[open] = 0
	}
	if tensor.Elements(shape) != total {
		return nil, invalidf("%d elements of shape %v do not fill %v", total, have, want)
	}
	return shape, nil
}

func inferReshape(c *Inference) ([]Fact, error) {
	data := c.Input(0)
	want, ok := elemsOf(c.Input(1))
	if !ok {
		return Typed(graph.Unranked(data.DType)), nil
	}
	if have, static := data.Static(); static {
		if list, known := c.Ints(1); known {
			shape, err := reshapeTo(have, list, c.Bool("allowzero", false))
			if err != nil {
				return nil, err
			}
			return keepElems(data, graph.Of(data.DType, shape...)), nil
		}
	}
	dims, err := reshapeDims(data, want, c.Bool("allowzero", false))
	if err != nil {
		return nil, err
	}
	return keepElems(data, graph.OfDims(data.DType, dims)), nil
}

// reshapeDims is reshapeTo for symbolic dimensions. An unknown element may be -1: either way
// the others determine it if it is alone.
func reshapeDims(data Fact, want []graph.Dim, allowZero bool) ([]graph.Dim, error) {
	dims := slices.Clone(want)
	open, unknown := -1, 0
	for i, d := range want {
		n, ok := numberOf(d)
		switch {
		case ok && n == 0 && !allowZero && data.Ranked:
			if i >= len(data.Shape) {
				return nil, invalidf("the shape copies dimension %d of rank %d", i, len(data.Shape))
			}
			dims[i] = data.Shape[i]
		case ok && n == 0 && !allowZero:
			dims[i] = graph.Unknown
		case ok && n < 0, !d.IsKnown() && d.Name == "":
			open, unknown = i, unknown+1
			dims[i] = graph.Unknown
		}
	}
	if unknown == 1 && data.Ranked {
		dims[open] = openDim(data.Shape, dims, open)
	}
	return dims, nil
}

// openDim returns the dimension at position open that makes to as large as from. Dimensions
// that are certainly equal cancel first, so that one nobody knows does no harm.
func openDim(from, to []graph.Dim, open int) graph.Dim {
	from, to = slices.Clone(from), slices.Delete(slices.Clone(to), open, open+1)
	to = slices.DeleteFunc(to, func(d graph.Dim) bool {
		i := slices.IndexFunc(from, d.Same)
		if i >= 0 && d.Size != 0 {
			from = slices.Delete(from, i, i+1)
			return true
		}
		return false
	})
	return divDims(mulDims(from...), mulDims(to...))
}
