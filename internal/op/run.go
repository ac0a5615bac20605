package op

import (
	"context"
	"fmt"
	"hash/fnv"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// MaxDepth bounds how deep subgraphs and function calls nest while running.
const MaxDepth = 100

// Options change how a model is evaluated.
type Options struct {
	Seed    uint64                                                       // of the random operators
	Watch   func(value string, t *tensor.Tensor)                         // sees every value of the graph and its subgraphs, inputs and constants excluded
	Context context.Context                                              // cancels between nodes; nil never does
	Outputs []string                                                     // values wanted; nil means the graph's outputs
	Replace func(n *graph.Node, c *Call) ([]*tensor.Tensor, bool, error) // tried before Eval where not nil
}

// Run evaluates a model by the operators' reference definitions, node after node, and
// returns the wanted values by name. Inputs not given take their initializer.
func Run(m *graph.Model, in map[string]*tensor.Tensor, opt Options) (map[string]*tensor.Tensor, error) {
	r := &runner{model: m, opt: opt, depth: new(int)}
	g := m.Graph
	if err := checkInputs(g, in); err != nil {
		return nil, err
	}
	env := newScope(nil)
	if err := env.addConsts(g); err != nil {
		return nil, err
	}
	for name, t := range in {
		env.vals[name] = t
	}
	want := opt.Outputs
	if want == nil {
		for _, v := range g.Out {
			want = append(want, v.Name)
		}
	}
	if err := r.nodes(g.Nodes, m.Opsets, env, want); err != nil {
		return nil, err
	}
	out := make(map[string]*tensor.Tensor, len(want))
	for _, name := range want {
		t := env.get(name)
		if t == nil {
			return nil, fault.Invalidf(fmt.Sprintf("output %q", name), "is never produced")
		}
		out[name] = t
	}
	return out, nil
}

// checkInputs holds the given values against the declared inputs.
func checkInputs(g *graph.Graph, in map[string]*tensor.Tensor) error {
	for _, v := range g.Required() {
		t := in[v.Name]
		if t == nil {
			if v.Type.Kind == graph.OptionalType {
				continue
			}
			return fault.Invalidf(fmt.Sprintf("input %q", v.Name), "is missing; it is %s", v.Type)
		}
		if got := graph.TypeOf(t); !v.Type.Accepts(got) && v.Type.Kind != graph.OptionalType {
			return fault.Invalidf(fmt.Sprintf("input %q", v.Name), "is %s, the model wants %s", got, v.Type)
		}
	}
	for name := range in {
		if g.Input(name) == nil {
			return fault.Invalidf(fmt.Sprintf("input %q", name), "is not an input of the model")
		}
	}
	return nil
}

type runner struct {
	model *graph.Model
	opt   Options
	depth *int
	fn    *graph.Function // the function whose body runs; nil in the main graph
	attrs *graph.Node     // the call that the body's attribute references mean
}

// A scope maps names to values; a subgraph's scope sees the scopes around it.
type scope struct {
	vals  map[string]*tensor.Tensor
	outer *scope
}

func newScope(outer *scope) *scope { return &scope{map[string]*tensor.Tensor{}, outer} }

func (s *scope) get(name string) *tensor.Tensor {
	for ; s != nil; s = s.outer {
		if t := s.vals[name]; t != nil {
			return t
		}
	}
	return nil
}

// addConsts puts the initializers of a graph into its scope.
func (s *scope) addConsts(g *graph.Graph) error {
	for _, c := range g.Consts() {
		t, err := DenseConst(c)
		if err != nil {
			return fault.At(fmt.Sprintf("initializer %q", c.Name), err)
		}
		s.vals[c.Name] = t
	}
	return nil
}

// graph evaluates a subgraph whose formal inputs take the values in.
func (r *runner) graph(g *graph.Graph, outer *scope, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if *r.depth++; *r.depth > MaxDepth {
		return nil, fault.Invalidf(g.Name, "subgraphs and functions nest deeper than %d", MaxDepth)
	}
	defer func() { *r.depth-- }()
	if err := r.cancelled(); err != nil {
		return nil, err
	}
	env := newScope(outer)
	if err := env.addConsts(g); err != nil {
		return nil, err
	}
	if len(in) > len(g.In) {
		return nil, fault.Invalidf(g.Name, "subgraph takes %d inputs, not %d", len(g.In), len(in))
	}
	for i, t := range in {
		if t != nil && t.Kind != tensor.Optional && g.In[i].Type.Kind == graph.OptionalType {
			t = tensor.NewOptional(t.DType, t) // a loop may yield the bare value of an optional state
		}
		env.vals[g.In[i].Name] = t
	}
	want := make([]string, len(g.Out))
	for i, v := range g.Out {
		want[i] = v.Name
	}
	if err := r.nodes(g.Nodes, r.opsets(), env, want); err != nil {
		return nil, err
	}
	return collect(env, want)
}

// cancelled returns the cause where the run's context has ended.
func (r *runner) cancelled() error {
	if ctx := r.opt.Context; ctx != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (r *runner) opsets() []graph.Opset {
	if r.fn != nil {
		return r.fn.Opsets
	}
	return r.model.Opsets
}

func collect(env *scope, names []string) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(names))
	for i, name := range names {
		if name == "" {
			continue
		}
		if out[i] = env.get(name); out[i] == nil {
			return nil, fault.Invalidf(fmt.Sprintf("value %q", name), "is never produced")
		}
	}
	return out, nil
}

