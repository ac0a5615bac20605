package plan

import (
	"fmt"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Decide makes a plan without numbers: which nodes compute on quantized values, and which
// values that takes. facts are the types of m's values; names have to be unique over all
// subgraphs. unseen names values that calibration never met, which therefore stay in float.
func Decide(m *graph.Model, facts op.Facts, set Settings, unseen map[string]bool) *Plan {
	p := &Plan{Mode: set.Mode, Target: set.Target.Name}
	d := &decider{plan: p, model: m, facts: facts, set: set, unseen: unseen, consts: constants(m), values: map[string]*Value{}, finites: map[string]bool{}}
	for g := range m.Graph.Graphs() {
		d.graph(g)
	}
	return p
}

type decider struct {
	plan    *Plan
	model   *graph.Model
	facts   op.Facts
	set     Settings
	unseen  map[string]bool
	consts  map[string]*tensor.Tensor // of all graphs
	values  map[string]*Value         // by As
	finites map[string]bool           // constants that were looked at: whether all elements are numbers

	g   *graph.Graph
	x   *graph.Index
	in  map[*graph.Node]bool   // nodes that compute on quantized values
	why map[*graph.Node]string // why a node that could does not

	first, last *graph.Node // with weights
}

// graph decides one graph; its subgraphs are decided on their own.
func (d *decider) graph(g *graph.Graph) {
	d.g, d.x = g, g.Index()
	d.in, d.why = map[*graph.Node]bool{}, map[*graph.Node]string{}
	d.first, d.last = d.ends()
	for _, n := range g.Nodes {
		d.consider(n)
	}
	if d.set.Mode == Static {
		for changed := true; changed; {
			changed = false
			for _, n := range g.Nodes {
				if d.in[n] && !d.isAnchor(n) && !d.worthwhile(n) {
					d.in[n], changed = false, true
				}
			}
		}
	}
	for _, n := range g.Nodes {
		q := d.quant(n)
		if q == nil || len(q.In) == 0 {
			continue
		}
		row := &Node{Name: nodeName(n), Op: op.QualifiedName(n), Quantized: d.in[n], Reason: d.why[n]}
		d.plan.Nodes = append(d.plan.Nodes, row)
		switch {
		case row.Quantized:
			d.commit(n, q, row)
		case d.set.Light[row.Name]:
			d.store(n, q, row)
		}
	}
}

// store lets a node that computes in float read its weight from codes.
func (d *decider) store(n *graph.Node, q *op.Quant, row *Node) {
	w := weightInput(q)
	if w < 0 || w >= len(n.In) || d.constant(n.In[w]) == nil || d.facts[n.In[w]].DType != tensor.Float32 || !d.finite(n.In[w], d.constant(n.In[w])) {
		return
	}
	if s, _ := d.schemes(n); s.Format != nil {
		row.Inputs = make([]string, len(n.In))
		row.Inputs[w] = d.weight(n, q, w, s)
	}
}

// nodeName is the node's name, or its first output where it has none.
func nodeName(n *graph.Node) string {
	if n.Name == "" && len(n.Out) > 0 {
		return n.Out[0]
	}
	return n.Name
}

// NodeName is the word by which plans call a node: its name, or its first output.
func NodeName(n *graph.Node) string { return nodeName(n) }

func (d *decider) quant(n *graph.Node) *op.Quant {
	if o := op.Lookup(n.Domain, n.Op); o != nil {
		return &o.Quant
	}
	return nil
}

// consider takes a node in, or notes why not.
func (d *decider) consider(n *graph.Node) {
	q := d.quant(n)
	if q == nil || len(q.In) == 0 {
		return
	}
	for _, k := range d.set.Keep {
		if k.Match(n) {
			d.why[n] = fmt.Sprintf("kept in float by %q", k)
			return
		}
	}
	if why, ok := d.set.Leave[nodeName(n)]; ok {
		d.why[n] = why
		return
	}
	if w, acts := d.schemes(n); w.Format == nil || d.set.Mode == Static && acts.Format == nil {
		d.why[n] = "its scheme is float"
		return
	}
	if why := d.obstacle(n, q); why != "" {
		d.why[n] = why
		return
	}
	d.in[n] = true
	d.why[n] = "integer form " + q.Integer
	if q.Integer == "" {
		d.why[n] = "moves values without changing them"
	}
	if d.set.Mode != Static {
		d.why[n] = "constant weight"
	}
}

// obstacle says what keeps a node from computing on quantized values; "" is nothing.
func (d *decider) obstacle(n *graph.Node, q *op.Quant) string {
	if slices.Contains(d.set.Target.Float, n.Op) && d.set.Mode == Static {
		return fmt.Sprintf("target %s computes it in float", d.set.Target.Name)
	}
	anchor := d.isAnchor(n)
	if d.set.Mode != Static {
		if !anchor {
			return "only constant weights are quantized in this mode"
		}
		if w := weightInput(q); w >= len(n.In) || d.constant(n.In[w]) == nil {
			return "its weight is not constant"
		}
	} else if !q.Share && q.Integer == "" && !q.Clamp {
		return "it has no integer form"
	}
	if q.Unless != nil && d.set.Mode == Static {
		if why := q.Unless(n, d.constant); why != "" {
			return why
		}
	}
	for i, name := range n.In {
		if r := q.Role(i); name == "" || r == op.Float || r == op.Bias {
			continue
		}
		if f := d.facts[name]; !f.IsTensor() || f.DType != tensor.Float32 {
			return fmt.Sprintf("input %q is %s, not float", name, f.Type)
		}
		if d.unseen[name] {
			return fmt.Sprintf("calibration never reached %q", name)
		}
		if t := d.constant(name); t != nil && t.Len() == 0 {
			return fmt.Sprintf("constant %q is empty", name)
		} else if t != nil && !d.finite(name, t) {
			return fmt.Sprintf("constant %q holds infinite values or NaN", name)
		}
	}
	if len(n.Out) == 0 || d.unseen[n.Out[0]] {
		return "calibration never reached it"
	}
	return ""
}

// finite says whether every element of a constant is a number.
func (d *decider) finite(name string, t *tensor.Tensor) bool {
	known, ok := d.finites[name]
	if !ok {
		known = !slices.ContainsFunc(tensor.Of[float32](t), func(v float32) bool { return v-v != 0 })
		d.finites[name] = known
	}
	return known
}

// isAnchor says whether n multiplies by weights: the operators that quantization is for.
func (d *decider) isAnchor(n *graph.Node) bool {
	q := d.quant(n)
	return q != nil && slices.Contains(q.In, op.Weight)
}

func weightInput(q *op.Quant) int { return slices.Index(q.In, op.Weight) }

// constant returns the initializer that a name means here or in a graph around, or nil. A value that
// nodes compute from constants is none: nothing stores it.
func (d *decider) constant(name string) *tensor.Tensor {
	if t := d.g.ConstTensor(name); t != nil {
		return t
	}
	if d.facts[name].Value != nil {
		return d.consts[name]
	}
	return nil
}

// worthwhile says whether a node without weights, now among the quantized ones, has a quantized
// neighbour on both sides: integers that nobody made, or that nobody reads, cost more than they save.
func (d *decider) worthwhile(n *graph.Node) bool {
	q := d.quant(n)
	if !d.feeds(n, q) {
		d.why[n] = "no quantized node feeds it"
		return false
	}
	if q.Clamp && d.absorber(n) != nil && d.isAnchor(d.absorber(n)) {
		return true
	}
	for _, name := range n.Out {
		if d.x.IsOutput(name) {
			d.why[n] = "its result leaves the network"
			return false
		}
		uses := d.x.Uses(name)
		for _, u := range uses {
			if !d.reads(u) {
				d.why[n] = fmt.Sprintf("%s, which reads it, stays in float", u.Node.Label())
				return false
			}
		}
	}
	return true
}

// feeds says whether some operand of n comes from a quantized node.
func (d *decider) feeds(n *graph.Node, q *op.Quant) bool {
	for i, name := range n.In {
		if q.Role(i) != op.Float && name != "" && d.in[d.x.Producer(name)] {
			return true
		}
	}
	return false
}

// reads says whether a use reads the value in quantized form, or does not look at its elements.
func (d *decider) reads(u graph.Use) bool {
	q := d.quant(u.Node)
	if u.In < 0 || q == nil {
		return false
	}
	return q.ShapeOnly || d.in[u.Node] && q.Role(u.In) != op.Float && q.Role(u.In) != op.Bias
}

// absorber returns the quantized node whose saturation does the work of clamp n: the one that
// makes n's input, if nothing else reads that.
func (d *decider) absorber(n *graph.Node) *graph.Node {
	p := d.x.Producer(n.In[0])
	if p == nil || !d.in[p] || p.Out[0] != n.In[0] || d.x.OnlyUse(n.In[0]) != n || !d.isolated(n) {
		return nil
	}
	if q := d.quant(p); q.Share || q.Clamp {
		return nil
	}
	return p
}

// isolated says whether n is a clamp whose bounds are constants.
func (d *decider) isolated(n *graph.Node) bool {
	if q := d.quant(n); q == nil || !q.Clamp {
		return false
	}
	for _, name := range n.In[1:] {
		if name != "" && d.constant(name) == nil {
			return false
		}
	}
	return true
}

// result returns the value in which the work of n ends: its first output, or that of the
// clamp that it absorbs.
func (d *decider) result(n *graph.Node) string {
	if u := d.x.OnlyUse(n.Out[0]); u != nil && d.in[u] && u.In[0] == n.Out[0] && d.isolated(u) && d.absorber(u) == n {
		return u.Out[0]
	}
	return n.Out[0]
}

// commit adds to the plan the values that a quantized node reads and writes.
func (d *decider) commit(n *graph.Node, q *op.Quant, row *Node) {
	row.Inputs = make([]string, len(n.In))
	absorbed := q.Clamp && d.absorber(n) != nil
	if absorbed {
		row.Reason = "done by the saturation of " + d.absorber(n).Label()
		row.Inputs = nil
		return
	}
	weights, acts := d.schemes(n)
	if d.set.Mode == Dynamic && acts.Block.Kind == format.Channel && (n.Op == "MatMul" || n.Op == "Gemm") {
		row.Rows = true
		row.Reason += "; each row of its input is scaled for itself"
	}
	for i, name := range n.In {
		if name == "" {
			continue
		}
		switch r := q.Role(i); {
		case r == op.Bias:
			row.Inputs[i] = d.bias(n, q, i)
		case r == op.Float:
		case d.constant(name) != nil && r == op.Weight:
			row.Inputs[i] = d.weight(n, q, i, weights)
		case d.set.Mode != Static:
		case d.constant(name) != nil:
			row.Inputs[i] = d.add(&Value{Name: name, Role: RoleConstant, Format: acts.Format.Name, Reason: "constant operand of " + n.Label()})
		default:
			row.Inputs[i] = d.activation(name, acts, "read by "+n.Label())
		}
	}
	if d.set.Mode == Static {
		d.output(n, q, row, acts)
	}
}

// output adds the value that a quantized node writes.
func (d *decider) output(n *graph.Node, q *op.Quant, row *Node, acts Scheme) {
	if q.Share {
		for _, name := range n.Out {
			if name != "" && d.facts[name].DType == tensor.Float32 {
				v := &Value{Name: name, Role: RoleActivation, Format: d.values[row.Inputs[0]].Format, Like: row.Inputs[0], Reason: n.Op + " keeps the parameters of its input"}
				d.add(v)
			}
		}
		return
	}
	name := d.result(n)
	if q.FloatOut && !slices.ContainsFunc(d.x.Uses(name), d.reads) {
		return
	}
	as := d.activation(name, acts, "written by "+n.Label())
	row.output, row.sum = as, q.Sum
	if f := q.Fixed; f != nil && name == n.Out[0] {
		v := d.values[as]
		v.Params = []format.Params{acts.Format.Cover(float64(f.Lo), float64(f.Hi), d.set.Symmetric)}
		if d.set.Exact && v.eightBits() {
			v.Params[0] = shortened(v.Params[0])
		}
		v.Reason = fmt.Sprintf("%s is always within [%g, %g]", n.Op, f.Lo, f.Hi)
	}
}

// schemes returns the schemes of a node after overrides.
func (d *decider) schemes(n *graph.Node) (weights, acts Scheme) {
	weights, acts = d.set.Weights, d.set.Acts
	if d.set.Ends && (n == d.first || n == d.last) {
		weights, acts = endWeights, endActs
	}
	for _, o := range d.set.Overrides {
		if o.Match.Match(n) {
			if o.Weights != nil {
				weights = *o.Weights
			}
			if o.Acts != nil {
				acts = *o.Acts
			}
		}
	}
	return weights, acts
}

// add takes a value into the plan, unless it is there, and returns its As. A value of the same
// name that differs in format or block stands beside it under another, which is no value's name.
func (d *decider) add(v *Value) string {
	v.As = v.Name
	for k := 2; ; k++ {
		old := d.values[v.As]
		if _, taken := d.facts[v.As]; old == nil && (v.As == v.Name || !taken) {
			d.values[v.As] = v
			d.plan.Values = append(d.plan.Values, v)
			return v.As
		}
		if old != nil && old.Name == v.Name && old.Role == v.Role && old.Block == v.Block && old.Input == v.Input && old.Weight == v.Weight &&
			(old.Format == v.Format || v.Role == RoleActivation) {
			return v.As
		}
		v.As = fmt.Sprintf("%s_%d", v.Name, k)
	}
}

func (d *decider) activation(name string, s Scheme, reason string) string {
	return d.add(&Value{Name: name, Role: RoleActivation, Format: s.Format.Name, Params: s.unscaled(), Reason: reason, observer: s.Observer})
}

// weight adds a constant weight, blocked along the operator's channel axis.
func (d *decider) weight(n *graph.Node, q *op.Quant, i int, s Scheme) string {
	t := d.constant(n.In[i])
	return d.add(&Value{Name: n.In[i], Role: RoleWeight, Format: s.Format.Name, Block: weightBlock(s, t, channelAxis(n, q, t)), Reason: "weight of " + n.Label(), observer: s.Observer})
}

// channelAxis is the output-channel axis of weight t of node n, counted from the front.
func channelAxis(n *graph.Node, q *op.Quant, t *tensor.Tensor) int {
	axis := q.WeightAxis(n)
	if axis < 0 {
		axis += t.Rank()
	}
	return axis
}

// channels is the number of output channels of weight t of node n.
func (d *decider) channels(n *graph.Node, q *op.Quant, t *tensor.Tensor) int {
	return t.Shape[channelAxis(n, q, t)]
}

// bias adds an int32 bias where its node's other operands are quantized and it is a constant
// vector; "" leaves it in float.
func (d *decider) bias(n *graph.Node, q *op.Quant, i int) string {
	t := d.constant(n.In[i])
	w := weightInput(q)
	if d.set.Mode != Static || t == nil || t.DType != tensor.Float32 || t.Rank() != 1 || !d.finite(n.In[i], t) || d.constant(n.In[w]) == nil {
		return ""
	}
	if n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1 {
		return ""
	}
	weights, acts := d.schemes(n)
	if !acts.summable() || !weights.summable() || acts.Format.Bits > 8 {
		return "" // the sums are no whole numbers of one step, or the step is too fine for 32 bits
	}
	if wt := d.constant(n.In[w]); weights.Block.Kind == format.Channel && wt.Rank() > 1 && d.channels(n, q, wt) != t.Len() {
		return ""
	}
	return d.add(&Value{Name: n.In[i], Role: RoleBias, Format: "int32", Block: d.biasBlock(n, q, weights), Input: n.In[0], Weight: d.weight(n, q, w, weights), Reason: "bias of " + n.Label()})
}

func (d *decider) biasBlock(n *graph.Node, q *op.Quant, s Scheme) format.Block {
	if s.Block.Kind == format.Whole {
		return format.Block{}
	}
	return format.Block{Kind: format.Channel}
}
