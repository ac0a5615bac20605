package plan

import (
	"fmt"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Decide makes a plan without numbers: which nodes compute on quantized values, and which
// values that takes. facts are the types of m's values; names have to be unique over all
// subgraphs. unseen names values that calibration never met, which therefore stay in float.
func Decide(m *graph.Model, facts op.Facts, set Settings, unseen map[string]bool) *Plan {
	p := &Plan{Mode: set.Mode, Target: set.Target.Name}
	d := &decider{plan: p, model: m, facts: facts, set: set, unseen: unseen, consts: constants(m), values: map[string]*Value{}, finites: map[string]bool{}, counted: map[string]bool{}}
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
	counted map[string]bool           // weights that stays has found

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
		row := &Node{Name: NodeName(n), Op: op.QualifiedName(n), Quantized: d.in[n], Reason: d.why[n]}
		d.plan.Nodes = append(d.plan.Nodes, row)
		row.stays = d.stays(n, q)
		layer, at := d.offsets(n)
		switch {
		case layer != nil:
			d.offset(n, row, layer, at)
		case row.Quantized:
			d.commit(n, q, row)
		case d.set.Light[row.Name]:
			d.store(n, q, row)
		default:
			d.table(n, row)
		}
	}
}

// stays returns the bytes of the weights of a node that computes in float because the target has no static form of it, or because
// calibration does not see what it reads, as in the body of a loop.
func (d *decider) stays(n *graph.Node, q *op.Quant) (bytes int) {
	static := slices.Contains(d.set.Target.Float, n.Op) || slices.ContainsFunc(n.In, func(name string) bool { return d.unseen[name] })
	if _, left := d.set.Leave[NodeName(n)]; d.set.Mode != Static || d.in[n] || left || !static {
		return 0
	}
	for i, name := range n.In {
		if t := d.constant(name); t != nil && q.Role(i) == op.Weight && t.DType == tensor.Float32 && !d.counted[name] {
			d.counted[name] = true
			bytes += t.Bytes()
		}
	}
	return bytes
}

// store lets a node that computes in float read its weight from codes.
func (d *decider) store(n *graph.Node, q *op.Quant, row *Node) {
	w := d.weightOf(n, q)
	if w < 0 || d.facts[n.In[w]].DType != tensor.Float32 || !d.finite(n.In[w], d.constant(n.In[w])) {
		return
	}
	if s, _ := d.schemes(n); s.Format != nil {
		row.Inputs = make([]string, len(n.In))
		row.Inputs[w] = d.weight(n, q, w, s)
	}
}

// NodeName is the word by which plans call a node: its name, or its first output where it has none.
func NodeName(n *graph.Node) string {
	if n.Name == "" && len(n.Out) > 0 {
		return n.Out[0]
	}
	return n.Name
}

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
	if why, ok := d.kept(n); ok {
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

// kept says whether the user, or what was measured, wants n in float, and why.
func (d *decider) kept(n *graph.Node) (why string, ok bool) {
	for _, k := range d.set.Keep {
		if k.Match(n) {
			return fmt.Sprintf("kept in float by %q", k), true
		}
	}
	why, ok = d.set.Leave[NodeName(n)]
	return why, ok
}

// obstacle says what keeps a node from computing on quantized values; "" is nothing.
func (d *decider) obstacle(n *graph.Node, q *op.Quant) string {
	if slices.Contains(d.set.Target.Float, n.Op) && d.set.Mode == Static {
		return fmt.Sprintf("target %s computes it in float", d.set.Target.Name)
	}
	if d.flows(n, q) {
		return fmt.Sprintf("target %s computes products of two values that flow in float", d.set.Target.Name)
	}
	anchor := d.isAnchor(n)
	if d.set.Mode != Static {
		if !anchor {
			return "only constant weights are quantized in this mode"
		}
		if d.weightOf(n, q) < 0 {
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
	return d.overflow(n, q)
}

// flows says whether n multiplies two values that flow, which the target computes in float.
func (d *decider) flows(n *graph.Node, q *op.Quant) bool {
	w := weightInput(q)
	return d.set.Mode == Static && !d.set.Codes && slices.Contains(d.set.Target.Flows, n.Op) && w > 0 && w < len(n.In) && d.constant(n.In[0]) == nil && d.constant(n.In[w]) == nil
}

// finite says whether every element of a constant is a number.
func (d *decider) finite(name string, t *tensor.Tensor) bool {
	known, ok := d.finites[name]
	if !ok {
		known = allFinite(tensor.Of[float32](t))
		d.model.Forget(t)
		d.finites[name] = known
	}
	return known
}

// allFinite says whether all of x are numbers.
func allFinite(x []float32) bool {
	var none [4]float32 // 0 as long as they are; four sums do not wait for one another
	for ; len(x) >= 4; x = x[4:] {
		none[0] += x[0] - x[0]
		none[1] += x[1] - x[1]
		none[2] += x[2] - x[2]
		none[3] += x[3] - x[3]
	}
	for _, v := range x {
		none[0] += v - v
	}
	return none == [4]float32{}
}

// isAnchor says whether n multiplies by weights: the operators that quantization is for.
func (d *decider) isAnchor(n *graph.Node) bool {
	q := d.quant(n)
	return q != nil && slices.Contains(q.In, op.Weight)
}

func weightInput(q *op.Quant) int { return slices.Index(q.In, op.Weight) }

// weightOf returns the operand of n that is its constant weight, -1 where it has none. A constant that is multiplied
// from the left is one where activations have no parameters of their own; else it has one scale, as they have.
func (d *decider) weightOf(n *graph.Node, q *op.Quant) int {
	w := weightInput(q)
	switch {
	case w < 0 || w >= len(n.In):
		return -1
	case d.constant(n.In[w]) != nil:
		return w
	case q.LeftAxis != nil && d.set.Mode != Static && d.constant(n.In[0]) != nil:
		return 0
	}
	return -1
}

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
