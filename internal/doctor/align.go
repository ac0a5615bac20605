package doctor

import (
	"maps"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// format4 lists the whole-number formats of fewer than eight bits.
var format4 = []*format.Format{format.Int4, format.Uint4, format.Int2, format.Uint2}

// Equalization moves factors between the channels of neighbouring layers, so that the quantized weights
// are those of another float network, which computes the same. The factors of a layer's output channels
// are found from its codes, those of its input channels are the inverse of what the layers before got.

// rescaleGain is how much smaller the squared difference from the codes has to become for factors to be
// believed.
const rescaleGain = 1.5

// align gives every constant the numbers that stand for it in float, and every result the clamps
// that its codes took over.
func (n *net) align() {
	units := map[*graph.Node]*unit{}
	for _, u := range n.nodes {
		units[u.node] = u
	}
	factors := map[string][]float64{}
	n.factors, n.stated = factors, map[*float64]bool{}
	for _, node := range n.m.Graph.Nodes {
		if len(node.In) == 0 || len(node.Out) == 0 {
			continue
		}
		u := units[node]
		if u == nil || u.weights == nil {
			factors[node.Out[0]] = n.passed(node, factors)
		}
		if u != nil {
			n.alignUnit(u, factors)
			n.alignResult(u, units)
		}
	}
}

func (n *net) alignUnit(u *unit, factors map[string][]float64) {
	f := n.twin[u.node]
	if u.weights != nil {
		u.weights.off = n.floatOf(u.weights, f, operandOf(u, u.weights))
		input := factors[u.node.In[0]]
		factors[u.node.Out[0]] = u.rescale(input, !n.disbelieved[u], len(input) > 0 && n.stated[&input[0]])
	}
	u.unmoved = nil
	if u.weights != nil && u.weights.off != nil && u.bias == nil {
		u.unmoved = n.unmovedBias(u, factors[u.node.Out[0]])
	}
	if u.bias != nil {
		beside, at := n.biasBeside(u)
		u.bias.off = scaledBy(n.floatOf(u.bias, beside, at), factors[u.node.Out[0]])
	}
	for i, s := range u.in {
		if s != nil && s.kind == weights {
			s.off = n.floatOf(s, f, i)
		}
	}
}

// alignResult finds the clamps that the codes of a unit's result took over: behind its counterpart, or, where it is one of the
// Reshapes that ONNX Runtime's optimizer puts around Gemm, behind that of the node whose numbers it moves.
func (n *net) alignResult(u *unit, units map[*graph.Node]*unit) {
	if u.out == nil {
		return
	}
	from := u
	if n.twin[u.node] == nil {
		from = units[n.origin(u.out.from)]
	}
	if from != nil && n.twin[from.node] != nil {
		u.out.clamps = n.lostClamps(from, n.twin[from.node])
	}
}

// biasAt is the operand at which layers read a bias of their own.
const biasAt = 2

// unmovedBias is what a bias in float is in the float network, times the factors of its channels; nil where that is the same.
func (n *net) unmovedBias(u *unit, s []float64) *tensor.Tensor {
	if u.adder == nil {
		return nil
	}
	f, at := n.biasBeside(u)
	if at < 0 {
		return nil
	}
	ours, theirs := n.m.Graph.ConstTensor(u.adder.In[u.added]), n.float.Graph.ConstTensor(f.In[at])
	if ours == nil || theirs == nil || ours.DType != tensor.Float32 || theirs.DType != tensor.Float32 || !slices.Equal(ours.Shape, theirs.Shape) {
		return nil
	}
	if theirs = scaledBy(theirs, s); slices.Equal(tensor.Of[float32](ours), tensor.Of[float32](theirs)) {
		return nil
	}
	return theirs
}

// Factors tells by what the channels of a quantized network's values are multiplied against those of the
// float one, because repairs moved factors between layers. Values that are not in it have no such factors.
func Factors(float, quantized *graph.Model) (map[string][]float64, error) {
	n, err := newNet(float, quantized)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(n.factors, func(_ string, f []float64) bool { return f == nil })
	return n.factors, nil
}

// rescaled lists the units whose output channels got factors of their own, in the order of the graph.
func (n *net) rescaled() []*unit {
	var list []*unit
	for _, u := range n.nodes {
		if u.weights != nil && n.factors[u.node.Out[0]] != nil {
			list = append(list, u)
		}
	}
	return list
}

// passed are the factors that a node without weights hands on: those of its operand where it treats every
// channel by itself and alike, and those by which its constants differ from its counterpart's.
func (m *net) passed(n *graph.Node, factors map[string][]float64) []float64 {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil {
		return nil
	}
	if i := slices.IndexFunc(n.In, func(name string) bool { return m.m.Graph.ConstTensor(name) != nil }); i >= 0 && o.Quant.Role(i) == op.Weight {
		return m.restated(n, i, factors[n.In[0]])
	}
	switch {
	case slices.Contains(scaling, n.Op):
		return m.moved(n)
	case n.Op == "Mul":
		return product(product(factors[n.In[0]], factors[n.In[1]]), m.moved(n))
	case n.Op == "MatMul": // of two values that flow: the columns are those of the second
		return factors[n.In[1]]
	}
	if n.Op == "Concat" && n.Int("axis", 0) == 1 {
		var list []float64
		for _, name := range n.In {
			if factors[name] == nil {
				return nil
			}
			list = append(list, factors[name]...)
		}
		return list
	}
	if o.Quant.Clamp || o.Quant.Share || o.Quantized() || slices.Contains(homogeneous, n.Op) {
		for _, name := range n.In {
			if f := factors[name]; f != nil {
				return f
			}
		}
	}
	return nil
}

// restatedMost is the squared difference that rounding leaves, as a share, between weights and a multiple of others.
const restatedMost = 1e-9

// restated are the factors of the output channels of a layer that stays in float, by which its weights differ from its
// counterpart's beside those of its input; nil where they are no such multiple.
func (n *net) restated(q *graph.Node, i int, input []float64) []float64 {
	f := n.twin[q]
	if f == nil || i >= len(f.In) {
		return nil
	}
	ours, theirs := n.m.Graph.ConstTensor(q.In[i]), n.float.Graph.ConstTensor(f.In[i])
	if theirs == nil || ours.DType != tensor.Float32 || theirs.DType != tensor.Float32 || ours.Rank() < 2 || !slices.Equal(ours.Shape, theirs.Shape) {
		return nil
	}
	v := newView(&unit{node: q}, ours)
	x, y, into := tensor.Of[float32](theirs), tensor.Of[float32](ours), v.inverse(input)
	s := v.factors(x, y, into)
	scaled := tensor.Of[float32](v.times(theirs, func(i int) float64 { return s[v.out(i)] * into(i) }))
	if slices.Equal(x, y) || !(squaredDistance(scaled, y) <= restatedMost*squaredDistance(make([]float32, len(y)), y)) {
		return nil
	}
	n.stated[&s[0]] = true
	return s
}

// scaling lists operators that multiply every channel by a constant of its own, whatever the size of what they read.
var scaling = []string{"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"}

// moved are the factors by which the constants that a node multiplies by differ from those of its counterpart; nil
// where none does.
func (n *net) moved(q *graph.Node) []float64 {
	f := n.twin[q]
	if f == nil || len(f.In) != len(q.In) {
		return nil
	}
	for i := range min(len(q.In), 2) {
		a, b := n.m.Graph.ConstTensor(q.In[i]), n.float.Graph.ConstTensor(f.In[i])
		if a == nil || b == nil || a.DType != tensor.Float32 || !slices.Equal(a.Shape, b.Shape) || !lanes(a.Shape) {
			continue
		}
		x, y := tensor.Of[float32](a), tensor.Of[float32](b)
		list, same := make([]float64, len(x)), true
		for k, v := range x {
			list[k] = 1
			if r := float64(v) / float64(y[k]); r > 0 && !math.IsInf(r, 0) {
				list[k] = r
			}
			same = same && v == y[k]
		}
		if !same {
			n.stated[&list[0]] = true
			return list
		}
	}
	return nil
}

// lanes says whether a shape has one axis that is not one.
func lanes(shape []int) bool {
	wide := 0
	for _, d := range shape {
		if d != 1 {
			wide++
		}
	}
	return wide == 1
}

// product multiplies factors; nil are all one.
func product(a, b []float64) []float64 {
	if a == nil || b == nil || len(a) != len(b) {
		if a == nil {
			return b
		}
		return a
	}
	c := make([]float64, len(a))
	for i, v := range a {
		c[i] = v * b[i]
	}
	return c
}

// homogeneous lists operators besides clamps and moves that hand factors of channels on.
var homogeneous = []string{"Add", "Sum", "Sub", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Flatten", "Reshape", "Squeeze", "Resize"}

// rescale looks for factors of the output channels with which the float weights of a unit come nearer to
// its codes, given those of its input, applies both and returns them. Where they are not to be believed, it applies
// those of the input alone; where they bring nothing nearer, none, unless those of the input are stated.
func (u *unit) rescale(input []float64, believe, stated bool) []float64 {
	w := u.weights
	if w.off == nil || w.off.Rank() < 2 {
		return nil
	}
	v := newView(u, w.off)
	x, y := tensor.Of[float32](w.off), tensor.Of[float32](w.coded.Decode())
	into := v.inverse(input)
	if !believe {
		w.off = v.times(w.off, into)
		return nil
	}
	s := v.factors(x, y, into)
	v.steady(w.coded, v.times(w.off, into), s)
	scaled := v.times(w.off, func(i int) float64 { return s[v.out(i)] * into(i) })
	gain := rescaleGain
	if input != nil {
		gain = 1
	}
	if squaredDistance(tensor.Of[float32](scaled), y)*gain >= squaredDistance(x, y) {
		if stated {
			w.off = v.times(w.off, into)
		}
		return nil
	}
	w.off = scaled
	return s
}

// scaledBy multiplies a bias by factors.
func scaledBy(t *tensor.Tensor, s []float64) *tensor.Tensor {
	if t == nil || len(s) != t.Len() {
		return t
	}
	y := make([]float32, t.Len())
	for i, v := range tensor.Of[float32](t) {
		y[i] = float32(float64(v) * s[i])
	}
	return tensor.Float32s(y, t.Shape...)
}

// A view tells for each element of a weight its output and its input channel.
type view struct {
	outs, ins     int
	outRun, inRun int
	groups        int
}

// newView reads the layout of a unit's weight: the output channels lie along the operator's axis, the
// inputs along the other of the first two (or last two, for matrices).
func newView(u *unit, t *tensor.Tensor) view {
	axis := axisOf(u, t.Rank())
	other := 1
	if axis == 1 {
		other = 0
	} else if axis > 1 {
		other = axis - 1
	}
	run := func(a int) int { return tensor.Elements(t.Shape[a+1:]) }
	return view{outs: t.Shape[axis], ins: t.Shape[other], outRun: run(axis), inRun: run(other), groups: max(1, u.node.Int("group", 1))}
}

// axisOf is the axis of the output channels of a unit's weight.
func axisOf(u *unit, rank int) int {
	axis := op.Lookup(u.node.Domain, u.node.Op).Quant.WeightAxis(u.node)
	if axis < 0 {
		axis += rank
	}
	return axis
}

func (v view) out(i int) int { return i / v.outRun % v.outs }
func (v view) in(i int) int  { return i / v.inRun % v.ins }

// inverse returns what each element of a weight is multiplied by because of the factors of the input.
func (v view) inverse(input []float64) func(i int) float64 {
	switch len(input) {
	case v.ins:
		return func(i int) float64 { return 1 / input[v.in(i)] }
	case v.ins * v.groups:
		return func(i int) float64 { return 1 / input[v.out(i)/(v.outs/v.groups)*v.ins+v.in(i)] }
	}
	return func(int) float64 { return 1 }
}

// factors fits y ≈ s·x·t by least squares for the output channels. One that tells nothing keeps the factor one.
func (v view) factors(x, y []float32, t func(i int) float64) []float64 {
	s, xy, xx := make([]float64, v.outs), make([]float64, v.outs), make([]float64, v.outs)
	for i, e := range x {
		f := float64(e) * t(i)
		xy[v.out(i)] += f * float64(y[i])
		xx[v.out(i)] += f * f
	}
	for c := range s {
		if s[c] = xy[c] / xx[c]; !(s[c] > 0) || math.IsInf(s[c], 0) {
			s[c] = 1
		}
	}
	return s
}

// times multiplies each element of a weight by a factor.
func (v view) times(t *tensor.Tensor, factor func(i int) float64) *tensor.Tensor {
	y := make([]float32, t.Len())
	for i, e := range tensor.Of[float32](t) {
		y[i] = float32(float64(e) * factor(i))
	}
	return tensor.Float32s(y, t.Shape...)
}

// steady takes back the factors of output channels whose codes are already those of the weight t, or their neighbours:
// of coarse codes, least squares would tell of factors that nobody applied.
func (v view) steady(c *weight.Coded, t *tensor.Tensor, s []float64) {
	own, err := weight.Encode(t, c.Format, c.Block, c.Params)
	if err != nil {
		return
	}
	moved := make([]bool, v.outs)
	for i, code := range own.Codes {
		if d := code - c.Codes[i]; d < -1 || d > 1 {
			moved[v.out(i)] = true
		}
	}
	for k, m := range moved {
		if !m {
			s[k] = 1
		}
	}
}
