package pass

import (
	"fmt"

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
		m.Functions = nil
		return nil
	},
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
		return nil, fault.Invalidf("functions", "call one another deeper than %d", maxInlineDepth)
	}
	var out []*graph.Node
	for _, n := range nodes {
		if in.nodes++; in.nodes > maxInlineNodes {
			return nil, fault.Invalidf("functions", "expand to more than %d nodes", maxInlineNodes)
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
	to := map[string]string{"": ""}
	for i, name := range f.In {
		to[name] = ""
		if i < len(n.In) {
			to[name] = n.In[i]
		}
	}
	for i, name := range f.Out {
		if i < len(n.Out) && n.Out[i] != "" {
			to[name] = n.Out[i]
		}
	}
	prefix := n.Name
	if prefix == "" {
		prefix = f.Name
	}
	b := &binder{in: in, f: f, call: n, prefix: prefix}
	return b.nodes(f.Nodes, to)
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
			v := b.call.Attr(a.Ref)
			for _, d := range b.f.Attrs {
				if v == nil && d.Name == a.Ref {
					v = d
				}
			}
			if v == nil {
				continue // an optional attribute that the call leaves out
			}
			a = &graph.Attr{Name: a.Name, Value: v.Value, TensorID: v.TensorID}
		}
		if g, ok := a.Value.(*graph.Graph); ok {
			if err := b.subgraph(g, to); err != nil {
				return fmt.Errorf("attribute %q: %w", a.Name, err)
			}
		}
		kept = append(kept, a)
	}
	n.Attrs = kept
	return nil
}

func (b *binder) subgraph(g *graph.Graph, outer map[string]string) error {
	to := map[string]string{}
	for k, v := range outer {
		to[k] = v
	}
	for _, v := range g.In {
		to[v.Name] = v.Name
	}
	for _, c := range g.Consts() {
		to[c.Name] = c.Name
	}
	nodes, err := b.nodes(g.Nodes, to)
	if err != nil {
		return err
	}
	g.Nodes = nodes
	for _, v := range g.Out {
		if t, ok := to[v.Name]; ok {
			v.Name = t
		}
	}
	return nil
}
