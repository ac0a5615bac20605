package op

import (
	"slices"

	"lowbit/internal/tensor"
)

// A rotaryTable is a table of cosines and sines (positions,half) with which 2*half features are turned.
type rotaryTable struct {
	cos, sin    []float64
	rows, half  int
	interleaved bool
}

func newRotaryTable(cos, sin *tensor.Tensor, interleaved bool) (*rotaryTable, error) {
	if cos == nil || sin == nil || cos.Rank() != 2 {
		return nil, invalidf("cos_cache and sin_cache of two dimensions are needed")
	}
	if err := wantShape("sin_cache", sin, cos.Shape...); err != nil {
		return nil, err
	}
	v, err := floatsOf(cos, sin)
	if err != nil {
		return nil, err
	}
	return &rotaryTable{v[0], v[1], cos.Shape[0], cos.Shape[1], interleaved}, nil
}

// turn returns h with the first features of row r of sample n turned by the angles of position at(n, r).
func (t *rotaryTable) turn(h *heads, at func(n, r int) int) (*heads, error) {
	if 2*t.half > h.size {
		return nil, invalidf("%d of %d features are to be rotated", 2*t.half, h.size)
	}
	out := *h
	out.data = slices.Clone(h.data)
	for i := range h.batch * h.count * h.rows {
		p := at(i/(h.count*h.rows), i%h.rows)
		if p < 0 || p >= t.rows {
			return nil, invalidf("position %d, the caches hold %d", p, t.rows)
		}
		rotate(out.data[i*h.size:][:2*t.half], t.cos[p*t.half:], t.sin[p*t.half:], t.interleaved)
	}
	return &out, nil
}

// evalRotaryContrib is RotaryEmbedding of ONNX Runtime: input, position_ids, cos_cache, sin_cache. One
// position is that of the first row.
func evalRotaryContrib(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if c.Bool("is_packed_batching", false) {
		return nil, unsupportedf("is_packed_batching")
	}
	if s := c.Float("scale", 1); s != 1 {
		return nil, unsupportedf("scale %g", s)
	}
	table, err := newRotaryTable(c.In[2], c.In[3], c.Bool("interleaved", false))
	if err != nil {
		return nil, err
	}
	width, count := c.Int("rotary_embedding_dim", 0), c.Int("num_heads", 0)
	if x.Rank() == 3 && count == 0 && table.half > 0 {
		count = x.Shape[2] / (2 * table.half)
	}
	h, err := headsOf("input", x, count)
	if err != nil {
		return nil, err
	}
	if width == 0 {
		width = h.size
	}
	if width != 2*table.half {
		return nil, invalidf("%d of %d features are to be rotated, the caches hold %d", width, h.size, 2*table.half)
	}
	at, err := rotaryPositions(c.In[1], h)
	if err != nil {
		return nil, err
	}
	if h, err = table.turn(h, at); err != nil {
		return nil, err
	}
	data := h.data
	if x.Rank() == 3 {
		data = h.packed()
	}
	return one(fromFloats(x.DType, data, x.Shape))
}

// rotaryPositions reads position_ids (N,rows), or (1): the position of every sample's first row.
func rotaryPositions(t *tensor.Tensor, h *heads) (func(n, r int) int, error) {
	ids, err := indices(t)
	if err != nil {
		return nil, err
	}
	if slices.Equal(t.Shape, []int{1}) {
		return func(_, r int) int { return ids[0] + r }, nil
	}
	if err := wantShape("position_ids", t, h.batch, h.rows); err != nil {
		return nil, err
	}
	return func(n, r int) int { return ids[n*h.rows+r] }, nil
}
