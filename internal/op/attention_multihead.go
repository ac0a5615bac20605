package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalMultiHeadAttention is MultiHeadAttention of ONNX Runtime. Inputs: query (N,rows,heads*size), key and
// value (N,keys,heads*size) or (N,heads,keys,size), bias of the three, key_padding_mask, attention_bias,
// past_key and past_value (N,heads,past,size). Outputs: the result, present key and value.
func evalMultiHeadAttention(c *Call) ([]*tensor.Tensor, error) {
	switch {
	case !c.Has(1) || !c.Has(2) || c.In[0].Rank() != 3 || c.In[1].Rank() == 5:
		return nil, unsupportedf("packed query, key and value")
	case c.Has(8) || c.Has(9):
		return nil, unsupportedf("past_sequence_length or cache_indirection")
	case c.Wants(3):
		return nil, unsupportedf("the output qk")
	}
	count := c.Int("num_heads", 0)
	var h [3]*heads
	for i, name := range []string{"query", "key", "value"} {
		t := c.In[i]
		if i > 0 && t.Rank() == 4 && t.Shape[1] != count {
			return nil, invalidf("%s of shape %v for %d heads", name, t.Shape, count)
		}
		var err error
		if h[i], err = headsOf(name, t, count); err != nil {
			return nil, err
		}
	}
	if err := addHeadsBias(c.Input(3), h[:], c.In[1].Rank() == 4); err != nil {
		return nil, err
	}
	a := &attention{q: h[0], k: h[1], v: h[2], flat: true}
	if err := a.prepend(c.Input(6), c.Input(7)); err != nil {
		return nil, err
	}
	return evalBertAttention(c, a, c.Input(4), c.Input(5))
}

// addHeadsBias adds a vector of the lengths of query, key and value to the rows of these; to those of the
// query alone where key and value come as caches do.
func addHeadsBias(bias *tensor.Tensor, h []*heads, cached bool) error {
	if bias == nil {
		return nil
	}
	length := 0
	for _, x := range h {
		length += x.count * x.size
	}
	if err := wantShape("bias", bias, length); err != nil {
		return err
	}
	b, err := floats(bias)
	if err != nil {
		return err
	}
	for _, x := range h {
		x.data = slices.Clone(x.data)
		for i := range x.data {
			x.data[i] += b[i/(x.rows*x.size)%x.count*x.size+i%x.size]
		}
		if b = b[x.count*x.size:]; cached {
			break
		}
	}
	return nil
}

// evalBertAttention computes an attention whose heads are set, by the attributes that Attention and
// MultiHeadAttention share.
func evalBertAttention(c *Call, a *attention, padding, bias *tensor.Tensor) ([]*tensor.Tensor, error) {
	q, k, v := a.q, a.k, a.v
	if q.batch != k.batch || q.batch != v.batch || q.size != k.size || k.rows != v.rows || q.count != k.count || k.count != v.count {
		return nil, invalidf("query %v, key %v and value %v do not fit", q.shape(), k.shape(), v.shape())
	}
	a.left, a.right = -1, -1
	if a.causal = c.Bool("unidirectional", false); a.causal && k.rows != a.past+q.rows {
		return nil, unsupportedf("unidirectional attention of %d rows to %d keys", q.rows, k.rows)
	}
	if a.scale = float64(c.Float("scale", 0)); a.scale == 0 {
		a.scale = 1 / math.Sqrt(float64(q.size))
	}
	if err := a.readMask(bias); err != nil {
		return nil, err
	}
	if bias != nil && a.maskKeys != k.rows {
		return nil, invalidf("attention_bias of shape %v for %d keys", bias.Shape, k.rows)
	}
	if err := a.readPadding(padding, float64(c.Float("mask_filter_value", -10000))); err != nil {
		return nil, err
	}
	y, scores, err := a.compute(false, 0)
	if err != nil {
		return nil, err
	}
	return a.outputs(&Call{Node: c.Node, In: []*tensor.Tensor{c.In[0], c.In[0], c.In[0]}}, y, scores)
}

// readPadding reads a mask that is nonzero where keys count: (N,keys), (N,rows,keys), or the number of keys
// that count (N), behind which the first that counts may stand, (2N). What does not count gets fill.
func (a *attention) readPadding(t *tensor.Tensor, fill float64) error {
	if t == nil {
		return nil
	}
	x, err := ints(t)
	if err != nil {
		return err
	}
	n, rows, keys := a.q.batch, a.q.rows, a.k.rows
	switch s := t.Shape; {
	case slices.Equal(s, []int{n, keys}):
		return a.mask(x, fill, []int{keys, 0, 0, 1})
	case slices.Equal(s, []int{n, rows, keys}):
		return a.mask(x, fill, []int{rows * keys, 0, keys, 1})
	case len(s) == 1 && s[0] == 3*n+2:
		x = x[:n] // cumulated lengths follow
	case len(s) == 4:
		return unsupportedf("a mask of shape %v", s)
	case len(s) != 1 || s[0] != n && s[0] != 2*n:
		return invalidf("a mask of shape %v for %d samples, %d rows and %d keys", s, n, rows, keys)
	}
	if _, err := sized([]int{n, keys}); err != nil {
		return err
	}
	open := make([]int64, n*keys)
	for i := range open {
		j := int64(i % keys)
		if j < x[i/keys] && (len(x) == n || j >= x[n+i/keys]) {
			open[i] = 1
		}
	}
	return a.mask(open, fill, []int{keys, 0, 0, 1})
}

// mask adds a mask of fill where open is not above zero.
func (a *attention) mask(open []int64, fill float64, step []int) error {
	m := mask{make([]float64, len(open)), step}
	for i, v := range open {
		if v <= 0 {
			m.data[i] = fill
		}
	}
	a.masks = append(a.masks, m)
	return nil
}

// inferMultiHeadAttention finds the shapes of MultiHeadAttention's results.
func inferMultiHeadAttention(c *Inference) ([]Fact, error) {
	q, k, v := c.Input(0), c.Input(1), c.Input(2)
	count := c.Int("num_heads", 0)
	y, present := unknownDims(3), [2][]graph.Dim{unknownDims(4), unknownDims(4)}
	if q.Ranked && len(q.Shape) == 3 {
		y[0], y[1] = q.Shape[0], q.Shape[1]
	}
	for i, f := range []Fact{k, v} {
		if !f.Ranked || len(f.Shape) < 3 || len(f.Shape) > 4 {
			continue
		}
		d, err := headDims(f, count)
		if err != nil {
			return nil, err
		}
		present[i] = slices.Clone(d)
		if i == 1 {
			y[2] = mulDims(d[1], d[3])
		}
		if c.Has(6 + i) {
			present[i][2] = graph.Unknown
			if p := c.Input(6 + i); p.Ranked && len(p.Shape) == 4 {
				present[i][2] = addDims(p.Shape[2], d[2], 1)
			}
		}
	}
	return Typed(graph.OfDims(q.DType, y), graph.OfDims(q.DType, present[0]), graph.OfDims(q.DType, present[1])), nil
}
