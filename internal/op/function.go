package op

import (
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// call evaluates the body of a model's own function.
func (r *runner) call(f *graph.Function, n *graph.Node, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if *r.depth++; *r.depth > MaxDepth {
		return nil, fault.Invalidf(f.Name, "subgraphs and functions nest deeper than %d", MaxDepth)
	}
	defer func() { *r.depth-- }()
	if len(in) > len(f.In) {
		return nil, fault.Invalidf("", "function %s takes %d inputs, not %d", f.Name, len(f.In), len(in))
	}
	env := newScope(nil)
	for i, t := range in {
		if t != nil {
			env.vals[f.In[i]] = t
		}
	}
	body := &runner{model: r.model, opt: r.opt, depth: r.depth, fn: f, attrs: n}
	if err := body.nodes(optionalInputs(f, n), f.Opsets, env, f.Out); err != nil {
		return nil, err
	}
	return collect(env, f.Out[:min(len(f.Out), len(n.Out))])
}

// optionalInputs returns the function's nodes with the names of inputs that the call leaves
// out replaced by "".
func optionalInputs(f *graph.Function, n *graph.Node) []*graph.Node {
	gone := map[string]bool{}
	for i, name := range f.In {
		if i >= len(n.In) || n.In[i] == "" {
			gone[name] = true
		}
	}
	if len(gone) == 0 {
		return f.Nodes
	}
	return leaveOut(f.Nodes, gone)
}

// leaveOut returns nodes that read "" where these, or those of their subgraphs, read a name that is gone.
func leaveOut(nodes []*graph.Node, gone map[string]bool) []*graph.Node {
	list := make([]*graph.Node, len(nodes))
	for i, n := range nodes {
		c := *n
		c.In = slices.Clone(n.In)
		for k, name := range c.In {
			if gone[name] {
				c.In[k] = ""
			}
		}
		c.Attrs = slices.Clone(n.Attrs)
		for k, a := range c.Attrs {
			if g, ok := a.Value.(*graph.Graph); ok {
				inner := *g
				inner.Nodes = leaveOut(g.Nodes, gone)
				c.Attrs[k] = &graph.Attr{Name: a.Name, Value: &inner}
			}
		}
		list[i] = &c
	}
	return list
}

// BindAttrs returns a node of f's body with its references to attributes replaced by the values
// that call gives them, or f's defaults. It returns n itself where there are none.
func BindAttrs(n *graph.Node, f *graph.Function, call *graph.Node) *graph.Node {
	bound := false
	attrs := make([]*graph.Attr, 0, len(n.Attrs))
	for _, a := range n.Attrs {
		if g, ok := a.Value.(*graph.Graph); ok {
			attrs, bound = append(attrs, &graph.Attr{Name: a.Name, Value: bindGraph(g, f, call)}), true
			continue
		}
		if a.Ref == "" {
			attrs = append(attrs, a)
			continue
		}
		bound = true
		if v := functionAttr(f, call, a.Ref); v != nil {
			attrs = append(attrs, &graph.Attr{Name: a.Name, Value: v.Value})
		}
	}
	if !bound {
		return n
	}
	c := *n
	c.Attrs = attrs
	return &c
}

func bindGraph(g *graph.Graph, f *graph.Function, call *graph.Node) *graph.Graph {
	c := *g
	c.Nodes = make([]*graph.Node, len(g.Nodes))
	for i, n := range g.Nodes {
		c.Nodes[i] = BindAttrs(n, f, call)
	}
	return &c
}

func functionAttr(f *graph.Function, call *graph.Node, name string) *graph.Attr {
	if a := call.Attr(name); a != nil {
		return a
	}
	for _, a := range f.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}
