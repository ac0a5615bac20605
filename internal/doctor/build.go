package doctor

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// A change is what becomes of one site.
type change struct {
	off    bool           // its value stays in float
	format *format.Format // of activations, with
	params format.Params
	coded  *weight.Coded // of weights
	bias   []float32     // of a bias: the numbers that it stands for
	behind bool          // of activations that clamps alone read: they are quantized behind these
}

// changes are those of a network; sites that are not in it stay as they are.
type changes map[*site]change

// allOff takes every quantizer out.
func (n *net) allOff() changes {
	c := changes{}
	for _, s := range n.sites {
		if s.kind == acts || s.off != nil {
			c[s] = change{off: true}
		}
	}
	return c
}

// except leaves the given sites as they are in the file.
func (c changes) except(list ...*site) changes {
	d := changes{}
	for s, v := range c {
		if !slices.Contains(list, s) {
			d[s] = v
		}
	}
	return d
}

// with adds changes.
func (c changes) with(more changes) changes {
	d := changes{}
	for s, v := range c {
		d[s] = v
	}
	for s, v := range more {
		d[s] = v
	}
	return d
}

// off takes sites out. A bias goes with its weights: its scale is the product of theirs.
func off(list ...*site) changes {
	c := changes{}
	for _, s := range list {
		if s.kind == acts || s.off != nil {
			c[s] = change{off: true}
		}
	}
	return c
}

// A builder writes a network with changes.
type builder struct {
	*net
	c     changes
	out   *graph.Model
	alias map[string]string        // values whose readers get another
	drop  map[*graph.Node]bool     // nodes of m that go
	front []*graph.Node            // before all others
	after map[string][]*graph.Node // behind the node that writes a value
	used  map[string]bool
}

// build returns the network with changes; products whose scale is found while running are on integers again.
// Constants are shared with the file's.
func (n *net) build(c changes) (*graph.Model, error) {
	b, err := n.draft(c)
	if err != nil {
		return nil, err
	}
	if err := pass.Unused.Run(b.out); err != nil {
		return nil, err
	}
	return b.out, pass.Gather(b.out)
}

// opsetOf is the first opset that holds the changes.
func opsetOf(c changes) int {
	need := 0
	for _, v := range c {
		if v.format != nil {
			need = max(need, v.format.Opset)
		}
		if v.coded != nil {
			need = max(need, plan.Scheme{Format: v.coded.Format, Block: v.coded.Block}.Opset())
		}
	}
	return need
}

// draft is build before what nothing reads goes.
func (n *net) draft(c changes) (*builder, error) {
	b := &builder{net: n, c: n.rebias(c), out: pass.Clone(n.m), alias: map[string]string{}, drop: map[*graph.Node]bool{}, after: map[string][]*graph.Node{}, used: n.names()}
	if err := pass.Upgrade(b.out, opsetOf(b.c)); err != nil {
		return nil, err
	}
	for _, s := range n.sites {
		v, ok := b.c[s]
		if !ok {
			continue
		}
		if err := b.change(s, v); err != nil {
			return nil, err
		}
	}
	b.assemble()
	return b, nil
}

// rebias writes the biases anew whose scale changes with that of their input or weight.
func (n *net) rebias(c changes) changes {
	d := c.with(nil)
	for _, u := range n.nodes {
		if u.bias == nil || d[u.bias].off || d[u.bias].bias != nil {
			continue
		}
		_, weights := d[u.weights]
		_, input := d[u.in[0]]
		if weights || input {
			d[u.bias] = change{bias: n.biasOf(u)}
		}
	}
	return d
}

// biasOf is the bias that a unit has in the file.
func (n *net) biasOf(u *unit) []float32 {
	d := n.x.Producer(u.bias.to[0])
	scale := tensor.Of[float32](n.m.Graph.ConstTensor(d.In[1]))
	codes := tensor.Of[int32](u.bias.codes)
	y := make([]float32, len(codes))
	for i, q := range codes {
		y[i] = float32(float64(q) * float64(scale[min(i, len(scale)-1)]))
	}
	return y
}

func (b *builder) change(s *site, v change) error {
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
	from := s.from // a Clip in front, where there is one, was part of the quantizer
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
	x := u.in[0]
	if x == nil || x.kind != acts || x.dynamic || u.weights == nil {
		return nil
	}
	p, coded := x.params, u.weights.coded
	if v, ok := b.c[x]; ok {
		if v.off || v.format.Bits > 8 {
			return nil
		}
		p = v.params
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

// assemble writes the list of nodes.
func (b *builder) assemble() {
	gone := map[string]bool{}
	for n := range b.drop {
		gone[n.Out[0]] = true
	}
	for _, v := range b.out.Graph.In {
		b.front = append(b.front, b.after[v.Name]...)
	}
	list := b.front
	for _, n := range b.out.Graph.Nodes {
		if len(n.Out) > 0 && gone[n.Out[0]] {
			continue
		}
		list = append(list, n)
		for _, o := range n.Out {
			list = append(list, b.after[o]...)
		}
	}
	b.out.Graph.Nodes = list
	b.reroute(b.out.Graph)
}

// reroute lets readers get what stands for a value now.
func (b *builder) reroute(g *graph.Graph) {
	for _, n := range g.Nodes {
		for i, name := range n.In {
			n.In[i] = b.now(name)
		}
		for _, s := range n.Subgraphs() {
			b.reroute(s)
			for _, v := range s.Out {
				v.Name = b.now(v.Name)
			}
		}
	}
}

// now is the name of what stands for a value.
func (b *builder) now(name string) string {
	for range len(b.alias) {
		to, ok := b.alias[name]
		if !ok {
			break
		}
		name = to
	}
	return name
}

// names collects what a network uses.
func (n *net) names() map[string]bool {
	used := map[string]bool{}
	for g := range n.m.Graph.Graphs() {
		for _, v := range g.In {
			used[v.Name] = true
		}
		for _, c := range g.Consts() {
			used[c.Name] = true
		}
		for _, node := range g.Nodes {
			used[node.Name] = true
			for _, o := range node.Out {
				used[o] = true
			}
		}
	}
	return used
}

// fresh returns name, or name with a number behind it where it is taken.
func (b *builder) fresh(name string) string {
	pick := name
	for k := 2; b.used[pick]; k++ {
		pick = fmt.Sprintf("%s_%d", name, k)
	}
	b.used[pick] = true
	return pick
}
