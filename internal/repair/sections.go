package repair

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// A section is a run of consecutive nodes that reads one value and leaves one.
type section struct {
	nodes   []*graph.Node
	in, out string
	layers  []*layer
}

// sectionLayers is up to how many layers neighbouring sections join; a section that nothing cuts may have
// sectionMost.
const (
	sectionLayers = 3
	sectionMost   = 8
)

// spatial says whether some node of the section takes images, whose channels lie along axis 1.
func (b *section) spatial() bool {
	return slices.ContainsFunc(b.nodes, func(n *graph.Node) bool {
		switch n.Op {
		case "Conv", "MaxPool", "AveragePool", "GlobalAveragePool":
			return true
		}
		return false
	})
}

// cutter cuts a graph into sections.
type cutter struct {
	g      *graph.Graph
	x      *graph.Index
	layers map[*graph.Node]*layer
	last   map[string]int // the last node that reads a value
}

// sections cuts a graph where a single value passes. What has too many layers, or an operator that no
// tape takes, becomes sections of one layer and the clamps behind it.
func (c *cutter) sections() []*section {
	c.last = map[string]int{}
	for i, n := range c.g.Nodes {
		for _, name := range append(n.Captures(), n.In...) {
			c.last[name] = i
		}
	}
	for _, v := range c.g.Out {
		c.last[v.Name] = len(c.g.Nodes)
	}
	var list []*section
	for _, b := range c.segments() {
		if !b.taped(c.g) || len(b.layers) > sectionMost {
			list = append(list, c.singles(b)...)
			continue
		}
		if k := len(list) - 1; k >= 0 && list[k].out == b.in && len(list[k].layers)+len(b.layers) <= sectionLayers {
			list[k].nodes, list[k].out, list[k].layers = append(list[k].nodes, b.nodes...), b.out, append(list[k].layers, b.layers...)
			continue
		}
		list = append(list, b)
	}
	return slices.DeleteFunc(list, func(b *section) bool { return len(b.layers) == 0 })
}

// segments are the runs of nodes between the places where a single value is alive.
func (c *cutter) segments() []*section {
	var list []*section
	alive := map[string]bool{}
	for _, v := range c.g.In {
		if _, read := c.last[v.Name]; read && c.g.Const(v.Name) == nil {
			alive[v.Name] = true
		}
	}
	b := &section{}
	if len(alive) == 1 {
		for name := range alive {
			b.in = name
		}
	}
	for i, n := range c.g.Nodes {
		b.nodes = append(b.nodes, n)
		if l := c.layers[n]; l != nil {
			b.layers = append(b.layers, l)
		}
		for _, o := range n.Out {
			if c.last[o] > i {
				alive[o] = true
			}
		}
		for name := range alive {
			if c.last[name] <= i {
				delete(alive, name)
			}
		}
		if len(alive) != 1 || !alive[n.Out[0]] || c.clamped(n.Out[0]) {
			continue
		}
		b.out = n.Out[0]
		list = append(list, b)
		b = &section{in: b.out}
	}
	return list
}

// clamped says whether a clamp alone reads a value.
func (c *cutter) clamped(name string) bool {
	u := c.x.OnlyUse(name)
	if u == nil {
		return false
	}
	o := op.Lookup(u.Domain, u.Op)
	return o != nil && o.Quant.Clamp
}

// taped says whether all of a section can be put on a tape, as far as its operators tell.
func (b *section) taped(g *graph.Graph) bool {
	shapes := shapeNodes(g, b.nodes)
	return b.in != "" && !slices.ContainsFunc(b.nodes, func(n *graph.Node) bool { return tapers[op.QualifiedName(n)] == nil && !shapes[n] })
}

// singles makes a section of each layer.
func (c *cutter) singles(b *section) []*section {
	var list []*section
	for _, l := range b.layers {
		s := &section{nodes: []*graph.Node{l.node}, in: l.node.In[0], out: l.node.Out[0], layers: []*layer{l}}
		for c.clamped(s.out) {
			u := c.x.OnlyUse(s.out)
			s.nodes, s.out = append(s.nodes, u), u.Out[0]
		}
		if s.taped(c.g) {
			list = append(list, s)
		}
	}
	return list
}
