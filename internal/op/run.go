package op

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"

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
	for _, c := range g.Consts() {
		t, err := DenseConst(c)
		if err != nil {
			return nil, fault.At(fmt.Sprintf("initializer %q", c.Name), err)
		}
		env.vals[c.Name] = t
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
	for _, c := range g.Consts() {
		t, err := DenseConst(c)
		if err != nil {
			return nil, fault.At(fmt.Sprintf("initializer %q", c.Name), err)
		}
		env.vals[c.Name] = t
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
		eachRead(list[i], mark)
	}
	return out
}

// eachRead calls f with every name that a node or its subgraphs mention as an input.
func eachRead(n *graph.Node, f func(string)) {
	for _, name := range n.In {
		f(name)
	}
	for _, g := range n.Subgraphs() {
		for _, m := range g.Nodes {
			eachRead(m, f)
		}
		for _, v := range g.Out {
			f(v.Name)
		}
	}
}

// node evaluates one node: the model's own function of that name, else the operator.
func (r *runner) node(n *graph.Node, opsets []graph.Opset, env *scope, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if r.attrs != nil {
		n = bindAttrs(n, r.fn, r.attrs)
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

// Resolve returns the operator that a node names, after its signature is checked. version
// is the imported version of the node's domain.
func Resolve(n *graph.Node, version int) (*Op, error) {
	o := Lookup(n.Domain, n.Op)
	if o == nil || o.Eval == nil {
		return nil, fault.Unsupportedf("", "operator %s is not implemented", QualifiedName(n))
	}
	s := o.Schema(version)
	if s == nil {
		return nil, fault.Invalidf("", "operator %s does not exist in opset %d", n.Op, version)
	}
	if err := s.CheckNode(n); err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	return o, nil
}

// QualifiedName returns "Conv" or "com.microsoft.FusedConv".
func QualifiedName(n *graph.Node) string {
	if d := graph.CanonicalDomain(n.Domain); d != "" {
		return d + "." + n.Op
	}
	return n.Op
}

func versionOf(opsets []graph.Opset, domain string) int {
	for _, o := range opsets {
		if graph.CanonicalDomain(o.Domain) == graph.CanonicalDomain(domain) {
			return o.Version
		}
	}
	return 1
}

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

// bindAttrs replaces references to the attributes of a function by the values of its call.
func bindAttrs(n *graph.Node, f *graph.Function, call *graph.Node) *graph.Node {
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
		c.Nodes[i] = bindAttrs(n, f, call)
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
