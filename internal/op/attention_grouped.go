package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// The operands of GroupQueryAttention.
const (
	groupQuery = iota
	groupKey
	groupValue
	groupPastKey
	groupPastValue
	groupSeqlens // (N): the keys that each sample has in the end, less one
	groupTotal   // the most of them
	groupCos
	groupSin
	groupPositions
	groupBias
	groupSink
	groupRest // scales of codes, norms of query and key, lengths of queries
)

// A groupAttention is an attention whose keys and values lie at the front of buffers.
type groupAttention struct {
	*attention
	total  int
	prompt bool  // there is no past
	past   []int // rows of the past, for each sample
}

// evalGroupQueryAttention is GroupQueryAttention of ONNX Runtime. Inputs: query (N,rows,heads*size), or
// query, key and value in one, key and value (N,rows,kv_heads*size), and past_key and past_value
// (N,kv_heads,past,size), of which sample n counts seqlens_k[n]+1-rows rows; none where rows are all there are.
func evalGroupQueryAttention(c *Call) ([]*tensor.Tensor, error) {
	if err := groupOptions(c); err != nil {
		return nil, err
	}
	h, err := groupHeads(c)
	if err != nil {
		return nil, err
	}
	g := &groupAttention{attention: &attention{q: h[0], k: h[1], v: h[2], flat: true}}
	for _, step := range []func(*Call) error{g.readLengths, g.rotate, g.store, g.readScores} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	y, scores, err := g.compute(false, 0)
	if err != nil {
		return nil, err
	}
	return g.outputs(&Call{Node: c.Node, In: []*tensor.Tensor{c.In[0], c.In[0], c.In[0]}}, y, scores)
}

// groupOptions refuses what is not computed.
func groupOptions(c *Call) error {
	for i := groupRest; i < len(c.In); i++ {
		if c.Has(i) {
			return unsupportedf("the input %s", []string{"k_scale", "v_scale", "q_norm_weight", "k_norm_weight", "query_seqlens"}[i-groupRest])
		}
	}
	for _, name := range []string{"k_quant_type", "v_quant_type"} {
		if s := c.Str(name, "NONE"); s != "NONE" {
			return unsupportedf("%s %s", name, s)
		}
	}
	switch {
	case c.Bool("sliding_window_cache", false):
		return unsupportedf("sliding_window_cache")
	case c.Wants(3):
		return unsupportedf("the output output_qk")
	}
	return nil
}

