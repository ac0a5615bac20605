package engine

import (
	"fmt"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// maxInline bounds how often the graph is searched for calls and branches to put in line.
const maxInline = 50

// prepare returns a copy of m for inputs of the given types, with functions and the branches of decided
// conditions put in line, and what is known of its values. The overridden initializers become inputs.
func prepare(m *graph.Model, types map[string]graph.Type, override []string) (*graph.Model, op.Facts, error) {
	c, facts, _, err := prepareOpen(m, types, override)
	return c, facts, err
}

// prepareOpen also tells of which values it assumed what was known in some runs: see [op.InferOpen].
func prepareOpen(m *graph.Model, types map[string]graph.Type, override []string, runs ...op.Facts) (*graph.Model, op.Facts, map[string]bool, error) {
	c := *m
	g := *m.Graph
	c.Graph = &g
	if len(override) > 0 {
		g = *m.Graph.Without(override...)
	}
	for range maxInline {
		facts, assumed, err := op.InferOpen(&c, types, runs...)
		if err != nil {
			return nil, nil, nil, err
		}
		in := inliner{model: &c, facts: facts, taken: takenNames(&g)}
		nodes := in.nodes(g.Nodes)
		if !in.changed {
			return &c, facts, assumed, nil
		}
		g.Nodes = nodes
		if len(in.consts) > 0 {
			g = *g.Without()
			for _, k := range in.consts {
				g.AddConst(k)
			}
		}
	}
	facts, assumed, err := op.InferOpen(&c, types, runs...)
	return &c, facts, assumed, err
}

func takenNames(g *graph.Graph) map[string]bool {
	taken := map[string]bool{}
	for _, v := range g.In {
		taken[v.Name] = true
	}
	for _, c := range g.Consts() {
		taken[c.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Out {
			taken[o] = true
		}
	}
	return taken
}

// An inliner replaces calls of functions and decided If nodes by the nodes they stand for.
type inliner struct {
	model   *graph.Model
	facts   op.Facts
	taken   map[string]bool
	consts  []*graph.Const
	changed bool
	count   int
}

func (in *inliner) nodes(list []*graph.Node) []*graph.Node {
	var out []*graph.Node
	for _, n := range list {
		body := in.expand(n)
		if body == nil {
			out = append(out, n)
			continue
		}
		in.changed = true
		out = append(out, body...)
	}
	return out
}

// expand returns the nodes that replace n, or nil where n stays.
func (in *inliner) expand(n *graph.Node) []*graph.Node {
	if f := in.model.Function(n.Domain, n.Op, n.Overload); f != nil {
		return in.call(n, f)
	}
	if list := op.Invariants(n); list != nil {
		return list
	}
	if n.Op != "If" || graph.CanonicalDomain(n.Domain) != "" || len(n.In) != 1 {
		return nil
	}
	cond := in.facts[n.In[0]].Value
	if cond == nil || cond.DType != tensor.Bool || cond.Len() != 1 {
		return nil
	}
	branch := n.Graph("else_branch")
	if tensor.Of[bool](cond)[0] {
		branch = n.Graph("then_branch")
	}
	if branch == nil || len(branch.In) > 0 || len(branch.Out) < len(n.Out) {
		return nil
	}
	return in.body(branch.Nodes, branch.Consts(), valueNames(branch.Out), nil, n.Out)
}

func valueNames(list []*graph.Value) []string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = v.Name
	}
	return names
}

// call puts the body of a function in line. A function whose operators are of other versions than
// the model's stays a call.
func (in *inliner) call(n *graph.Node, f *graph.Function) []*graph.Node {
	for _, o := range f.Opsets {
		if v := in.model.Opset(o.Domain); v != o.Version && v != 0 {
			return nil
		}
	}
	for _, o := range f.Opsets {
		if in.model.Opset(o.Domain) == 0 {
			in.model.Opsets = append(slices.Clone(in.model.Opsets), o)
		}
	}
	args := map[string]string{}
	for i, name := range f.In {
		args[name] = ""
		if i < len(n.In) {
			args[name] = n.In[i]
		}
	}
	var nodes []*graph.Node
	for _, m := range f.Nodes {
		nodes = append(nodes, op.BindAttrs(m, f, n))
	}
	return in.body(nodes, nil, f.Out, args, n.Out)
}

// body renames the values of a list of nodes so that they can stand in the main graph: formal
// inputs become args, the formal results become the names in want, all others get new names.
func (in *inliner) body(nodes []*graph.Node, consts []*graph.Const, results []string, args map[string]string, want []string) []*graph.Node {
	in.count++
	names := map[string]string{}
	for k, v := range args {
		names[k] = v
	}
	own := func(name string) {
		fresh := name
		for i := in.count; in.taken[fresh]; i++ {
			fresh = fmt.Sprintf("%s/%d", name, i)
		}
		in.taken[fresh] = true
		names[name] = fresh
	}
	for _, c := range consts {
		own(c.Name)
		k := *c
		k.Name = names[c.Name]
		in.consts = append(in.consts, &k)
	}
	for _, n := range nodes {
		for _, o := range n.Out {
			if o != "" {
				own(o)
			}
		}
	}
	out := make([]*graph.Node, 0, len(nodes)+len(want))
	for _, n := range nodes {
		out = append(out, n.Renamed(names))
	}
	for i, w := range want {
		if w != "" {
			src := results[i]
			if to, ok := names[src]; ok {
				src = to
			}
			out = append(out, &graph.Node{Op: "Identity", Name: w, In: []string{src}, Out: []string{w}})
		}
	}
	return out
}
