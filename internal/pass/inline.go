package pass

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

// Limits of inlining, against files whose functions call one another exponentially often.
const (
	maxInlineDepth = 100
	maxInlineNodes = 2_000_000
)

// Inline replaces calls of the model's own functions by their bodies.
var Inline = &Pass{
	Name: "inline", Doc: "replace calls of local functions by their bodies",
	Run: func(m *graph.Model) error {
		if len(m.Functions) == 0 {
			return nil
		}
		in := &inliner{m: m, used: namesOf(m)}
		if err := in.graph(m.Graph, 0); err != nil {
			return err
		}
		dropDomains(m)
		m.Functions = nil
		return nil
	},
}

// dropDomains removes the imports of the functions' domains that no node needs any more.
func dropDomains(m *graph.Model) {
	needed := map[string]bool{"": true}
	for _, n := range m.Graph.AllNodes() {
		needed[graph.CanonicalDomain(n.Domain)] = true
	}
	own := map[string]bool{}
	for _, f := range m.Functions {
		own[graph.CanonicalDomain(f.Domain)] = true
	}
	m.Opsets = slices.DeleteFunc(m.Opsets, func(o graph.Opset) bool {
		d := graph.CanonicalDomain(o.Domain)
		return own[d] && !needed[d]
	})
}

type inliner struct {
	m     *graph.Model
	used  names
	nodes int
}

func (in *inliner) graph(g *graph.Graph, depth int) error {
	nodes, err := in.list(g.Nodes, depth)
	g.Nodes = nodes
	return err
}

func (in *inliner) list(nodes []*graph.Node, depth int) ([]*graph.Node, error) {
	if depth > maxInlineDepth {
		return nil, fault.Limitf("functions", "call one another deeper than %d", maxInlineDepth)
	}
	var out []*graph.Node
	for _, n := range nodes {
		if in.nodes++; in.nodes > maxInlineNodes {
			return nil, fault.Limitf("functions", "expand to more than %d nodes", maxInlineNodes)
		}
		for _, s := range n.Subgraphs() {
			if err := in.graph(s, depth); err != nil {
				return nil, err
			}
		}
		f := in.m.Function(n.Domain, n.Op, n.Overload)
		if f == nil {
			out = append(out, n)
			continue
		}
		body, err := in.body(f, n)
		if err == nil {
			body, err = in.list(body, depth+1)
		}
		if err != nil {
			return nil, fault.At(n.Label(), err)
		}
		out = append(out, body...)
	}
	return out, nil
}

// body returns a function's nodes with its formal names replaced by those of call n.
func (in *inliner) body(f *graph.Function, n *graph.Node) ([]*graph.Node, error) {
	if len(n.In) > len(f.In) || len(n.Out) > len(f.Out) {
		return nil, fault.Invalidf("", "function %s has %d inputs and %d outputs", f.Name, len(f.In), len(f.Out))
	}
	for _, o := range f.Opsets {
		if have := in.m.Opset(o.Domain); have == 0 {
			in.m.SetOpset(o.Domain, o.Version)
		} else if have != o.Version {
			return nil, fault.Unsupportedf("", "function %s imports opset %d of %q, the model %d", f.Name, o.Version, o.Domain, have)
		}
	}
	b := &binder{in: in, f: f, call: n, prefix: cmp.Or(n.Name, f.Name)}
	to := map[string]string{"": ""}
	for i, name := range f.In {
		to[name] = ""
		if i < len(n.In) {
			to[name] = n.In[i]
		}
	}
	var passed []*graph.Node // outputs that are inputs, or the same as another output
	for i, name := range f.Out {
		if i >= len(n.Out) || n.Out[i] == "" {
			continue
		}
		if from, ok := to[name]; ok {
			passed = append(passed, &graph.Node{Op: "Identity", Name: in.used.fresh(b.prefix + "/" + name), In: []string{from}, Out: []string{n.Out[i]}})
			continue
		}
		to[name] = n.Out[i]
	}
	nodes, err := b.nodes(f.Nodes, to)
	return append(nodes, passed...), err
}

// A binder copies nodes of a function with the names and attributes of one call.
type binder struct {
	in     *inliner
	f      *graph.Function
	call   *graph.Node
	prefix string
}

func (b *binder) nodes(list []*graph.Node, to map[string]string) ([]*graph.Node, error) {
	name := func(s string) string {
		if t, ok := to[s]; ok {
			return t
		}
		to[s] = b.in.used.fresh(b.prefix + "/" + s)
		return to[s]
	}
	var out []*graph.Node
	for _, n := range list {
		c := cloneNode(n)
		for i, s := range c.In {
			c.In[i] = name(s)
		}
		for i, s := range c.Out {
			c.Out[i] = name(s)
		}
		if c.Name != "" {
			c.Name = b.in.used.fresh(b.prefix + "/" + c.Name)
		}
		if err := b.attrs(c, to); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// attrs binds references to the call's attributes and renames inside subgraphs.
func (b *binder) attrs(n *graph.Node, to map[string]string) error {
	var kept []*graph.Attr
	for _, a := range n.Attrs {
		if a.Ref != "" {
			v := b.value(a.Ref)
			if v == nil {
				continue // an optional attribute that the call leaves out
			}
			v.Name = a.Name
			kept = append(kept, v)
			continue
		}
		if err := b.subgraphs(a, to); err != nil {
			return fmt.Errorf("attribute %q: %w", a.Name, err)
		}
		kept = append(kept, a)
	}
	n.Attrs = kept
	return nil
}

// value returns a copy of the attribute that a reference means: the call's, or the function's
// default. Graphs in it see the values of the caller.
func (b *binder) value(ref string) *graph.Attr {
	v := b.call.Attr(ref)
	for _, d := range b.f.Attrs {
		if v == nil && d.Name == ref {
			v = d
		}
	}
	if v == nil {
		return nil
	}
	return cloneNode(&graph.Node{Attrs: []*graph.Attr{v}}).Attrs[0]
}

// subgraphs renames inside the graphs of an attribute.
func (b *binder) subgraphs(a *graph.Attr, to map[string]string) error {
	for _, g := range (&graph.Node{Attrs: []*graph.Attr{a}}).Subgraphs() {
		if err := b.subgraph(g, to); err != nil {
			return err
		}
	}
	return nil
}

// subgraph gives every value of a graph inside the function a name of its own: it must not hide
// one of the caller's that the function's arguments brought in.
func (b *binder) subgraph(g *graph.Graph, outer map[string]string) error {
	to := maps.Clone(outer)
	own := func(name string) string {
		to[name] = b.in.used.fresh(b.prefix + "/" + name)
		return to[name]
	}
	for _, v := range g.In {
		old := v.Name
		v.Name = own(old)
		renameConst(g, old, v.Name)
	}
	for _, c := range slices.Clone(g.Consts()) {
		if g.Input(c.Name) == nil {
			renameConst(g, c.Name, own(c.Name))
		}
	}
	for _, n := range g.Nodes {
		for _, name := range n.Out {
			if name != "" {
				own(name)
			}
		}
	}
	nodes, err := b.nodes(g.Nodes, to)
	if err != nil {
		return err
	}
	g.Nodes, g.Info = nodes, nil
	for _, v := range g.Out {
		if t, ok := to[v.Name]; ok {
			v.Name = t
		}
	}
	return nil
}
