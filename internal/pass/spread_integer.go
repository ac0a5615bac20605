package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An integerForm is an operator whose int32 sums are scaled back by operators behind it.
type integerForm struct {
	op   string
	axis func(n *graph.Node, rank int) int // of the output channels of its weight
}

var integerForms = map[string]integerForm{"MatMulInteger": {"MatMul", last}, "ConvInteger": {"Conv", first}}

// A scaled is an integer product with the nodes that make real numbers of its sums.
type scaled struct {
	scales [2]string     // of the input and the weight
	chain  []*graph.Node // Cast and Mul, in order
	bias   *tensor.Tensor
}

// integer writes an integer product and what scales its sums as the float operator that they stand for.
func (s *spreader) integer(n *graph.Node) bool {
	form, ok := integerForms[n.Op]
	if !ok || s.constant(input(n, 1)) == nil {
		return false
	}
	w := s.constant(n.In[1])
	if w.Rank() == 0 {
		return false
	}
	c := w.Shape[form.axis(n, w.Rank())]
	p, ok := s.scaledBy(n, c)
	if !ok {
		return false
	}
	if form.op == "Conv" {
		s.takeBias(p, c, w.Rank())
	}
	f := &graph.Node{Op: form.op, Name: n.Name, Doc: n.Doc, Attrs: n.Attrs, Out: p.chain[len(p.chain)-1].Out}
	x := operand{n.In[0], p.scales[0], input(n, 2)}
	f.In = []string{s.flowing(x), s.back(s.vectors(operand{n.In[1], p.scales[1], input(n, 3)}, c), func(rank int) int { return form.axis(n, rank) })}
	if p.bias != nil {
		f.In = append(f.In, s.newConst(f.Out[0]+"_bias", p.bias))
	}
	for _, k := range p.chain {
		s.gone[k] = true
	}
	s.out = append(s.out, f)
	return true
}

// flowing writes the way back of codes that flow: DequantizeLinear where they have one scale, else, where each
// row has its own, its arithmetic.
func (s *spreader) flowing(x operand) string {
	q := s.x.Producer(x.codes)
	if t := s.constant(x.scale); t != nil && t.Len() == 1 || q != nil && q.Op == "DynamicQuantizeLinear" {
		return s.back(x, none)
	}
	wide, name := s.cast(x.codes), s.used.fresh(x.codes+"_dq")
	if x.zero != "" {
		zero := s.cast(x.zero)
		diff := s.used.fresh(x.codes + "_diff")
		s.out = append(s.out, &graph.Node{Op: "Sub", Name: s.used.fresh(diff), In: []string{wide, zero}, Out: []string{diff}})
		wide = diff
	}
	s.out = append(s.out, &graph.Node{Op: "Mul", Name: s.used.fresh(name), In: []string{wide, x.scale}, Out: []string{name}})
	return name
}

// cast writes codes as float numbers.
func (s *spreader) cast(name string) string {
	wide := s.used.fresh(name + "_wide")
	n := &graph.Node{Op: "Cast", Name: s.used.fresh(wide), In: []string{name}, Out: []string{wide}}
	n.SetAttr("to", int64(tensor.Float32))
	s.out = append(s.out, n)
	return wide
}

// newConst adds a constant to the main graph.
func (s *spreader) newConst(name string, t *tensor.Tensor) string {
	name = s.used.fresh(name)
	s.m.Graph.SetConst(name, t)
	return name
}

// scaledBy follows the sums of n through Cast and the products with both scales, of which the weight's
// is constant, and has one element or c of them.
func (s *spreader) scaledBy(n *graph.Node, c int) (*scaled, bool) {
	cast := s.x.OnlyUse(n.Out[0])
	if cast == nil || cast.Op != "Cast" || cast.Int("to", 0) != int(tensor.Float32) {
		return nil, false
	}
	p := &scaled{chain: []*graph.Node{cast}}
	var factors []string
	for at := cast.Out[0]; len(factors) < 2; at = p.chain[len(p.chain)-1].Out[0] {
		mul := s.x.OnlyUse(at)
		if mul == nil || mul.Op != "Mul" || len(mul.In) != 2 || mul.In[0] == mul.In[1] {
			return nil, false
		}
		p.chain = append(p.chain, mul)
		other := besides(mul, at)
		if f := s.x.Producer(other); f != nil && f.Op == "Mul" && len(factors) == 0 {
			factors = slices.Clone(f.In)
		} else {
			factors = append(factors, other)
		}
	}
	for i, name := range factors {
		if t := s.constant(name); t != nil && t.DType == tensor.Float32 && (t.Len() == c || t.Len() == 1) {
			p.scales = [2]string{factors[1-i], name}
			if s.constant(p.scales[0]) == nil {
				return p, true
			}
		}
	}
	return nil, false
}

// besides returns the operand of a node of two that is not the given one.
func besides(n *graph.Node, name string) string {
	if n.In[0] == name {
		return n.In[1]
	}
	return n.In[0]
}

// takeBias takes the Add of a constant with one number for each output channel into the product.
func (s *spreader) takeBias(p *scaled, c, rank int) {
	end := p.chain[len(p.chain)-1].Out[0]
	add := s.x.OnlyUse(end)
	if add == nil || add.Op != "Add" || len(add.In) != 2 {
		return
	}
	t := s.constant(besides(add, end))
	if t == nil || t.DType != tensor.Float32 || t.Len() != c || t.Rank() < rank-1 || t.Shape[t.Rank()-rank+1] != c {
		return
	}
	p.bias, p.chain = t.Reshape(c), append(p.chain, add)
}

// vectors gives the scale and zero point of a weight the shape that DequantizeLinear wants along an axis.
func (s *spreader) vectors(w operand, c int) operand {
	scale := s.constant(w.scale)
	shape := []int{}
	if scale.Len() > 1 {
		shape = []int{c}
	}
	if !slices.Equal(scale.Shape, shape) {
		w.scale = s.newConst(w.scale+"_vector", scale.Reshape(shape...))
	}
	z := s.constant(w.zero)
	if z == nil || z.Len() != 1 && z.Len() != scale.Len() {
		return w
	}
	w.zero = s.newConst(w.zero+"_vector", filled(z, shape))
	return w
}

// filled returns a constant in another shape, of whose elements a single one fills all of it.
func filled(t *tensor.Tensor, shape []int) *tensor.Tensor {
	if t.Len() != 1 {
		return t.Reshape(shape...)
	}
	out := tensor.New(t.DType, shape...)
	for i := range out.Raw {
		out.Raw[i] = t.Raw[i%len(t.Raw)]
	}
	return out
}
