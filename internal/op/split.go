package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalSplit(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", 0), x.Rank())
	if err != nil {
		return nil, err
	}
	sizes, err := listArg(c, 1, "split")
	if err != nil {
		return nil, err
	}
	if sizes == nil {
		sizes, err = evenParts(c.Node, x.Shape[axis])
	}
	if err != nil {
		return nil, err
	}
	return splitParts(x, axis, sizes)
}

// evenParts divides n among the outputs of a node; with num_outputs the last part may be smaller.
func evenParts(c *graph.Node, n int) ([]int, error) {
	parts := max(len(c.Out), 1)
	uneven := c.Has("num_outputs")
	if want := c.Int("num_outputs", parts); want != parts {
		return nil, invalidf("num_outputs is %d, but there are %d outputs", want, parts)
	}
	size := (n + parts - 1) / parts
	if n%parts != 0 && (!uneven || size*(parts-1) > n) {
		return nil, invalidf("%d elements do not split into %d parts", n, parts)
	}
	sizes := slices.Repeat([]int{size}, parts)
	sizes[parts-1] = n - size*(parts-1)
	return sizes, nil
}

// splitParts cuts x along axis into parts of the given sizes, which must add up.
func splitParts(x *tensor.Tensor, axis int, sizes []int) ([]*tensor.Tensor, error) {
	total := 0
	for _, n := range sizes {
		if n < 0 || n > x.Shape[axis]-total {
			return nil, invalidf("parts %v do not fit dimension %d", sizes, x.Shape[axis])
		}
		total += n
	}
	if total != x.Shape[axis] {
		return nil, invalidf("parts %v do not add up to dimension %d", sizes, x.Shape[axis])
	}
	own := strides(x.Shape)
	out := make([]*tensor.Tensor, len(sizes))
	at := 0
	for i, n := range sizes {
		shape := slices.Clone(x.Shape)
		shape[axis] = n
		var err error
		if out[i], err = strided(x, shape, at*own[axis], own); err != nil {
			return nil, err
		}
		at += n
	}
	return out, nil
}

func inferSplit(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	out := Typed(slices.Repeat([]graph.Type{graph.Unranked(x.DType)}, len(c.Out))...)
	if !x.Ranked {
		return out, nil
	}
	axis, err := axisOf(c.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	sizes, err := splitSizes(c, x.Shape[axis])
	if err != nil {
		return nil, err
	}
	if err := addUp(sizes, x.Shape[axis]); err != nil {
		return nil, err
	}
	at := 0
	for i := range out {
		dims := slices.Clone(x.Shape)
		dims[axis] = graph.Unknown
		if i < len(sizes) {
			dims[axis] = sizes[i]
		}
		out[i].Type = graph.OfDims(x.DType, dims)
		if n := dims[axis].Size; len(dims) == 1 && x.Elems != nil && n >= 0 && at >= 0 && at+n <= len(x.Elems) {
			out[i] = elemsFact(x.DType, x.Elems[at:at+n:at+n], false)
			at += n
		} else {
			at = -1
		}
	}
	return out, nil
}

// addUp refuses parts that are known not to be a whole.
func addUp(sizes []graph.Dim, whole graph.Dim) error {
	total := 0
	for _, d := range sizes {
		if !d.IsKnown() {
			return nil
		}
		total += d.Size
	}
	if len(sizes) > 0 && whole.IsKnown() && total != whole.Size {
		return invalidf("parts %v do not add up to dimension %d", sizes, whole.Size)
	}
	return nil
}

// splitSizes returns the parts into which dimension d falls, as far as they are known.
func splitSizes(c *Inference, d graph.Dim) ([]graph.Dim, error) {
	if c.Has(1) {
		sizes, _ := elemsOf(c.Input(1))
		return sizes, nil
	}
	sizes := c.Node.Ints("split")
	if sizes == nil {
		if !d.IsKnown() {
			part := graph.Unknown
			if !c.HasAttr("num_outputs") {
				part = divDims(d, graph.Known(max(len(c.Out), 1)))
			}
			return slices.Repeat([]graph.Dim{part}, len(c.Out)), nil
		}
		var err error
		if sizes, err = evenParts(c.Node, d.Size); err != nil {
			return nil, err
		}
	}
	out := make([]graph.Dim, len(sizes))
	for i, n := range sizes {
		if n < 0 {
			return nil, invalidf("part %d of %v is negative", i, sizes)
		}
		out[i] = graph.Known(n)
	}
	return out, nil
}
