package op

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

// attention holds the operands of one Attention node.
type attention struct {
	q, k, v     *heads // k and v with the past in front
	flat        bool   // operands and result of rank 3
	past        int
	masks       []mask
	maskKeys    int       // keys that the masks cover; later ones are shut out
	valid       []int     // keys that count, for each sample; nil: all
	sinks       []float64 // a score for each head that takes its share and has no value; nil: none
	scale, soft float64
	causal      bool
	left, right int // how many keys before and behind its own place a query sees; -1: all
}

// A mask is added to the scores; step are its strides along (N,heads,rows,keys).
type mask struct {
	data []float64
	step []int
}

func newAttention(c *Call) (*attention, error) {
	a := &attention{flat: c.In[0].Rank() == 3}
	if c.In[1].Rank() != c.In[0].Rank() || c.In[2].Rank() != c.In[0].Rank() {
		return nil, invalidf("Q, K and V of shapes %v, %v and %v", c.In[0].Shape, c.In[1].Shape, c.In[2].Shape)
	}
	kv := c.Int("kv_num_heads", 0)
	var err error
	if a.q, err = headsOf("Q", c.In[0], c.Int("q_num_heads", 0)); err != nil {
		return nil, err
	}
	if a.k, err = headsOf("K", c.In[1], kv); err != nil {
		return nil, err
	}
	if a.v, err = headsOf("V", c.In[2], kv); err != nil {
		return nil, err
	}
	if err := a.prepend(c.Input(4), c.Input(5)); err != nil {
		return nil, err
	}
	q, k, v := a.q, a.k, a.v
	if q.batch != k.batch || q.batch != v.batch || q.size != k.size || k.rows != v.rows || k.count != v.count ||
		k.count == 0 || q.count%k.count != 0 {
		return nil, invalidf("Q %v, K %v and V %v do not fit", q.shape(), k.shape(), v.shape())
	}
	if err := a.readValid(c); err != nil {
		return nil, err
	}
	a.soft = float64(c.Float("softcap", 0))
	a.scale = 1 / math.Sqrt(float64(q.size))
	if c.HasAttr("scale") {
		a.scale = float64(c.Float("scale", 0))
	}
	a.causal = c.Bool("is_causal", false)
	if a.left, a.right = c.Int("left_window_size", -1), c.Int("right_window_size", -1); a.left < -1 || a.right < -1 {
		return nil, invalidf("window sizes below -1")
	}
	return a, a.readMask(c.Input(3))
}

// prepend puts past keys and values in front of the new ones.
func (a *attention) prepend(key, value *tensor.Tensor) error {
	if (key == nil) != (value == nil) {
		return invalidf("past_key and past_value go together")
	}
	if key == nil {
		return nil
	}
	for i, h := range []**heads{&a.k, &a.v} {
		past, err := headsOf("past", []*tensor.Tensor{key, value}[i], 0)
		if err != nil {
			return err
		}
		if past.batch != (*h).batch || past.count != (*h).count || past.size != (*h).size {
			return invalidf("past of shape %v before %v", past.shape(), (*h).shape())
		}
		if i == 0 {
			a.past = past.rows
		}
		*h = (*h).after(past)
	}
	return nil
}

// readValid reads nonpad_kv_seqlen (N).
func (a *attention) readValid(c *Call) error {
	if !c.Has(6) {
		return nil
	}
	if c.Has(4) {
		return invalidf("nonpad_kv_seqlen and past_key exclude each other")
	}
	if err := wantShape("nonpad_kv_seqlen", c.In[6], a.q.batch); err != nil {
		return err
	}
	var err error
	a.valid, err = indices(c.In[6])
	return err
}

// readMask reads attn_mask, whose last axis may be shorter than the keys: a false element
// becomes minus infinity.
func (a *attention) readMask(t *tensor.Tensor) error {
	a.maskKeys = a.k.rows
	if t == nil {
		return nil
	}
	full := []int{a.q.batch, a.q.count, a.q.rows, a.k.rows}
	shape := slices.Clone(t.Shape)
	if len(shape) == 0 || len(shape) > 4 {
		return invalidf("attn_mask of shape %v", shape)
	}
	a.maskKeys = shape[len(shape)-1]
	full[3] = a.maskKeys
	out, err := BroadcastShape(shape, full)
	if err != nil || !slices.Equal(out, full) || a.maskKeys > a.k.rows {
		return invalidf("attn_mask of shape %v does not broadcast to %v", shape, full)
	}
	data, err := floats(t)
	if err != nil {
		return err
	}
	if t.DType == tensor.Bool {
		for i, v := range data {
			data[i] = 0
			if v == 0 {
				data[i] = math.Inf(-1)
			}
		}
	}
	a.masks = append(a.masks, mask{data, broadcastStrides(shape, full)})
	return nil
}

