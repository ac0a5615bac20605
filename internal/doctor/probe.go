package doctor

import (
	"iter"
	"maps"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// A branch is a copy of a layer that reads some values quantized.
type branch struct {
	unit    *unit
	weights bool
}

// A probe is the network of the screening.
type probe struct {
	m        *graph.Model
	watch    []string
	sites    map[string][]*site // by the value that they quantize
	results  map[string]*unit   // layers by the float result
	branches map[string]branch  // by the result of the copy
	joins    map[string]bool    // operands of operators that join branches
}

// probe makes the network: all in float, with the branches.
func (e *exam) probe() (*probe, error) {
	b, err := e.draft(e.base)
	if err != nil {
		return nil, err
	}
	p := &probe{m: b.out, sites: map[string][]*site{}, results: map[string]*unit{}, branches: map[string]branch{}, joins: map[string]bool{}}
	for _, s := range e.sites {
		if s.kind == acts {
			name := b.now(s.to[0])
			if name == s.to[0] { // an output of the graph
				name = b.now(s.from)
			}
			p.sites[name] = append(p.sites[name], s)
		}
	}
	for _, u := range e.nodes {
		if joins(u) {
			for _, name := range u.node.In {
				p.joins[b.now(name)] = true
				e.branches[u] = append(e.branches[u], b.now(name))
			}
		}
	}
	var list []*graph.Node
	for _, n := range b.out.Graph.Nodes {
		list = append(list, n)
		if u := e.layerOf(n); u != nil {
			list = append(list, p.beside(b, u, n)...)
		}
	}
	b.out.Graph.Nodes = list
	for _, names := range []iter.Seq[string]{maps.Keys(p.sites), maps.Keys(p.results), maps.Keys(p.branches), maps.Keys(p.joins)} {
		p.watch = slices.AppendSeq(p.watch, names)
	}
	slices.Sort(p.watch)
	p.watch = slices.Compact(p.watch)
	return p, nil
}

// layerOf is the unit with weights whose result a node makes, nil where there is none.
func (e *exam) layerOf(n *graph.Node) *unit {
	for _, u := range e.nodes {
		if u.weights != nil && u.weights.off != nil && len(n.Out) > 0 && n.Out[0] == u.last().Out[0] {
			return u
		}
	}
	return nil
}

// joins says whether a unit joins several branches in one result.
func joins(u *unit) bool { return u.node.Op == "Concat" || u.node.Op == "Add" || u.node.Op == "Sub" }

// beside makes the branches of a layer that ends in n: one with quantized weights and bias, one with quantized input.
func (p *probe) beside(b *builder, u *unit, n *graph.Node) []*graph.Node {
	p.results[n.Out[0]] = u
	layer := []*graph.Node{n}
	if u.last() != u.node {
		at := slices.IndexFunc(b.out.Graph.Nodes, func(k *graph.Node) bool { return len(k.Out) > 0 && k.Out[0] == u.node.Out[0] })
		layer = []*graph.Node{b.out.Graph.Nodes[at], n}
	}
	return append(p.coded(b, u, layer), p.rounded(b, u, layer)...)
}

// branch returns a copy of a layer, a node and where there is one the Add behind it, whose result is measured as that of a branch.
func (p *probe) branch(b *builder, layer []*graph.Node, what string, of branch) []*graph.Node {
	var list []*graph.Node
	for i, n := range layer {
		c := *n
		c.Name, c.Out, c.In = b.fresh(n.Name+what), []string{b.fresh(n.Out[0] + what)}, slices.Clone(n.In)
		if i > 0 {
			c.In[slices.Index(c.In, layer[i-1].Out[0])] = list[i-1].Out[0]
		}
		list = append(list, &c)
	}
	p.branches[list[len(list)-1].Out[0]] = of
	return list
}

// coded is a layer with the weights and the bias that its codes stand for.
func (p *probe) coded(b *builder, u *unit, layer []*graph.Node) []*graph.Node {
	list := p.branch(b, layer, "_weights", branch{u, true})
	constant := func(s *site, t *tensor.Tensor) string {
		name := b.fresh(s.name + "_decoded")
		b.out.Graph.SetConst(name, t)
		return name
	}
	list[0].In[operandOf(u, u.weights)] = constant(u.weights, u.weights.coded.Decode())
	adder := list[len(list)-1]
	if u.unmoved != nil {
		adder.In[u.added] = u.adder.In[u.added]
	}
	if u.bias != nil {
		adder.In[u.added] = constant(u.bias, tensor.Float32s(b.biasOf(u), u.bias.codes.Shape...))
	}
	return list
}

// rounded is a layer behind copies of the nodes that quantize its input; nil where none does.
func (p *probe) rounded(b *builder, u *unit, layer []*graph.Node) (list []*graph.Node) {
	in := slices.Clone(layer[0].In)
	for i, s := range u.in {
		if s == nil || s.kind != acts {
			continue
		}
		q, d := *s.q, *b.x.Producer(s.to[0])
		q.Name, d.Name = b.fresh(q.Name), b.fresh(d.Name)
		q.In, q.Out, d.In = slices.Clone(q.In), slices.Clone(q.Out), slices.Clone(d.In)
		q.In[0] = layer[0].In[i]
		for k, name := range s.q.Out {
			q.Out[k] = b.fresh(name)
			if at := slices.Index(d.In, name); at >= 0 {
				d.In[at] = q.Out[k]
			}
		}
		d.Out = []string{b.fresh(d.Out[0])}
		in[i] = d.Out[0]
		list = append(list, &q, &d)
	}
	if list == nil {
		return nil
	}
	c := p.branch(b, layer, "_acts", branch{u, false})
	c[0].In = in
	return append(list, c...)
}

// see measures a value of one sample.
func (p *probe) see(e *exam, s *screening, kept map[*unit][]float32, name string, t *tensor.Tensor) {
	x := report.Floats(t)
	if x == nil {
		return
	}
	for _, site := range p.sites[name] {
		r := s.acts[site]
		if r == nil {
			r = &reading{stats: calib.NewStats(true)}
			s.acts[site] = r
		}
		r.stats.Add(e.Level, x)
		r.quantize(site, x)
	}
	if p.joins[name] {
		if s.inputs[name] == nil {
			s.inputs[name] = calib.NewStats(false)
		}
		s.inputs[name].Add(e.Level, x)
	}
	if u := p.results[name]; u != nil {
		kept[u] = slices.Clone(x)
		s.layers[u] = &loss{}
	}
	if b, ok := p.branches[name]; ok && len(kept[b.unit]) == len(x) {
		y, l := kept[b.unit], s.layers[b.unit]
		if b.weights {
			l.weights.Add(y, x)
			l.shift.add(y, x, t.Shape, channelAxis(b.unit, t.Rank()))
		} else {
			l.acts.Add(y, x)
		}
	}
}

// seeWhole compares a layer's results in the quantized network with those in float.
func (p *probe) seeWhole(s *screening, kept map[*unit][]float32, name string, t *tensor.Tensor) {
	u := p.results[name]
	if u == nil {
		return
	}
	if x := report.Floats(t); x != nil && len(kept[u]) == len(x) {
		s.layers[u].whole.add(kept[u], x, t.Shape, channelAxis(u, t.Rank()))
	}
}

// channelAxis is the axis of a layer's results along which its output channels lie.
func channelAxis(u *unit, rank int) int {
	if slices.Contains([]string{"Conv", "ConvTranspose"}, u.node.Op) {
		return min(1, rank-1)
	}
	return rank - 1
}
