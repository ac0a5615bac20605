package op

import (
	"slices"

	"lowbit/internal/tensor"
)

// evalRotary turns pairs of features by the angle of their position. The caches are
// (positions, half) with position_ids (N,rows), else (N,rows,half).
func evalRotary(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	h, err := headsOf("X", x, c.Int("num_heads", 0))
	if err != nil {
		return nil, err
	}
	width := c.Int("rotary_embedding_dim", 0)
	if width == 0 {
		width = h.size
	}
	if width < 0 || width > h.size || width%2 != 0 {
		return nil, invalidf("%d of %d features are to be rotated", width, h.size)
	}
	cos, sin, err := rotaryCaches(c, h, width/2)
	if err != nil {
		return nil, err
	}
	h.data = slices.Clone(h.data)
	for i := range h.batch * h.count * h.rows {
		n, r := i/(h.count*h.rows), i%h.rows
		at := (n*h.rows + r) * width / 2
		rotate(h.data[i*h.size:][:width], cos[at:], sin[at:], c.Bool("interleaved", false))
	}
	data := h.data
	if x.Rank() == 3 {
		data = h.packed()
	}
	return one(fromFloats(x.DType, data, x.Shape))
}

// rotate turns the pairs of v: neighbours if interleaved, else elements half the length apart.
func rotate(v, cos, sin []float64, interleaved bool) {
	half := len(v) / 2
	for k := range half {
		a, b := k, half+k
		if interleaved {
			a, b = 2*k, 2*k+1
		}
		v[a], v[b] = times(v[a], v[b], cos[k], sin[k])
	}
}

// rotaryCaches returns cosine and sine for every row: (N,rows,half).
func rotaryCaches(c *Call, h *heads, half int) (cos, sin []float64, err error) {
	in, err := floatsOf(c.In[1], c.In[2])
	if err != nil {
		return nil, nil, err
	}
	if !c.Has(3) {
		for i, name := range []string{"cos_cache", "sin_cache"} {
			if err := wantShape(name, c.In[1+i], h.batch, h.rows, half); err != nil {
				return nil, nil, err
			}
		}
		return in[0], in[1], nil
	}
	table := c.In[1].Shape
	if len(table) != 2 || table[1] != half {
		return nil, nil, invalidf("cos_cache of shape %v for %d pairs", table, half)
	}
	if err := wantShape("sin_cache", c.In[2], table...); err != nil {
		return nil, nil, err
	}
	if err := wantShape("position_ids", c.In[3], h.batch, h.rows); err != nil {
		return nil, nil, err
	}
	ids, err := indices(c.In[3])
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		if id < 0 || id >= table[0] {
			return nil, nil, invalidf("position %d, the caches hold %d", id, table[0])
		}
		cos = append(cos, in[0][id*half:(id+1)*half]...)
		sin = append(sin, in[1][id*half:(id+1)*half]...)
	}
	return cos, sin, nil
}