// nodes evaluates a list of nodes in env and drops values after their last use.
func (r *runner) nodes(list []*graph.Node, opsets []graph.Opset, env *scope, keep []string) error {
	last := lastUse(list, keep)
	for i, n := range list {
		if err := r.cancelled(); err != nil {
			return err
		}
		in := make([]*tensor.Tensor, len(n.In))
		for k, name := range n.In {
			if name == "" {
				continue
			}
			if in[k] = env.get(name); in[k] == nil {
				return fault.Invalidf(n.Label(), "input %d %q is never produced", k, name)
			}
		}
		out, err := r.node(n, opsets, env, in)
		if err != nil {
			return fault.At(n.Label(), err)
		}
		for k, name := range n.Out {
			if name == "" {
				continue
			}
			if k >= len(out) || out[k] == nil {
				return fault.Unsupportedf(n.Label(), "output %d %q is not computed", k, name)
			}
			env.vals[name] = out[k]
			if r.opt.Watch != nil && r.fn == nil {
				r.opt.Watch(name, out[k])
			}
		}
		for _, name := range last[i] {
			delete(env.vals, name)
		}
	}
	return nil
}

// lastUse returns for each node the values that nothing reads after it.
func lastUse(list []*graph.Node, keep []string) [][]string {
	seen := map[string]bool{}
	for _, name := range keep {
		seen[name] = true
	}
	out := make([][]string, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		mark := func(name string) {
			if name != "" && !seen[name] {
				seen[name] = true
				out[i] = append(out[i], name)
			}
		}
		for _, name := range list[i].Out {
			mark(name)
		}
		list[i].EachRead(mark)
	}
	return out
}

// node evaluates one node: the model's own function of that name, else the operator.
func (r *runner) node(n *graph.Node, opsets []graph.Opset, env *scope, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if r.attrs != nil {
		n = BindAttrs(n, r.fn, r.attrs)
	}
	if f := r.model.Function(n.Domain, n.Op, n.Overload); f != nil {
		return r.call(f, n, in)
	}
	version := versionOf(opsets, n.Domain)
	o, err := Resolve(n, version)
	if err != nil {
		return nil, err
	}
	if err := o.Schema(version).CheckTypes(typesOf(in)); err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	c := &Call{Node: n, Opset: version, In: in, run: r, env: env, salt: saltOf(r.opt.Seed, n)}
	if r.opt.Replace != nil {
		if out, done, err := r.opt.Replace(n, c); done || err != nil {
			return out, err
		}
	}
	return o.Eval(c)
}

// saltOf derives the random stream of a node from the seed and the node's place.
func saltOf(seed uint64, n *graph.Node) uint64 {
	h := fnv.New64a()
	h.Write([]byte(n.Name))
	for _, o := range n.Out {
		h.Write([]byte{0})
		h.Write([]byte(o))
	}
	return h.Sum64() ^ seed*0x9e3779b97f4a7c15
}
