package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A linearAttention holds the operands of LinearAttention: q, k and v as (N,T,heads*size), the
// state (N,heads,dk,dv), decay (N,T,heads) or (N,T,heads*dk), beta (N,T,heads) or (N,T,1).
type linearAttention struct {
	batch, steps          int
	qHeads, kvHeads       int
	heads                 int // of the result: the larger number
	dk, dv                int
	q, k, v, decay, beta  []float64
	decayWidth, betaWidth int
	scale                 float64
	gated, delta          bool
	state                 []float64
}

// updateRules says of each update_rule whether it has a decay gate and the delta correction.
var updateRules = map[string]struct{ gated, delta bool }{
	"linear": {false, false}, "gated": {true, false}, "delta": {false, true}, "gated_delta": {true, true},
}

func newLinearAttention(c *Call) (*linearAttention, error) {
	a := &linearAttention{qHeads: c.Int("q_num_heads", 0), kvHeads: c.Int("kv_num_heads", 0)}
	q, k, v := c.In[0].Shape, c.In[1].Shape, c.In[2].Shape
	if len(q) != 3 || len(k) != 3 || len(v) != 3 || a.kvHeads < 1 || a.kvHeads > max(k[2], 1) || a.qHeads < 1 || a.qHeads > max(q[2], 1) ||
		a.qHeads%a.kvHeads != 0 && (a.kvHeads%a.qHeads != 0 || c.Domain == "") {
		return nil, invalidf("query %v, key %v and value %v with %d and %d heads", q, k, v, a.qHeads, a.kvHeads)
	}
	if w := c.Int("state_window", 0); w != 0 {
		return nil, unsupportedf("state_window %d", w)
	}
	a.heads = max(a.qHeads, a.kvHeads)
	a.batch, a.steps, a.dk, a.dv = q[0], q[1], k[2]/a.kvHeads, v[2]/a.kvHeads
	rows := []int{a.batch, a.steps}
	for i, want := range [][]int{{a.qHeads * a.dk}, {a.kvHeads * a.dk}, {a.kvHeads * a.dv}} {
		if err := wantShape("query, key or value", c.In[i], append(slices.Clone(rows), want...)...); err != nil {
			return nil, err
		}
	}
	if err := wantShape("past_state", c.Input(3), a.stateShape()...); err != nil {
		return nil, err
	}
	if _, err := sized(a.stateShape()); err != nil {
		return nil, err
	}
	if _, err := sized([]int{a.batch, a.steps, a.heads, a.dv}); err != nil {
		return nil, err
	}
	if err := a.readRule(c); err != nil {
		return nil, err
	}
	if a.scale = float64(c.Float("scale", 0)); a.scale == 0 {
		a.scale = 1 / math.Sqrt(float64(a.dk))
	}
	in, err := floatsOf(c.In[0], c.In[1], c.In[2], c.Input(3), c.Input(4), c.Input(5))
	if err != nil {
		return nil, err
	}
	a.q, a.k, a.v, a.decay, a.beta = in[0], in[1], in[2], in[4], in[5]
	a.state = make([]float64, tensor.Elements(a.stateShape()))
	copy(a.state, in[3])
	return a, nil
}

func (a *linearAttention) stateShape() []int { return []int{a.batch, a.kvHeads, a.dk, a.dv} }

// readRule checks the gates that the update rule needs.
func (a *linearAttention) readRule(c *Call) error {
	name := c.Str("update_rule", "gated_delta")
	rule, ok := updateRules[name]
	if !ok {
		return invalidf("update_rule %q", name)
	}
	a.gated, a.delta = rule.gated, rule.delta
	for i, need := range []bool{a.gated, a.delta} {
		t := c.Input(4 + i)
		if !need {
			continue
		}
		if t == nil {
			return invalidf("update_rule %q needs %s", name, []string{"decay", "beta"}[i])
		}
		if t.Rank() != 3 || t.Shape[0] != a.batch || t.Shape[1] != a.steps {
			return invalidf("gate of shape %v", t.Shape)
		}
	}
	if a.gated {
		if a.decayWidth = c.In[4].Shape[2]; a.decayWidth != a.kvHeads && a.decayWidth != a.kvHeads*a.dk {
			return invalidf("decay of shape %v", c.In[4].Shape)
		}
	}
	if a.delta {
		if a.betaWidth = c.In[5].Shape[2]; a.betaWidth != a.kvHeads && a.betaWidth != 1 {
			return invalidf("beta of shape %v", c.In[5].Shape)
		}
	}
	return nil
}

