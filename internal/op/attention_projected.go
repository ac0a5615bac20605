package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalProjectedAttention is Attention of ONNX Runtime: MultiHeadAttention of what one matrix makes of the
// input. Inputs: input (N,rows,width), weights (width,3*hidden), bias, mask_index, past
// (2,N,heads,past,size), attention_bias. Outputs: the result, present key and value in one.
func evalProjectedAttention(c *Call) ([]*tensor.Tensor, error) {
	switch {
	case c.Bool("do_rotary", false):
		return nil, unsupportedf("do_rotary")
	case c.Bool("past_present_share_buffer", false) || c.Has(6):
		return nil, unsupportedf("past_present_share_buffer")
	}
	x, w := c.In[0], c.In[1]
	if x.Rank() != 3 || w.Rank() != 2 {
		return nil, invalidf("input %v and weights %v, 3 and 2 dimensions are needed", x.Shape, w.Shape)
	}
	s, err := newMatmul(x.Shape, w.Shape)
	if err != nil {
		return nil, err
	}
	v, err := floatsOf(x, w)
	if err != nil {
		return nil, err
	}
	h, err := projectedHeads(c.Node, multiply(s, v[0], v[1]), s.out)
	if err != nil {
		return nil, err
	}
	if err := addHeadsBias(c.Input(2), h, false); err != nil {
		return nil, err
	}
	return attendProjected(c, x, h, c.Input(3), c.Input(4), c.Input(5))
}

// attendProjected is Attention of query, key and value, with results of the type of like.
func attendProjected(c *Call, like *tensor.Tensor, h []*heads, mask, past, scores *tensor.Tensor) ([]*tensor.Tensor, error) {
	a := &attention{q: h[0], k: h[1], v: h[2], flat: true}
	if past != nil {
		want := slices.Concat([]int{2}, a.k.shape())
		if want[3] = 0; past.Rank() == 5 {
			want[3] = past.Shape[3]
		}
		if a.k.size != a.v.size {
			return nil, unsupportedf("a past of keys and values that differ in size")
		}
		if err := wantShape("past", past, want...); err != nil {
			return nil, err
		}
		key, value := halves(past)
		if err := a.prepend(key, value); err != nil {
			return nil, err
		}
	}
	out, err := evalBertAttention(&Call{Node: c.Node, In: []*tensor.Tensor{like}}, a, mask, scores)
	if err != nil || !c.Wants(1) {
		return out, err
	}
	if a.k.size != a.v.size {
		return nil, unsupportedf("a present of keys and values that differ in size")
	}
	present, err := fromFloats(out[0].DType, slices.Concat(a.k.data, a.v.data), slices.Concat([]int{2}, a.k.shape()))
	return []*tensor.Tensor{out[0], present}, err
}

// halves returns the two parts that the first axis counts.
func halves(t *tensor.Tensor) (first, second *tensor.Tensor) {
	half := len(t.Raw) / 2
	part := func(raw []byte) *tensor.Tensor {
		p := tensor.New(t.DType, t.Shape[1:]...)
		copy(p.Raw, raw)
		return p
	}
	return part(t.Raw[:half]), part(t.Raw[half:])
}

// projectedHeads splits what the weights made of the input, of shape (N,rows,columns), into query, key and value.
func projectedHeads(n *graph.Node, y []float64, shape []int) ([]*heads, error) {
	columns := shape[2]
	widths, err := qkvWidths(n, columns)
	if err != nil {
		return nil, err
	}
	out, at, count := make([]*heads, 3), 0, n.Int("num_heads", 0)
	for i, width := range widths {
		if count < 1 || count > max(width, 1) || width%count != 0 {
			return nil, invalidf("%d features do not split into %d heads", width, count)
		}
		part := make([]float64, 0, shape[0]*shape[1]*width)
		for row := 0; row < len(y); row += columns {
			part = append(part, y[row+at:][:width]...)
		}
		h := &heads{shape[0], count, shape[1], width / count, make([]float64, len(part))}
		h.swap(h.data, part)
		out[i] = h
		at += width
	}
	return out, nil
}

// qkvWidths returns how many columns of the weights make query, key and value.
func qkvWidths(n *graph.Node, columns int) ([]int, error) {
	widths := n.Ints("qkv_hidden_sizes")
	if len(widths) == 0 {
		widths = []int{columns / 3, columns / 3, columns / 3}
	}
	if len(widths) != 3 || slices.Min(widths) < 0 || slices.Max(widths) > columns || widths[0]+widths[1]+widths[2] != columns {
		return nil, invalidf("%d columns of weights for query, key and value of %v", columns, widths)
	}
	return widths, nil
}

// inferProjectedAttention finds the shapes of Attention's results.
func inferProjectedAttention(c *Inference) ([]Fact, error) {
	return inferProjected(c, c.Input(0).DType, 4)
}

// inferProjected finds the shapes of results of type d; one input is the past.
func inferProjected(c *Inference, d tensor.DType, past int) ([]Fact, error) {
	x, w, count := c.Input(0), c.Input(1), c.Int("num_heads", 0)
	y, present := unknownDims(3), unknownDims(5)
	present[0] = graph.Known(2)
	if x.Ranked && len(x.Shape) == 3 {
		copy(y, x.Shape[:2])
		present[1], present[3] = x.Shape[0], x.Shape[1]
		if c.Has(past) {
			present[3] = graph.Unknown
			if p := c.Input(past); p.Ranked && len(p.Shape) == 5 {
				present[3] = addDims(p.Shape[3], x.Shape[1], 1)
			}
		}
	}
	if w.Ranked && len(w.Shape) == 2 && w.Shape[1].IsKnown() {
		widths, err := qkvWidths(c.Node, w.Shape[1].Size)
		if err != nil {
			return nil, err
		}
		if count < 1 {
			return nil, invalidf("%d heads", count)
		}
		y[2] = graph.Known(widths[2])
		present[2], present[4] = graph.Known(count), graph.Known(widths[1]/count)
	}
	return Typed(graph.OfDims(d, y), graph.OfDims(d, present)), nil
}
