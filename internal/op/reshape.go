package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// listArg returns the integers that a version of the operator takes from input i and an older
// one from an attribute; nil where neither is given.
func listArg(c *Call, i int, attr string) ([]int, error) {
	if c.Has(i) {
		return indices(c.In[i])
	}
	return c.Ints(attr), nil
}

// inferList is listArg for inference. It is false where the integers are not known.
func inferList(c *Inference, i int, attr string) (list []int, known bool) {
	if c.Has(i) {
		return c.Ints(i)
	}
	return c.Node.Ints(attr), true
}

// Reshape

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

// keepElems is the fact of a value of type t that has the elements of f in the same order.
func keepElems(f Fact, t graph.Type) []Fact {
	if f.Elems == nil || !followsElems(t) {
		return Typed(t)
	}
	return []Fact{{Type: graph.OfDims(t.DType, scalarOrVector(t, len(f.Elems))), Elems: f.Elems}}
}

func scalarOrVector(t graph.Type, n int) []graph.Dim {
	if len(t.Shape) == 0 {
		return nil
	}
	return []graph.Dim{graph.Known(n)}
}

// Flatten

func evalFlatten(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOrEnd(c.Int("axis", 1), x.Rank())
	if err != nil {
		return nil, err
	}
	outer := tensor.Elements(x.Shape[:axis])
	return []*tensor.Tensor{x.Reshape(outer, tensor.Elements(x.Shape[axis:]))}, nil
}

// axisOrEnd is axisOf for an axis that may also be the rank itself.
func axisOrEnd(axis, rank int) (int, error) {
	if axis == rank {
		return axis, nil
	}
	return axisOf(axis, rank)
}

func inferFlatten(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.OfDims(x.DType, []graph.Dim{graph.Unknown, graph.Unknown})), nil
	}
	axis, err := axisOrEnd(c.Int("axis", 1), len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := []graph.Dim{mulDims(x.Shape[:axis]...), mulDims(x.Shape[axis:]...)}
	return Typed(graph.OfDims(x.DType, dims)), nil
}

// Squeeze and Unsqueeze

func evalSqueeze(c *Call) ([]*tensor.Tensor, error) {
	axes, err := listArg(c, 1, "axes")
	if err != nil {
		return nil, err
	}
	x := c.In[0]
	drop, err := axisSet(axes, x.Rank())
	if err != nil {
		return nil, err
	}
	var shape []int
	for i, d := range x.Shape {
		switch {
		case axes == nil && d == 1:
		case axes != nil && drop[i]:
			if d != 1 {
				return nil, invalidf("axis %d of shape %v is not 1", i, x.Shape)
			}
		default:
			shape = append(shape, d)
		}
	}
	return []*tensor.Tensor{x.Reshape(shape...)}, nil
}

// axisSet marks the listed axes of a tensor of the given rank. An axis listed twice is an error.
func axisSet(axes []int, rank int) ([]bool, error) {
	set := make([]bool, rank)
	for _, a := range axes {
		a, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		if set[a] {
			return nil, invalidf("axis %d is listed twice", a)
		}
		set[a] = true
	}
	return set, nil
}

func inferSqueeze(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	axes, ok := inferList(c, 1, "axes")
	if !ok || !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	drop, err := axisSet(axes, len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := []graph.Dim{}
	for i, d := range x.Shape {
		switch {
		case axes == nil && !d.IsKnown():
			return Typed(graph.Unranked(x.DType)), nil
		case axes == nil && d.Size == 1:
		case axes != nil && drop[i]:
			if d.IsKnown() && d.Size != 1 {
				return nil, invalidf("axis %d of %s is not 1", i, x.Type)
			}
		default:
			dims = append(dims, d)
		}
	}
	return keepElems(x, graph.OfDims(x.DType, dims)), nil
}

func evalUnsqueeze(c *Call) ([]*tensor.Tensor, error) {
	axes, err := listArg(c, 1, "axes")
	if err != nil {
		return nil, err
	}
	x := c.In[0]
	shape, err := unsqueeze(x.Shape, axes, 1)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{x.Reshape(shape...)}, nil
}

// unsqueeze inserts one at the listed positions of the result.
func unsqueeze[T any](shape []T, axes []int, one T) ([]T, error) {
	rank := len(shape) + len(axes)
	added, err := axisSet(axes, rank)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, rank)
	for i := range rank {
		if added[i] {
			out = append(out, one)
			continue
		}
		out, shape = append(out, shape[0]), shape[1:]
	}
	return out, nil
}

func inferUnsqueeze(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	axes, ok := inferList(c, 1, "axes")
	if !ok || !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	dims, err := unsqueeze(x.Shape, axes, graph.Known(1))
	if err != nil {
		return nil, err
	}
	return keepElems(x, graph.OfDims(x.DType, dims)), nil
}