// groupHeads returns query, key and value.
func groupHeads(c *Call) ([]*heads, error) {
	q, n, kv := c.In[groupQuery], c.Int("num_heads", 0), c.Int("kv_num_heads", 0)
	if n < 1 || kv < 1 || n%kv != 0 || q.Rank() != 3 || c.Has(groupKey) != c.Has(groupValue) {
		return nil, invalidf("query of shape %v with %d heads, and %d of key and value", q.Shape, n, kv)
	}
	if !c.Has(groupKey) {
		all, err := headsOf("query", q, n+2*kv)
		if err != nil {
			return nil, err
		}
		return []*heads{all.part(0, n), all.part(n, n+kv), all.part(n+kv, n+2*kv)}, nil
	}
	out := make([]*heads, 3)
	for i, count := range []int{n, kv, kv} {
		t := c.In[groupQuery+i]
		if t.Rank() != 3 {
			return nil, unsupportedf("key or value of shape %v", t.Shape)
		}
		var err error
		if out[i], err = headsOf("query, key or value", t, count); err != nil {
			return nil, err
		}
	}
	want := []int{q.Shape[0], q.Shape[1], kv * out[0].size}
	for i := groupKey; i <= groupValue; i++ {
		if err := wantShape("key or value", c.In[i], want...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// part returns a copy of the heads from up to to.
func (h *heads) part(from, to int) *heads {
	out := &heads{h.batch, to - from, h.rows, h.size, nil}
	for i := range out.batch * out.count {
		out.data = append(out.data, h.at(i/out.count, from+i%out.count)...)
	}
	return out
}

// readLengths finds how much past each sample has.
func (g *groupAttention) readLengths(c *Call) error {
	total, err := c.intScalarOf(groupTotal)
	if err != nil {
		return err
	}
	lengths, err := indices(c.In[groupSeqlens])
	if err != nil {
		return err
	}
	if len(lengths) != g.q.batch {
		return invalidf("seqlens_k of shape %v for %d samples", c.In[groupSeqlens].Shape, g.q.batch)
	}
	room := 0 // rows of the past
	if p := c.Input(groupPastKey); p != nil && p.Rank() == 4 {
		room = p.Shape[2]
	}
	g.total = int(total)
	if g.total < 1 || g.total > room+g.q.rows {
		return invalidf("total_sequence_length %d for %d rows behind %d", total, g.q.rows, room)
	}
	g.prompt = g.total == g.q.rows
	for _, last := range lengths {
		if last < 0 || last >= g.total || !g.prompt && last+1 < g.q.rows || !g.prompt && last+1-g.q.rows > room {
			return invalidf("seqlens_k %v for %d rows behind %d, %d in all", lengths, g.q.rows, room, g.total)
		}
		past := 0
		if !g.prompt {
			past = last + 1 - g.q.rows
		}
		g.past = append(g.past, past)
	}
	return nil
}

// rotate turns query and key by their positions.
func (g *groupAttention) rotate(c *Call) error {
	if !c.Bool("do_rotary", false) {
		return nil
	}
	table, err := newRotaryTable(c.Input(groupCos), c.Input(groupSin), c.Bool("rotary_interleaved", false))
	if err != nil {
		return err
	}
	at := func(n, r int) int { return g.past[n] + r }
	if c.Has(groupPositions) {
		if at, err = rotaryPositions(c.In[groupPositions], g.q); err != nil {
			return err
		}
		if given := at; g.prompt { // only the first counts
			at = func(_, r int) int { return given(0, 0) + r }
		}
	}
	for _, h := range []**heads{&g.q, &g.k} {
		if *h, err = table.turn(*h, at); err != nil {
			return err
		}
	}
	return nil
}

// store puts keys and values behind the past that counts, in buffers as long as the past or all rows.
func (g *groupAttention) store(c *Call) error {
	if c.Has(groupPastKey) != c.Has(groupPastValue) {
		return invalidf("past_key and past_value go together")
	}
	for i, h := range []**heads{&g.k, &g.v} {
		x := *h
		rows := max(g.total, x.rows)
		past := &heads{x.batch, x.count, 0, x.size, nil}
		if t := c.Input(groupPastKey + i); t != nil {
			if t.DType != c.In[0].DType {
				return unsupportedf("a past of %s", t.DType)
			}
			if t.Rank() != 4 || !slices.Equal(t.Shape, []int{x.batch, x.count, t.Shape[2], x.size}) || i == 1 && t.Shape[2] != c.In[groupPastKey].Shape[2] {
				return invalidf("past of shape %v before %v", t.Shape, x.shape())
			}
			var err error
			if past, err = headsOf("past", t, 0); err != nil {
				return err
			}
			rows = max(rows, past.rows)
		}
		*h = x.behind(past, g.past, rows)
	}
	return nil
}

// behind returns buffers of some rows that hold those of past that count, for each sample, and then h.
func (h *heads) behind(past *heads, counts []int, rows int) *heads {
	out := &heads{h.batch, h.count, rows, h.size, make([]float64, h.batch*h.count*rows*h.size)}
	for i := range h.batch * h.count {
		n, head := i/h.count, i%h.count
		to, old := out.at(n, head), counts[n]*h.size
		if old > 0 {
			copy(to, past.at(n, head)[:old])
		}
		copy(to[old:], h.at(n, head))
	}
	return out
}

// readScores reads what is done to the scores.
func (g *groupAttention) readScores(c *Call) error {
	g.soft = float64(c.Float("softcap", 0))
	if g.scale = float64(c.Float("scale", 0)); g.scale == 0 {
		g.scale = 1 / math.Sqrt(float64(g.q.size))
	}
	g.causal = c.Bool("causal", true)
	window := c.Int("local_window_size", -1) // keys that a query sees, its own place included
	if g.left, g.right = -1, -1; window >= 0 {
		g.left = window - 1
	}
	if window < -1 || window == 0 || window > 0 && !g.causal {
		return unsupportedf("local_window_size %d", window)
	}
	for _, past := range g.past {
		g.valid = append(g.valid, past+g.q.rows)
	}
	if t := c.Input(groupSink); t != nil {
		if err := wantShape("head_sink", t, g.q.count); err != nil {
			return err
		}
		var err error
		if g.sinks, err = floats(t); err != nil {
			return err
		}
	} else if c.Bool("smooth_softmax", false) {
		g.sinks = make([]float64, g.q.count)
	}
	bias := c.Input(groupBias)
	if bias != nil && (bias.Rank() != 4 || bias.Shape[3] != g.total) {
		return invalidf("attention_bias of shape %v for %d keys", bias.Shape, g.total)
	}
	return g.readMask(bias)
}

// inferGroupQueryAttention finds the shapes of GroupQueryAttention's results.
func inferGroupQueryAttention(c *Inference) ([]Fact, error) {
	q, n, kv := c.Input(groupQuery), c.Int("num_heads", 0), c.Int("kv_num_heads", 0)
	if n < 1 || kv < 1 {
		return nil, invalidf("%d heads and %d of key and value", n, kv)
	}
	y, present := unknownDims(3), unknownDims(4)
	present[1] = graph.Known(kv)
	if q.Ranked && len(q.Shape) == 3 {
		copy(y, q.Shape)
		present[0] = q.Shape[0]
		heads := graph.Known(n)
		if !c.Has(groupKey) {
			heads = graph.Known(n + 2*kv)
		}
		present[3] = divDims(q.Shape[2], heads)
		y[2] = mulDims(present[3], graph.Known(n))
	}
	rows := graph.Known(0)
	if c.Has(groupPastKey) {
		rows = graph.Unknown
		if p := c.Input(groupPastKey); p.Ranked && len(p.Shape) == 4 {
			rows = p.Shape[2]
		}
	}
	if total, ok := c.Ints(groupTotal); ok && len(total) == 1 && rows.IsKnown() {
		present[2] = graph.Known(max(rows.Size, total[0], 0))
	}
	return Typed(graph.OfDims(q.DType, y), graph.OfDims(q.DType, present), graph.OfDims(q.DType, present)), nil
}