// step updates state s (dk,dv) of one head by the key and value of row r, which counts (N,T).
func (a *linearAttention) step(s []float64, r, head int) {
	k := a.k[(r*a.kvHeads+head)*a.dk:][:a.dk]
	v := slices.Clone(a.v[(r*a.kvHeads+head)*a.dv:][:a.dv])
	if a.gated {
		for i := range a.dk {
			g := r*a.decayWidth + head
			if a.decayWidth != a.kvHeads {
				g = r*a.decayWidth + head*a.dk + i
			}
			f := math.Exp(a.decay[g])
			for j := range a.dv {
				s[i*a.dv+j] *= f
			}
		}
	}
	rate := 1.0
	if a.delta {
		for i, f := range k {
			addScaled(v, s[i*a.dv:][:a.dv], -f, 1)
		}
		rate = a.beta[r*a.betaWidth+head%a.betaWidth]
	}
	for i, f := range k {
		addScaled(s[i*a.dv:][:a.dv], v, rate*f, 1)
	}
}

func evalLinearAttention(c *Call) ([]*tensor.Tensor, error) {
	a, err := newLinearAttention(c)
	if err != nil {
		return nil, err
	}
	shape := []int{a.batch, a.steps, a.heads * a.dv}
	y := make([]float64, tensor.Elements(shape))
	share, same := a.heads/a.kvHeads, a.heads/a.qHeads // heads of the result that read one state, or one query
	for i := range a.batch * a.kvHeads {
		n, head := i/a.kvHeads, i%a.kvHeads
		s := a.state[i*a.dk*a.dv:][:a.dk*a.dv]
		for t := range a.steps {
			r := n*a.steps + t
			a.step(s, r, head)
			for h := head * share; h < (head+1)*share; h++ {
				at := r*a.heads + h
				for k, f := range a.q[(r*a.qHeads+h/same)*a.dk:][:a.dk] {
					addScaled(y[at*a.dv:][:a.dv], s[k*a.dv:][:a.dv], a.scale*f, 1)
				}
			}
		}
	}
	out, err := fromFloats(c.In[0].DType, y, shape)
	if err != nil {
		return nil, err
	}
	d := c.In[0].DType
	if c.Has(3) {
		d = c.In[3].DType
	}
	state, err := fromFloats(d, a.state, a.stateShape())
	return []*tensor.Tensor{out, state}, err
}

func inferLinearAttention(c *Inference) ([]Fact, error) {
	q, k, v := c.Input(0), c.Input(1), c.Input(2)
	qHeads, kvHeads := c.Int("q_num_heads", 0), c.Int("kv_num_heads", 0)
	if qHeads < 1 || kvHeads < 1 {
		return nil, invalidf("%d and %d heads", qHeads, kvHeads)
	}
	y, s := unknownDims(3), append([]graph.Dim{graph.Unknown, graph.Known(kvHeads)}, unknownDims(2)...)
	if q.Ranked && len(q.Shape) == 3 {
		y[0], y[1], s[0] = q.Shape[0], q.Shape[1], q.Shape[0]
	}
	if k.Ranked && len(k.Shape) == 3 {
		s[2] = divDims(k.Shape[2], graph.Known(kvHeads))
	}
	if v.Ranked && len(v.Shape) == 3 {
		s[3] = divDims(v.Shape[2], graph.Known(kvHeads))
		y[2] = mulDims(s[3], graph.Known(max(qHeads, kvHeads)))
	}
	d := q.DType
	if c.Has(3) {
		d = c.Input(3).DType
	}
	return Typed(graph.OfDims(q.DType, y), graph.OfDims(d, s)), nil
}
