package doctor

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

func (b *builder) change(s *site, v change) error {
	for _, r := range s.reads {
		if r.unit.weights == s && r.unit.unmoved != nil {
			b.unmove(r.unit)
		}
	}
	switch {
	case v.off && s.kind == acts:
		b.bypass(s)
	case v.off:
		b.constant(s, s.off)
	case v.behind:
		return b.moveBehind(s, v)
	case s.kind == acts:
		return b.refit(s, v)
	case s.kind == bias:
		b.bias(s, v.bias)
	case v.coded != nil:
		return b.recode(s, v.coded)
	}
	return nil
}

// unmove gives a layer whose weights change the bias that it has without their rounding.
func (b *builder) unmove(u *unit) {
	name := b.fresh(u.adder.In[u.added] + "_unmoved")
	b.out.Graph.SetConst(name, u.unmoved)
	b.replace(u.adder, func(n *graph.Node) *graph.Node {
		c := *n
		c.In = slices.Clone(n.In)
		c.In[u.added] = name
		return &c
	})
}

// bypass lets the readers of an activation get it in float.
func (b *builder) bypass(s *site) {
	from := s.from
	for _, c := range s.clamps {
		k := &graph.Node{Op: c.Op, Name: b.fresh(s.name + "_" + c.Op), Attrs: c.Attrs, In: []string{from}, Out: []string{b.fresh(s.name + "_clamped")}}
		for _, bound := range c.In[1:] {
			name := ""
			if t := b.float.Graph.ConstTensor(bound); t != nil {
				name = b.fresh(s.name + "_bound")
				b.out.Graph.SetConst(name, t)
			}
			k.In = append(k.In, name)
		}
		b.after[s.from] = append(b.after[s.from], k)
		from = k.Out[0]
	}
	for _, to := range s.to {
		if b.out.Graph.Output(to) != nil {
			b.after[s.from] = append(b.after[s.from], &graph.Node{Op: "Identity", Name: b.fresh(to + "_Identity"), In: []string{from}, Out: []string{to}})
		} else {
			b.alias[to] = from
		}
	}
	for d := range s.dq {
		b.drop[d] = true
	}
}

// constant lets readers get float numbers.
func (b *builder) constant(s *site, t *tensor.Tensor) {
	name := b.fresh(s.name + "_float")
	b.out.Graph.SetConst(name, t)
	for _, to := range s.to {
		b.alias[to] = name
	}
}

// refit gives an activation another format or scale.
func (b *builder) refit(s *site, v change) error {
	elem := v.format.Elem
	if v.format.Bits < 8 {
		elem = s.format.Elem
	}
	sn, zn, err := b.paramsOf(s.name, elem, v.params)
	if err != nil {
		return err
	}
	from := s.from // a Clip in front, where there is one, was part of the site
	if v.format.Bits < 8 {
		from = b.confine(s, v)
	}
	put := func(n *graph.Node) *graph.Node {
		c := *n
		c.In = []string{n.In[0], sn, zn}
		if n.Op == "QuantizeLinear" {
			c.In[0] = from
		}
		c.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a *graph.Attr) bool { return a.Name == "output_dtype" || a.Name == "axis" })
		return &c
	}
	b.replace(s.q, put)
	for d := range s.dq {
		b.replace(d, put)
	}
	return nil
}

// paramsOf adds a scale and a zero point, and returns their names.
func (b *builder) paramsOf(name string, elem tensor.DType, p format.Params) (scale, zero string, err error) {
	z, err := format.FromInts(elem, []int64{int64(p.Zero)})
	if err != nil {
		return "", "", err
	}
	scale, zero = b.fresh(name+"_scale"), b.fresh(name+"_zp")
	b.out.Graph.SetConst(scale, tensor.Scalar(p.Scale))
	b.out.Graph.SetConst(zero, z.Reshape())
	return scale, zero, nil
}

// moveBehind lets the clamps that read an activation get it in float, and quantizes their results.
func (b *builder) moveBehind(s *site, v change) error {
	b.bypass(s)
	sn, zn, err := b.paramsOf(s.name, v.format.Elem, v.params)
	if err != nil {
		return err
	}
	for _, r := range s.reads {
		name := r.unit.node.Out[0]
		plain, codes := b.fresh(name+"_float"), b.fresh(name+"_q")
		b.replace(r.unit.node, func(n *graph.Node) *graph.Node {
			c := *n
			c.Out = []string{plain}
			return &c
		})
		b.after[plain] = []*graph.Node{
			{Op: "QuantizeLinear", Name: b.fresh(name + "_Q"), In: []string{plain, sn, zn}, Out: []string{codes}},
			{Op: "DequantizeLinear", Name: b.fresh(name + "_DQ"), In: []string{codes, sn, zn}, Out: []string{name}},
		}
	}
	return nil
}

