package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// placeIn resolves a place in a sequence of n values from input i; it may count from the end.
// Without that input it is last.
func placeIn(c *Call, i, n, last int) (int, error) {
	if !c.Has(i) {
		if last < 0 {
			return 0, invalidf("the sequence is empty")
		}
		return last, nil
	}
	p, err := indices(c.In[i])
	if err != nil {
		return 0, err
	}
	if len(p) != 1 {
		return 0, invalidf("position has %d elements, not 1", len(p))
	}
	at := p[0]
	if at < 0 {
		at += n
	}
	if at < 0 || at > last {
		return 0, invalidf("position %d is outside a sequence of %d", p[0], n)
	}
	return at, nil
}

func evalSequenceAt(c *Call) ([]*tensor.Tensor, error) {
	s := c.In[0].Items
	p, err := placeIn(c, 1, len(s), len(s)-1)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{s[p]}, nil
}

func evalSequenceConstruct(c *Call) ([]*tensor.Tensor, error) {
	if len(c.In) == 0 || slices.Contains(c.In, nil) {
		return nil, invalidf("a sequence needs values")
	}
	return []*tensor.Tensor{tensor.NewSequence(c.In[0].DType, slices.Clone(c.In)...)}, nil
}

func evalSequenceEmpty(c *Call) ([]*tensor.Tensor, error) {
	d, err := dtypeAttr(c.Node, "dtype", tensor.Float32)
	return one(tensor.NewSequence(d), err)
}

func evalSequenceErase(c *Call) ([]*tensor.Tensor, error) {
	s := c.In[0]
	p, err := placeIn(c, 1, len(s.Items), len(s.Items)-1)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{tensor.NewSequence(s.DType, slices.Delete(slices.Clone(s.Items), p, p+1)...)}, nil
}

func evalSequenceInsert(c *Call) ([]*tensor.Tensor, error) {
	s, v := c.In[0], c.In[1]
	if s.DType != v.DType {
		return nil, invalidf("%s does not belong in %s", v, s)
	}
	p, err := placeIn(c, 2, len(s.Items), len(s.Items))
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{tensor.NewSequence(s.DType, slices.Insert(slices.Clone(s.Items), p, v)...)}, nil
}

func evalSequenceLength(c *Call) ([]*tensor.Tensor, error) {
	return []*tensor.Tensor{tensor.Int64s([]int64{int64(len(c.In[0].Items))})}, nil
}

func evalConcatFromSequence(c *Call) ([]*tensor.Tensor, error) {
	axis := c.Int("axis", 0)
	if c.Bool("new_axis", false) {
		return one(stack(c.In[0].Items, axis))
	}
	return one(concat(c.In[0].Items, axis))
}

// stack joins tensors along a new axis.
func stack(list []*tensor.Tensor, axis int) (*tensor.Tensor, error) {
	wide := make([]*tensor.Tensor, len(list))
	for i, t := range list {
		shape, err := unsqueeze(t.Shape, []int{axis}, 1)
		if err != nil {
			return nil, err
		}
		wide[i] = t.Reshape(shape...)
	}
	return concat(wide, axis)
}

func evalSplitToSequence(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", 0), x.Rank())
	if err != nil {
		return nil, err
	}
	sizes, err := chunks(c, x.Shape[axis])
	if err != nil {
		return nil, err
	}
	parts, err := splitParts(x, axis, sizes)
	if err != nil {
		return nil, err
	}
	if !c.Has(1) && !c.Bool("keepdims", true) {
		for i, p := range parts {
			parts[i] = p.Reshape(slices.Delete(slices.Clone(p.Shape), axis, axis+1)...)
		}
	}
	return []*tensor.Tensor{tensor.NewSequence(x.DType, parts...)}, nil
}

// chunks returns the sizes into which SplitToSequence cuts n: the listed ones, or equal ones of
// which the last may be smaller.
func chunks(c *Call, n int) ([]int, error) {
	size := 1
	if c.Has(1) {
		list, err := indices(c.In[1])
		if err != nil || c.In[1].Rank() > 0 {
			return list, err
		}
		size = list[0]
	}
	if size < 1 {
		return nil, invalidf("parts of %d", size)
	}
	var sizes []int
	for ; n > 0; n -= size {
		sizes = append(sizes, min(size, n))
	}
	return sizes, nil
}