// bias returns what is added to the score of row i and key j.
func (a *attention) bias(n, head, i, j int) float64 {
	offset := a.past
	if a.valid != nil {
		offset = a.valid[n] - a.q.rows
		if j >= a.valid[n] {
			return math.Inf(-1)
		}
	}
	at := offset + i // the absolute position of the query
	if j >= a.maskKeys || a.causal && j > at || a.left >= 0 && at-j > a.left || a.right >= 0 && j-at > a.right {
		return math.Inf(-1)
	}
	sum := 0.0
	for _, m := range a.masks {
		sum += m.data[n*m.step[0]+head*m.step[1]+i*m.step[2]+j*m.step[3]]
	}
	return sum
}

// The values of qk_matmul_output_mode: at which step the scores are handed out.
const (
	scoresRaw = iota
	scoresCapped
	scoresBiased
	scoresSoftmax
)

// head computes one head: y (rows,size of V), and the scores at the wanted step.
func (a *attention) head(n, head int, y, scores []float64, mode int) {
	kv := head / (a.q.count / a.k.count)
	q, k, v := a.q.at(n, head), a.k.at(n, kv), a.v.at(n, kv)
	keys, size := a.k.rows, a.q.size
	row := make([]float64, keys, keys+1)
	for i := range a.q.rows {
		keep := func(step int) {
			if step == mode && scores != nil {
				copy(scores[i*keys:], row)
			}
		}
		for j := range row {
			row[j] = a.scale * dot(q[i*size:][:size], k[j*size:][:size])
		}
		keep(scoresRaw)
		if a.soft > 0 {
			for j, s := range row {
				row[j] = a.soft * math.Tanh(s/a.soft)
			}
		}
		keep(scoresCapped)
		open := false
		for j := range row {
			b := a.bias(n, head, i, j)
			open = open || !math.IsInf(b, -1)
			row[j] += b
		}
		keep(scoresBiased)
		if open && maxOf(row) > math.Inf(-1) {
			a.softmax(row, head)
		} else {
			clear(row) // no key is attended
		}
		keep(scoresSoftmax)
		for j, p := range row {
			addScaled(y[i*a.v.size:][:a.v.size], v[j*a.v.size:][:a.v.size], p, 1)
		}
	}
}

// softmax is over the scores of the keys and of the head's sink.
func (a *attention) softmax(row []float64, head int) {
	if a.sinks != nil {
		row = append(row, a.sinks[head])
	}
	softmaxRow(row)
}

func evalAttention(c *Call) ([]*tensor.Tensor, error) {
	a, err := newAttention(c)
	if err != nil {
		return nil, err
	}
	mode := c.Int("qk_matmul_output_mode", 0)
	if mode < scoresRaw || mode > scoresSoftmax {
		return nil, invalidf("qk_matmul_output_mode %d", mode)
	}
	y, scores, err := a.compute(c.Wants(3), mode)
	if err != nil {
		return nil, err
	}
	return a.outputs(c, y, scores)
}

// compute returns the result of every head, and the scores at a step where they are wanted.
func (a *attention) compute(wantScores bool, mode int) (y, scores *heads, err error) {
	y = &heads{a.q.batch, a.q.count, a.q.rows, a.v.size, nil}
	if _, err := sized(y.shape()); err != nil {
		return nil, nil, err
	}
	y.data = make([]float64, tensor.Elements(y.shape()))
	scores = &heads{a.q.batch, a.q.count, a.q.rows, a.k.rows, nil}
	if wantScores {
		if _, err := sized(scores.shape()); err != nil {
			return nil, nil, err
		}
		scores.data = make([]float64, tensor.Elements(scores.shape()))
	}
	if len(y.data) == 0 && len(scores.data) == 0 {
		return y, scores, nil
	}
	for i := range a.q.batch * a.q.count {
		n, head := i/a.q.count, i%a.q.count
		var s []float64
		if scores.data != nil {
			s = scores.at(n, head)
		}
		a.head(n, head, y.at(n, head), s, mode)
	}
	return y, scores, nil
}

// outputs rounds the results: Y, present key and value, scores.
func (a *attention) outputs(c *Call, y, scores *heads) ([]*tensor.Tensor, error) {
	d := c.In[0].DType
	data, shape := y.data, y.shape()
	if a.flat {
		data, shape = y.packed(), []int{y.batch, y.rows, y.count * y.size}
	}
	out := make([]*tensor.Tensor, 4)
	var err error
	if out[0], err = fromFloats(d, data, shape); err != nil {
		return nil, err
	}
	if out[1], err = fromFloats(c.In[1].DType, a.k.data, a.k.shape()); err != nil {
		return nil, err
	}
	if out[2], err = fromFloats(c.In[2].DType, a.v.data, a.v.shape()); err != nil {
		return nil, err
	}
	if scores.data != nil {
		out[3], err = fromFloats(d, scores.data, scores.shape())
	}
	return out, err
}
