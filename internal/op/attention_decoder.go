package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// The operands of DecoderMaskedMultiHeadAttention.
const (
	decoderMask = iota + 3
	decoderScores
	decoderPastKey
	decoderPastValue
	decoderPastLength
	decoderBeams
	decoderBeamCache
	decoderBias
)

// evalDecoderAttention is DecoderMaskedMultiHeadAttention of ONNX Runtime: MultiHeadAttention of one token. Inputs: query, key and
// value (N,1,heads*size), mask (N,keys), attention_bias, past_key and past_value (N,heads,room,size), which are buffers of which
// past_sequence_length rows count, beam_width, cache_indirection, bias of the three. Without a past, key and value are those of
// an encoder (N,heads,keys,size). Outputs: the result, the buffers with the token in them, the scores.
func evalDecoderAttention(c *Call) ([]*tensor.Tensor, error) {
	q, count, cross := c.In[0], c.Int("num_heads", 0), !c.Has(decoderPastKey)
	switch {
	case !c.Has(1) || !c.Has(2):
		return nil, unsupportedf("packed query, key and value")
	case c.Has(decoderBeamCache):
		return nil, unsupportedf("cache_indirection")
	case c.Wants(3):
		return nil, unsupportedf("the output qk")
	case c.Has(decoderPastKey) != c.Has(decoderPastValue) || q.Rank() != 3 || q.Shape[1] != 1:
		return nil, invalidf("query of shape %v, which needs one row, or one of past_key and past_value", q.Shape)
	case cross && c.Wants(1):
		return nil, unsupportedf("a present without a past")
	case !cross && !c.Bool("past_present_share_buffer", false):
		return nil, unsupportedf("a past without past_present_share_buffer")
	}
	var h [3]*heads
	for i, name := range []string{"query", "key", "value"} {
		if t := c.In[i]; i > 0 && (t.Rank() == 4) != cross || t.Rank() == 4 && t.Shape[1] != count {
			return nil, invalidf("%s of shape %v for %d heads", name, t.Shape, count)
		}
		var err error
		if h[i], err = headsOf(name, c.In[i], count); err != nil {
			return nil, err
		}
	}
	if err := addHeadsBias(c.Input(decoderBias), h[:], cross); err != nil {
		return nil, err
	}
	a := &attention{q: h[0], k: h[1], v: h[2], flat: true}
	var buffers [2]*heads
	if !cross {
		var err error
		if buffers, err = a.enter(c); err != nil {
			return nil, err
		}
	}
	bert := &Call{Node: &graph.Node{Attrs: c.Attrs}, In: []*tensor.Tensor{q}}
	out, err := evalBertAttention(bert, a, c.Input(decoderMask), c.Input(decoderScores))
	if err != nil || cross {
		return out[:min(1, len(out))], err
	}
	for i, b := range buffers {
		if out[1+i], err = fromFloats(q.DType, b.data, b.shape()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// enter puts the key and value of the token behind the rows that count of the past, which it makes those of the attention, and
// returns the buffers with them.
func (a *attention) enter(c *Call) (buffers [2]*heads, err error) {
	length, err := c.intScalarOf(decoderPastLength)
	if err != nil {
		return buffers, err
	}
	if length < 0 || length >= math.MaxInt32 {
		return buffers, invalidf("past_sequence_length %d", length)
	}
	past := int(length)
	for i, h := range []**heads{&a.k, &a.v} {
		x, t := *h, c.In[decoderPastKey+i]
		if t.Rank() != 4 || !slices.Equal(t.Shape, []int{x.batch, x.count, t.Shape[2], x.size}) || past >= t.Shape[2] || x.rows != 1 {
			return buffers, invalidf("past of shape %v before %v, of which %d rows count", t.Shape, x.shape(), past)
		}
		b, err := headsOf("past", t, 0)
		if err != nil {
			return buffers, err
		}
		b.data = slices.Clone(b.data)
		seen := &heads{x.batch, x.count, past + 1, x.size, nil}
		for k := range x.batch * x.count {
			all := b.at(k/x.count, k%x.count)
			copy(all[past*x.size:], x.at(k/x.count, k%x.count))
			seen.data = append(seen.data, all[:(past+1)*x.size]...)
		}
		buffers[i], *h = b, seen
	}
	a.past = past
	return buffers, nil
}

func inferDecoderAttention(c *Inference) ([]Fact, error) {
	q, v := c.Input(0), c.Input(2)
	y := unknownDims(3)
	if q.Ranked && len(q.Shape) == 3 {
		y[0], y[1] = q.Shape[0], q.Shape[1]
	}
	if v.Ranked {
		d, err := headDims(v, c.Int("num_heads", 0))
		if err != nil {
			return nil, err
		}
		y[2] = mulDims(d[1], d[3])
	}
	return Typed(graph.OfDims(q.DType, y), c.Input(decoderPastKey).Type, c.Input(decoderPastValue).Type), nil
}
