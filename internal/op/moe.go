package op

import (
	"cmp"
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An expertLayer is one of the two layers that every expert has.
type expertLayer struct {
	rows, cols int
	weights    func(expert int) []float64 // (rows,cols)
	bias       []float64                  // (experts,rows); nil: none
}

// apply returns what the layer of an expert with these weights makes of x.
func (l *expertLayer) apply(expert int, weights, x []float64) []float64 {
	y := make([]float64, l.rows)
	for i := range y {
		if y[i] = dot(weights[i*l.cols:][:l.cols], x); l.bias != nil {
			y[i] += l.bias[expert*l.rows+i]
		}
	}
	return y
}

// A mixture is MoE of ONNX Runtime: each token goes through the experts that its router scores highest.
type mixture struct {
	tokens, count, hidden, inter int
	gated                        bool // the first layer gives two numbers for each of inter
	first, second                expertLayer
	act                          func(x []float64) []float64 // the function of what the first layer gives
	x                            []float64
	routes                       []route
}

// A route is the share that an expert has in the result of a token.
type route struct {
	token, expert int
	share         float64
}

// newMixture reads what MoE and QMoE have in common: the tokens, and the scores of their routers, the shares normalized or not.
func newMixture(c *Call, chosen *tensor.Tensor, normalize bool) (*mixture, error) {
	x, scores := c.In[0], c.In[1]
	if x.Rank() < 2 || x.Rank() > 3 || x.Shape[x.Rank()-1] < 1 || scores.Rank() != 2 {
		return nil, invalidf("input %v and router_probs %v", x.Shape, scores.Shape)
	}
	m := &mixture{tokens: tensor.Elements(x.Shape[:x.Rank()-1]), hidden: x.Shape[x.Rank()-1], count: scores.Shape[1]}
	for _, t := range []*tensor.Tensor{scores, chosen} {
		if err := wantShape("router_probs", t, m.tokens, m.count); err != nil {
			return nil, err
		}
	}
	if c.Bool("use_sparse_mixer", false) {
		return nil, unsupportedf("use_sparse_mixer")
	}
	v, err := floatsOf(x, scores, chosen)
	if err != nil {
		return nil, err
	}
	m.x = v[0]
	if err := m.route(v[1], v[2], c.Int("k", 1), normalize); err != nil {
		return nil, err
	}
	m.act, m.gated, err = expertActivation(c.Node)
	return m, err
}

// route finds the k experts of each token by the softmax of its scores. Their shares are these, or others that are given;
// normalized they add up to one.
func (m *mixture) route(scores, given []float64, k int, normalize bool) error {
	if k < 1 || k > m.count {
		return invalidf("%d of %d experts", k, m.count)
	}
	if m.tokens == 0 {
		return nil
	}
	order := make([]int, m.count)
	for t := range m.tokens {
		row := slices.Clone(scores[t*m.count:][:m.count])
		softmaxRow(row)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return cmp.Or(cmp.Compare(row[j], row[i]), j-i) })
		if given != nil {
			row = given[t*m.count:][:m.count]
		}
		sum := 1.0
		if normalize {
			sum = 0
			for _, e := range order[:k] {
				sum += row[e]
			}
		}
		for _, e := range order[:k] {
			m.routes = append(m.routes, route{t, e, row[e] / sum})
		}
	}
	return nil
}

// expertActivations lists the functions that take numbers one by one.
var expertActivations = map[string]func(float64) float64{
	"relu": relu, "gelu": geluTanh, "silu": func(x float64) float64 { return x * sigmoid(x) }, "identity": func(x float64) float64 { return x },
}