// confine clips an activation to what codes of fewer than eight bits reach.
func (b *builder) confine(s *site, v change) string {
	lo, hi := v.format.Range(v.params)
	least, most, out := b.fresh(s.name+"_min"), b.fresh(s.name+"_max"), b.fresh(s.name+"_clipped")
	b.out.Graph.SetConst(least, tensor.Scalar(lo))
	b.out.Graph.SetConst(most, tensor.Scalar(hi))
	b.after[s.from] = append(b.after[s.from], &graph.Node{Op: "Clip", Name: b.fresh(s.name + "_Clip"), In: []string{s.from, least, most}, Out: []string{out}})
	return out
}

// replace puts another node in the place of one of the file's.
func (b *builder) replace(n *graph.Node, by func(*graph.Node) *graph.Node) {
	for i, c := range b.out.Graph.Nodes {
		if len(c.Out) > 0 && c.Out[0] == n.Out[0] {
			b.out.Graph.Nodes[i] = by(c)
		}
	}
}

// bias writes a bias at the scale that its operands have now, or in float where it does not fit there.
func (b *builder) bias(s *site, x []float32) {
	scale := b.biasScale(s.unit)
	codes := make([]int32, len(x))
	for i, v := range x {
		if len(scale) == 0 {
			break
		}
		q := math.RoundToEven(float64(v) / float64(scale[min(i, len(scale)-1)]))
		if !(math.Abs(q) <= math.MaxInt32) {
			scale = nil
			break
		}
		codes[i] = int32(q)
	}
	if len(scale) == 0 {
		b.constant(s, tensor.Float32s(x, s.codes.Shape...))
		return
	}
	cn, sn, to := b.fresh(s.name), b.fresh(s.name+"_scale"), b.fresh(s.name+"_dq")
	var shape []int
	if len(scale) > 1 {
		shape = []int{len(scale)}
	}
	b.out.Graph.SetConst(cn, tensor.Wrap(tensor.Int32, codes, s.codes.Shape...))
	b.out.Graph.SetConst(sn, tensor.Float32s(scale, shape...))
	d := &graph.Node{Op: "DequantizeLinear", Name: b.fresh(s.name + "_DQ"), In: []string{cn, sn}, Out: []string{to}}
	if len(scale) > 1 {
		d.SetAttr("axis", int64(0))
	}
	b.front = append(b.front, d)
	for _, old := range s.to {
		b.alias[old] = to
	}
}

// biasScale is the product of the scales of a unit's input and weights, nil where one is in float.
func (b *builder) biasScale(u *unit) []float32 {
	if u.weights == nil {
		return nil
	}
	p, coded := b.inputParams(u), u.weights.coded
	if p == nil {
		return nil
	}
	if v, ok := b.c[u.weights]; ok {
		if v.off {
			return nil
		}
		coded = v.coded
	}
	if coded.Block.Kind == format.Group || coded.Format.Kind != format.Linear {
		return nil
	}
	list := make([]float32, len(coded.Params))
	for i, w := range coded.Params {
		list[i] = p.Scale * w.Scale
		if !(list[i] > 0) {
			return nil
		}
	}
	return list
}

// inputParams are the parameters that the codes of eight bits have which a unit reads now, nil where it reads none.
func (b *builder) inputParams(u *unit) *format.Params {
	x := u.in[0]
	v, ok := b.c[x]
	switch {
	case x == nil:
		v, ok = b.c.behind(u)
	case x.kind != acts || x.dynamic:
		return nil
	case !ok:
		return &x.params
	}
	if !ok || v.off || v.format.Bits > 8 {
		return nil
	}
	return &v.params
}

// recode stores weights in other codes. Whole numbers of eight bits keep their zero points, which
// integer operators want.
func (b *builder) recode(s *site, c *weight.Coded) error {
	to := b.fresh(s.name + "_dq")
	w := weight.Writer{Fresh: b.fresh, Const: func(name string, t *tensor.Tensor) { b.out.Graph.SetConst(name, t) }}
	nodes, err := w.Write(c, s.name, to)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	if d := nodes[len(nodes)-1]; c.Format.Bits >= 8 && c.Format.Kind == format.Linear && d.Op == "DequantizeLinear" && len(d.In) == 2 {
		zeros := make([]int64, len(c.Params))
		for i, p := range c.Params {
			zeros[i] = int64(p.Zero)
		}
		t, err := format.FromInts(c.Format.Elem, zeros, c.Block.ParamShape(c.Shape)...)
		if err != nil {
			return err
		}
		zn := b.fresh(s.name + "_zp")
		b.out.Graph.SetConst(zn, t)
		d.In = append(d.In, zn)
	}
	b.front = append(b.front, nodes...)
	for _, old := range s.to {
		b.alias[old] = to
	}
	return nil
}