// evalSequenceMap runs its body once for each place of the first sequence.
func evalSequenceMap(c *Call) ([]*tensor.Tensor, error) {
	body := c.Graph("body")
	if len(body.In) != len(c.In) || slices.Contains(c.In, nil) {
		return nil, invalidf("the body takes %d inputs, not %d", len(body.In), len(c.In))
	}
	out := make([]*tensor.Tensor, len(body.Out))
	for k, v := range body.Out {
		out[k] = tensor.NewSequence(v.Type.DType)
	}
	for i := range c.In[0].Items {
		args := slices.Clone(c.In)
		for k, t := range c.In {
			if t.Kind != tensor.Sequence {
				continue
			}
			if len(t.Items) != len(c.In[0].Items) {
				return nil, invalidf("sequences of %d and %d values", len(c.In[0].Items), len(t.Items))
			}
			args[k] = t.Items[i]
		}
		res, err := c.Run(body, args)
		if err != nil {
			return nil, err
		}
		for k, t := range res {
			out[k].DType = t.DType
			out[k].Items = append(out[k].Items, t)
		}
	}
	return out, nil
}

// elemType returns the type of a sequence's or optional's values, which need not agree in the
// dimensions that are open.
func elemType(t graph.Type) graph.Type {
	if t.Elem == nil {
		return graph.Type{}
	}
	return nameless(*t.Elem)
}

func inferSequenceAt(c *Inference) ([]Fact, error) { return Typed(elemType(c.Input(0).Type)), nil }

func inferSequenceConstruct(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	for i := range c.In {
		t = graph.Join(t, c.In[i].Type)
	}
	return Typed(graph.SequenceOf(t)), nil
}

func inferSequenceEmpty(c *Inference) ([]Fact, error) {
	d, err := dtypeAttr(c.Node, "dtype", tensor.Float32)
	return Typed(graph.SequenceOf(graph.Unranked(d))), err
}

func inferSequenceErase(c *Inference) ([]Fact, error) { return Typed(c.Input(0).Type), nil }

func inferSequenceInsert(c *Inference) ([]Fact, error) {
	t := graph.Join(elemType(c.Input(0).Type), c.Input(1).Type)
	return Typed(graph.SequenceOf(t)), nil
}

func inferSequenceLength(c *Inference) ([]Fact, error) { return Typed(graph.Of(tensor.Int64)), nil }

func inferConcatFromSequence(c *Inference) ([]Fact, error) {
	t := elemType(c.Input(0).Type)
	if !t.Ranked {
		return Typed(graph.Unranked(t.DType)), nil
	}
	axis, rank := c.Int("axis", 0), len(t.Shape)
	dims := slices.Clone(t.Shape)
	var err error
	if c.Bool("new_axis", false) {
		dims, err = unsqueeze(dims, []int{axis}, graph.Unknown)
	} else if axis, err = axisOf(axis, rank); err == nil {
		dims[axis] = graph.Unknown
	}
	return Typed(graph.OfDims(t.DType, dims)), err
}

func inferSplitToSequence(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.SequenceOf(graph.Unranked(x.DType))), nil
	}
	axis, err := axisOf(c.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	switch {
	case c.Has(1):
		dims[axis] = graph.Unknown
	case c.Bool("keepdims", true):
		dims[axis] = graph.Known(1)
	default:
		dims = slices.Delete(dims, axis, axis+1)
	}
	return Typed(graph.SequenceOf(graph.OfDims(x.DType, dims))), nil
}

func inferSequenceMap(c *Inference) ([]Fact, error) {
	args := make([]Fact, len(c.In))
	for i, f := range c.In {
		args[i].Type = f.Type
		if f.Kind == graph.SequenceType {
			args[i].Type = elemType(f.Type)
		}
	}
	out, err := c.Sub(c.Graph("body"), args)
	for i, f := range out {
		out[i] = Fact{Type: graph.SequenceOf(nameless(f.Type))}
	}
	return out, err
}
