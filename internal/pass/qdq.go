package pass

import (
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// QDQ writes a static or weights-only plan into the graph as QuantizeLinear and
// DequantizeLinear: constants stored quantized with a DequantizeLinear behind them, activations
// through the pair. Every runtime that knows ONNX's quantization reads that form.
func QDQ(m *graph.Model, p *plan.Plan) error {
	q := newQDQ(m, p)
	for g := range m.Graph.Graphs() {
		if err := q.weave(g); err != nil {
			return err
		}
	}
	if err := apart(m); err != nil {
		return err
	}
	loosen(m)
	Shield(m)
	dropUnusedConsts(m.Graph)
	return nil
}

// newQDQ indexes a plan for a rewrite of m.
func newQDQ(m *graph.Model, p *plan.Plan) *qdq {
	q := &qdq{m: m, used: namesOf(m), values: map[string]*plan.Value{}, nodes: map[string]*plan.Node{}, stored: map[string]operand{}, outer: map[string]string{}, within: map[string][]*graph.Graph{}, fixed: p.Mode == plan.Static, coded: map[string]bool{}}
	q.writer = q.writes(m.Graph)
	for _, v := range p.Values {
		q.values[v.As] = v
	}
	for _, n := range p.Nodes {
		if n.Quantized || slices.ContainsFunc(n.Inputs, func(as string) bool { return as != "" }) {
			q.nodes[n.Name] = n
		}
	}
	for g := range m.Graph.Graphs() {
		for _, n := range g.Nodes {
			if row := q.nodes[plan.NodeName(n)]; row != nil {
				for _, as := range row.Inputs {
					q.coded[as] = q.coded[as] || row.Quantized || !q.fixed
					if !slices.Contains(q.within[as], g) {
						q.within[as] = append(q.within[as], g)
					}
				}
			}
		}
	}
	return q
}

// writes returns what writes constants into a graph.
func (q *qdq) writes(g *graph.Graph) weight.Writer {
	return weight.Writer{Fresh: q.used.added, Const: q.setter(g)}
}

type qdq struct {
	m      *graph.Model
	used   names
	values map[string]*plan.Value // by As
	nodes  map[string]*plan.Node  // those that read or write quantized values
	stored map[string]operand     // by As
	outer  map[string]string      // by As: dequantized constants of the main graph, which subgraphs may read
	within map[string][]*graph.Graph
	fixed  bool            // activations have parameters: the operators on codes have to see both DequantizeLinear
	coded  map[string]bool // by As: operators on codes read it, or what was asked for is no more than weights in codes
	writer weight.Writer
}

// An operand is a quantized value by the names of its codes, scale and zero point; "" where it has none.
type operand struct{ codes, scale, zero string }

// A weaver puts Q and DQ nodes into one graph.
type weaver struct {
	*qdq
	g     *graph.Graph
	back  map[string]string        // by As: the name of the dequantized value
	front []*graph.Node            // to stand before all nodes: of constants, inputs and captures
	after map[string][]*graph.Node // to stand behind the producer of a value
	own   weight.Writer            // into this graph

	looked map[string]bool // values that are decoded behind a Gather of codes
}

// weave puts the Q and DQ nodes of the plan into one graph.
func (q *qdq) weave(g *graph.Graph) error {
	w := &weaver{qdq: q, g: g, back: map[string]string{}, after: map[string][]*graph.Node{}, own: q.writes(g), looked: map[string]bool{}}
	return w.run()
}

func (w *weaver) run() error {
	rows := make([]*plan.Node, len(w.g.Nodes)) // a node without a name goes by its output, which written may rename
	for i, n := range w.g.Nodes {
		rows[i] = w.nodes[plan.NodeName(n)]
	}
	for at, n := range w.g.Nodes {
		if rows[at] == nil || !rows[at].Quantized {
			continue
		}
		for i, name := range n.Out {
			if v := w.values[name]; v != nil && v.Role == plan.RoleActivation {
				if err := w.written(n, i, v); err != nil {
					return fault.At(n.Label(), err)
				}
			}
		}
	}
	for at, n := range w.g.Nodes {
		if rows[at] == nil {
			continue
		}
		for i, as := range rows[at].Inputs {
			if as == "" || i >= len(n.In) {
				continue
			}
			if v := w.values[as]; v != nil && v.Role == plan.RoleWeight && op.QualifiedName(n) == "Gather" {
				if err := w.lookUp(n, v); err != nil {
					return fault.At(n.Label(), err)
				}
				continue
			}
			back, err := w.read(as)
			if err != nil {
				return fault.At(n.Label(), err)
			}
			n.In[i] = back
		}
	}
	w.assemble()
	return nil
}

// written sends all readers of output i of a quantized node through Q and DQ, so that a runtime
// can compute the node on integers alone. An output of the graph keeps its name.
func (w *weaver) written(n *graph.Node, i int, v *plan.Value) error {
	name := v.Name
	raw, back := name, ""
	if w.g.Output(name) != nil {
		raw, back = w.used.added(name+"_float"), name
		n.Out[i] = raw
	} else {
		back = w.used.added(name + "_dq")
		rename(w.g, name, back)
	}
	pair, err := w.pair(v, raw, back)
	w.back[v.As] = back
	w.after[raw] = append(w.after[raw], pair...)
	return err
}

// read returns the name of the dequantized form of a value, which it makes at the first call.
func (w *weaver) read(as string) (string, error) {
	if back := w.back[as]; back != "" {
		return back, nil
	}
	v := w.values[as]
	if v == nil {
		return "", fault.Invalidf("", "the plan lacks value %q", as)
	}
	if v.Role == plan.RoleWeight && w.g != w.m.Graph && len(w.within[as]) > 1 && !w.fixed {
		return w.captured(v)
	}
	back := w.used.added(as + "_dq")
	w.back[as] = back
	if v.Role != plan.RoleActivation {
		if w.g == w.m.Graph {
			w.outer[as] = back
		}
		nodes, err := w.constant(v, back)
		w.front = append(w.front, nodes...)
		return back, err
	}
	pair, err := w.pair(v, v.Name, back)
	if w.produces(v.Name) {
		w.after[v.Name] = append(w.after[v.Name], pair...)
	} else {
		w.front = append(w.front, pair...)
	}
	return back, err
}

// captured returns the name of the dequantized form of a weight that several graphs read, in the main graph.
func (w *weaver) captured(v *plan.Value) (string, error) {
	if back := w.outer[v.As]; back != "" {
		return back, nil
	}
	main := &weaver{qdq: w.qdq, g: w.m.Graph, own: w.writer}
	back := w.used.added(v.As + "_dq")
	nodes, err := main.constant(v, back)
	w.outer[v.As] = back
	w.m.Graph.Nodes = append(nodes, w.m.Graph.Nodes...)
	return back, err
}

func (w *weaver) produces(name string) bool {
	return w.looked[name] || slices.ContainsFunc(w.g.Nodes, func(n *graph.Node) bool { return slices.Contains(n.Out, name) })
}

// assemble puts the new nodes in their places.
func (w *weaver) assemble() {
	list := w.front
	var put func(n *graph.Node)
	put = func(n *graph.Node) {
		list = append(list, n)
		for _, name := range n.Out {
			for _, next := range w.after[name] {
				put(next)
			}
		}
	}
	for _, n := range w.g.Nodes {
		put(n)
	}
	w.g.Nodes = list
}

// pair makes Q and DQ of a value that flows.
func (w *weaver) pair(v *plan.Value, from, to string) ([]*graph.Node, error) {
	f := format.Lookup(v.Format)
	if f.Via != format.Dequantize {
		return w.detour(v, f, from, to)
	}
	var nodes []*graph.Node
	if f.Bits < 8 && v.Like == "" { // what only moves values leaves them where they were confined
		n := w.clip(v, f, from)
		nodes, from = append(nodes, n), n.Out[0]
	}
	ops, err := w.store(v)
	if err != nil {
		return nil, err
	}
	code := w.used.added(v.As + "_q")
	there := &graph.Node{Op: "QuantizeLinear", Name: w.used.added(v.As + "_Q"), In: []string{from, ops.scale}, Out: []string{code}}
	back := &graph.Node{Op: "DequantizeLinear", Name: w.used.added(v.As + "_DQ"), In: []string{code, ops.scale}, Out: []string{to}}
	if ops.zero == "" {
		there.SetAttr("output_dtype", int64(f.Elem))
	} else {
		there.In, back.In = append(there.In, ops.zero), append(back.In, ops.zero)
	}
	return append(nodes, there, back), nil
}

// clip confines a value to what its codes of fewer than eight bits can express; eight bits hold
// them then, which integer operators compute on, while runtimes have none for fewer.
func (w *weaver) clip(v *plan.Value, f *format.Format, from string) *graph.Node {
	lo, hi := f.Range(v.Params[0])
	least, most := w.used.added(v.As+"_min"), w.used.added(v.As+"_max")
	w.m.Graph.SetConst(least, tensor.Scalar(lo))
	w.m.Graph.SetConst(most, tensor.Scalar(hi))
	return &graph.Node{Op: "Clip", Name: w.used.added(v.As + "_Clip"), In: []string{from, least, most}, Out: []string{w.used.added(v.As + "_clipped")}}
}

// constant makes the nodes behind a constant's codes: a DequantizeLinear with its zero point where
// the codes are whole numbers of eight bits or more, as integer operators want it, else those that
// spell the format; of a static plan's weights that products of floats alone read, those that are computed once. The codes of a weight that one subgraph alone reads stand in it: ONNX Runtime refuses to load products
// there whose codes are outside (1.32, TransposeDQWeightsForMatMulNBits).
func (w *weaver) constant(v *plan.Value, to string) ([]*graph.Node, error) {
	light := v.Role == plan.RoleWeight && !w.coded[v.As]
	if f := format.Lookup(v.Format); f != nil && (light || f.Lo == f.Hi || v.Role == plan.RoleWeight && (f.Bits < 8 || v.Block.Flat)) {
		c, err := w.inFormat(v)
		if err != nil {
			return nil, err
		}
		if light {
			return w.home(v).WritePlain(c, v.As, to)
		}
		return w.home(v).Write(c, v.As, to)
	}
	ops, err := w.codes(v)
	n := &graph.Node{Op: "DequantizeLinear", Name: w.used.added(v.As + "_DQ"), In: []string{ops.codes, ops.scale}, Out: []string{to}}
	if ops.zero != "" {
		n.In = append(n.In, ops.zero)
	}
	if v.Block.Kind != format.Whole {
		n.SetAttr("axis", int64(v.Block.Axis))
	}
	if v.Block.Kind == format.Group {
		n.SetAttr("block_size", int64(v.Block.Size))
	}
	return []*graph.Node{n}, err
}

// home returns what writes the codes of a constant: into this graph where it alone reads them, else into the main one.
func (w *weaver) home(v *plan.Value) *weight.Writer {
	if v.Role == plan.RoleWeight && len(w.within[v.As]) == 1 {
		return &w.own
	}
	return &w.writer
}

// codes stores a constant.
func (w *weaver) codes(v *plan.Value) (operand, error) {
	if h := w.home(v); h == &w.own && w.g != w.m.Graph {
		return w.spelt(v, h.Const)
	}
	return w.store(v)
}
