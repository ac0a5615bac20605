package op

import (
	"maps"
	"slices"
	"strconv"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

// Facts maps the values of one graph to what is known of them.
type Facts map[string]Fact

// Infer finds the types and shapes of all values, those of subgraphs included where their names
// are not also the main graph's. in gives known types of inputs, which replace the declared ones;
// nil takes the file's word. Operators that are unknown leave their outputs open. An element
// type that contradicts the file's declaration is an error; where a shape does, as it may under
// given types, the declaration counts for nothing.
func Infer(m *graph.Model, in map[string]graph.Type) (Facts, error) {
	facts, _, err := InferOpen(m, in)
	return facts, err
}

// InferOpen is [Infer] for inputs of which dimensions are open, where the facts of some runs are known. A dimension of a
// result that stays open, and was the same in all of them, is assumed to be so again; assumed names the values of which something
// was. Whoever relies on their types has to hold the values against them. Of the file's declarations such runs have no need.
func InferOpen(m *graph.Model, in map[string]graph.Type, runs ...Facts) (facts Facts, assumed map[string]bool, err error) {
	inf := &inferer{model: m, inner: Facts{}, runs: runs, assumed: map[string]bool{}}
	env := &factScope{vals: Facts{}}
	for _, v := range m.Graph.In {
		t := v.Type
		if known, ok := in[v.Name]; ok {
			t = known
		}
		env.vals[v.Name] = Fact{Type: t}
	}
	if err := inf.graph(m.Graph, env, frame{opsets: m.Opsets}); err != nil {
		return nil, nil, err
	}
	for name, f := range inf.inner {
		if _, ok := env.vals[name]; !ok {
			env.vals[name] = f
		}
	}
	return env.vals, inf.assumed, nil
}

type inferer struct {
	model *graph.Model
	inner Facts // of subgraphs; the last visit stands
	depth int
	spent int // nodes visited

	runs    []Facts         // what was known in some runs
	assumed map[string]bool // values of which something was taken from there

	symbols int             // tried so far
	taken   map[string]bool // the file's own symbols
}

// maxVisits bounds the work of inference: loops within loops are visited again and again, and
// functions once for each call. Beyond it subgraphs and functions stay open.
const maxVisits = 300_000

// A frame is where a list of nodes stands: the main graph, or a function's body and its call.
type frame struct {
	opsets []graph.Opset
	fn     *graph.Function
	call   *graph.Node
}

type factScope struct {
	vals  Facts
	outer *factScope
}

func (s *factScope) get(name string) (Fact, bool) {
	for ; s != nil; s = s.outer {
		if f, ok := s.vals[name]; ok {
			return f, true
		}
	}
	return Fact{}, false
}

// graph infers g in env, which already holds its inputs.
func (inf *inferer) graph(g *graph.Graph, env *factScope, fr frame) error {
	for _, c := range g.Consts() {
		env.vals[c.Name] = constFact(c)
	}
	return inf.nodes(g.Nodes, slices.Concat(g.Info, g.Out), env, fr)
}

// nodes infers a list of nodes, of whose values the file declares some.
func (inf *inferer) nodes(list []*graph.Node, info []*graph.Value, env *factScope, fr frame) error {
	if inf.depth++; inf.depth > MaxDepth {
		return fault.Invalidf("", "subgraphs and functions nest deeper than %d", MaxDepth)
	}
	defer func() { inf.depth-- }()
	declared := map[string]graph.Type{}
	for _, v := range info {
		declared[v.Name] = v.Type
		if inf.depth > 1 {
			declared[v.Name] = nameless(v.Type)
		}
	}
	for _, n := range list {
		out, err := inf.node(n, env, fr)
		if err != nil {
			return fault.At(n.Label(), err)
		}
		for i, name := range n.Out {
			if name == "" {
				continue
			}
			var f Fact
			if i < len(out) {
				f = out[i]
				f.Type = sizesOnly(f.Type)
			}
			if d, ok := declared[name]; ok {
				if !clearShape(d).Accepts(clearShape(f.Type)) {
					return fault.Invalidf(n.Label(), "output %q is %s, but the file declares %s", name, f.Type, d)
				}
				if d.Accepts(f.Type) && len(inf.runs) == 0 {
					f.Type = refine(f.Type, d)
				}
			}
			if inf.depth == 1 {
				f.Type = inf.named(inf.asInRuns(name, f.Type))
			}
			env.vals[name] = f
		}
	}
	return nil
}

// asInRuns fills what t leaves open of a value with what was the same in all runs.
func (inf *inferer) asInRuns(name string, t graph.Type) graph.Type {
	if len(inf.runs) == 0 || !t.IsTensor() {
		return t
	}
	same := inf.runs[0][name].Type
	if !same.IsTensor() || !same.Ranked || t.Ranked && len(t.Shape) != len(same.Shape) {
		return t
	}
	shape := slices.Clone(same.Shape)
	for _, r := range inf.runs[1:] {
		u := r[name].Type
		if !u.IsTensor() || !u.Ranked || len(u.Shape) != len(shape) {
			return t
		}
		for i, d := range u.Shape {
			if d != shape[i] {
				shape[i] = graph.Unknown
			}
		}
	}
	filled := !t.Ranked
	for i := range shape {
		switch {
		case t.Ranked && (t.Shape[i].IsKnown() || !shape[i].IsKnown()):
			shape[i] = t.Shape[i]
		case shape[i].IsKnown():
			filled = true
		default:
			shape[i] = graph.Unknown
		}
	}
	if !filled {
		return t
	}
	inf.assumed[name] = true
	t.Ranked, t.Shape = true, shape
	return t
}

// named gives every open dimension of a value that exists once a symbol of its own, so that
// inference can tell where it goes.
func (inf *inferer) named(t graph.Type) graph.Type {
	if !t.Ranked {
		return t
	}
	t.Shape = slices.Clone(t.Shape)
	for i, d := range t.Shape {
		if !d.IsKnown() && d.Name == "" {
			t.Shape[i] = inf.fresh()
		}
	}
	return t
}

// fresh returns a symbol that the file does not use.
func (inf *inferer) fresh() graph.Dim {
	if inf.taken == nil {
		inf.taken = map[string]bool{}
		g := inf.model.Graph
		for _, v := range slices.Concat(g.In, g.Info, g.Out) {
			for _, d := range v.Type.Shape {
				inf.taken[d.Name] = true
			}
		}
	}
	for {
		name := "u" + strconv.Itoa(inf.symbols)
		inf.symbols++
		if !inf.taken[name] {
			return graph.Symbol(name)
		}
	}
}

// node infers one node, and evaluates it where its inputs are small constants.
func (inf *inferer) node(n *graph.Node, env *factScope, fr frame) ([]Fact, error) {
	inf.spent++
	in := make([]Fact, len(n.In))
	for i, name := range n.In {
		if name == "" {
			continue
		}
		f, ok := env.get(name)
		if !ok {
			return nil, fault.Invalidf("", "input %d %q is never produced", i, name)
		}
		in[i] = f
	}
	if fr.call != nil {
		n = BindAttrs(n, fr.fn, fr.call)
	}
	if f := inf.model.Function(n.Domain, n.Op, n.Overload); f != nil {
		return inf.function(f, n, in)
	}
	version := versionOf(fr.opsets, n.Domain)
	o, err := Resolve(n, version)
	if fault.KindOf(err) == fault.Unsupported {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := o.Schema(version).CheckTypes(typesOfFacts(in)); err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	if o.Infer == nil {
		return nil, nil
	}
	if out, ok := inf.fold(o, n, version, in); ok {
		return out, nil
	}
	c := &Inference{Node: n, Opset: version, In: in}
	c.sub = func(g *graph.Graph, args []Fact) ([]Fact, error) { return inf.subgraph(g, args, env, fr) }
	return o.Infer(c)
}

func (inf *inferer) subgraph(g *graph.Graph, args []Fact, outer *factScope, fr frame) ([]Fact, error) {
	if len(args) > len(g.In) {
		return nil, invalidf("subgraph takes %d inputs, not %d", len(g.In), len(args))
	}
	out := make([]Fact, len(g.Out))
	if inf.spent > maxVisits {
		for i, v := range g.Out {
			out[i].Type = nameless(v.Type)
		}
		return out, nil
	}
	env := &factScope{vals: Facts{}, outer: outer}
	for i, v := range g.In {
		f := Fact{Type: nameless(v.Type)}
		if i < len(args) {
			f = args[i]
			f.Type = refine(f.Type, nameless(v.Type))
		}
		env.vals[v.Name] = f
	}
	if err := inf.graph(g, env, fr); err != nil {
		return nil, err
	}
	maps.Copy(inf.inner, env.vals)
	for i, v := range g.Out {
		out[i], _ = env.get(v.Name)
	}
	return out, nil
}

// function infers the body of a model's own function.
func (inf *inferer) function(f *graph.Function, n *graph.Node, in []Fact) ([]Fact, error) {
	if inf.spent > maxVisits {
		return nil, nil
	}
	if len(in) > len(f.In) {
		return nil, invalidf("function %s takes %d inputs, not %d", f.Name, len(f.In), len(in))
	}
	env := &factScope{vals: Facts{}}
	for i, fact := range in {
		env.vals[f.In[i]] = fact
	}
	if err := inf.nodes(optionalInputs(f, n), f.Info, env, frame{f.Opsets, f, n}); err != nil {
		return nil, err
	}
	out := make([]Fact, len(f.Out))
	for i, name := range f.Out {
		out[i], _ = env.get(name)
	}
	return out, nil
}