// expertActivation returns the function between the layers, and whether it takes two numbers for each that it gives.
func expertActivation(n *graph.Node) (f func(x []float64) []float64, gated bool, err error) {
	name := n.Str("activation_type", "relu")
	if each := expertActivations[name]; each != nil {
		return func(x []float64) []float64 {
			for i, v := range x {
				x[i] = each(v)
			}
			return x
		}, false, nil
	}
	fusion := n.Int("swiglu_fusion", 0)
	if name != "swiglu" || fusion < 1 || fusion > 2 || n.Bool("swiglu_limit_after_activation", false) {
		return nil, false, unsupportedf("activation_type %q with swiglu_fusion %d", name, fusion)
	}
	alpha, beta, limit := float64(n.Float("activation_alpha", 1)), float64(n.Float("activation_beta", 0)), float64(n.Float("swiglu_limit", math.MaxFloat32))
	return func(x []float64) []float64 {
		y := make([]float64, len(x)/2)
		for i := range y {
			g, l := x[i], x[len(y)+i]
			if fusion == 1 {
				g, l = x[2*i], x[2*i+1]
			}
			g, l = min(g, limit), clamp(l, -limit, limit)
			y[i] = g * sigmoid(alpha*g) * (l + beta)
		}
		return y
	}, true, nil
}

// layers checks the shapes of the weights, a number of which is packed in each element, and of the biases.
func (m *mixture) layers(w1, w2, b1, b2 *tensor.Tensor, packed int) error {
	if w1.Rank() != 3 || w2.Rank() != 3 || w2.Shape[2] < 1 || w2.Shape[2] > maxElements {
		return invalidf("weights of shapes %v and %v", w1.Shape, w2.Shape)
	}
	m.inter = w2.Shape[2] * packed
	m.first, m.second = expertLayer{rows: m.inter, cols: m.hidden}, expertLayer{rows: m.hidden, cols: m.inter}
	if m.gated {
		m.first.rows *= 2
	}
	v, err := floatsOf(b1, b2)
	if err != nil {
		return err
	}
	for i, l := range []*expertLayer{&m.first, &m.second} {
		if l.cols%packed != 0 {
			return invalidf("rows of %d weights, %d of them in a byte", l.cols, packed)
		}
		if err := wantShape("weights", []*tensor.Tensor{w1, w2}[i], m.count, l.rows, l.cols/packed); err != nil {
			return err
		}
		if err := wantShape("bias", []*tensor.Tensor{b1, b2}[i], m.count, l.rows); err != nil {
			return err
		}
		l.bias = v[i]
	}
	return nil
}

// compute adds up the shares that experts have in the tokens, one expert after the other.
func (m *mixture) compute(d tensor.DType, shape []int) ([]*tensor.Tensor, error) {
	slices.SortStableFunc(m.routes, func(a, b route) int { return a.expert - b.expert })
	y := make([]float64, len(m.x))
	var w1, w2 []float64
	for i, r := range m.routes {
		if i == 0 || m.routes[i-1].expert != r.expert {
			w1, w2 = m.first.weights(r.expert), m.second.weights(r.expert)
		}
		h := m.act(m.first.apply(r.expert, w1, m.x[r.token*m.hidden:][:m.hidden]))
		addScaled(y[r.token*m.hidden:][:m.hidden], m.second.apply(r.expert, w2, h), r.share, 1)
	}
	return one(fromFloats(d, y, shape))
}

// evalMoE takes weights that are floats. Inputs: input (tokens,hidden) or (N,L,hidden), router_probs (tokens,experts), weights
// (experts,inter,hidden) and biases of the first layer, weights (experts,hidden,inter) and biases of the second.
func evalMoE(c *Call) ([]*tensor.Tensor, error) {
	if c.Has(6) || c.Has(7) {
		return nil, unsupportedf("a third layer")
	}
	m, err := newMixture(c, nil, c.Bool("normalize_routing_weights", false))
	if err != nil {
		return nil, err
	}
	if err := m.layers(c.In[2], c.In[4], c.Input(3), c.Input(5), 1); err != nil {
		return nil, err
	}
	v, err := floatsOf(c.In[2], c.In[4])
	if err != nil {
		return nil, err
	}
	for i, l := range []*expertLayer{&m.first, &m.second} {
		l.weights = func(expert int) []float64 { return v[i][expert*l.rows*l.cols:][:l.rows*l.cols] }
	}
	return m.compute(c.In[0].DType, c.In[0].Shape)
}
