package plan

import (
	"fmt"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

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
		row.Rows = d.rows(n, d.weightOf(n, q))
	}
	if row.Rows {
		row.Reason += "; each row of its input is scaled for itself"
	}
	for i, name := range n.In {
		if name == "" {
			continue
		}
		switch r := q.Role(i); {
		case r == op.Bias:
			row.Inputs[i] = d.bias(n, q, name)
		case r == op.Float:
		case d.constant(name) != nil && (r == op.Weight || i == d.weightOf(n, q)):
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
	if q.FloatOut && !(q.CodesOut && d.set.Codes) && !slices.ContainsFunc(d.x.Uses(name), d.reads) {
		return
	}
	as := d.activation(name, acts, "written by "+n.Label())
	row.output, row.sum, row.halves = as, q.Sum, q.Halves
	if f := q.Fixed; f != nil && name == n.Out[0] {
		v := d.values[as]
		v.Params = []format.Params{acts.Format.Cover(float64(f.Lo), float64(f.Hi), d.set.Symmetric)}
		if d.set.Exact && v.eightBits() {
			v.Params[0] = shortened(v.Params[0], 8)
		}
		v.Reason = fmt.Sprintf("%s is always within [%g, %g]", n.Op, f.Lo, f.Hi)
	}
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
	return d.add(&Value{Name: n.In[i], Role: RoleWeight, Format: s.Format.Name, Block: d.weightBlock(s, n, q, i), Reason: "weight of " + n.Label(), observer: s.Observer})
}

// rows says whether each row of the activation of a product has a scale that multiplies a row of the result, or
// behind a weight to the left a column: a weight without a second axis leaves out the one that scales lie along.
func (d *decider) rows(n *graph.Node, w int) bool {
	return d.constant(n.In[w]).Rank() >= 2 && (w > 0 || d.matrices(n.In[1]))
}

// matrices says whether a value that flows is known to have at least two axes.
func (d *decider) matrices(name string) bool {
	f := d.facts[name]
	return len(f.Shape) >= 2
}

// channelAxis is the output-channel axis of operand i of node n, its weight t, counted from the front.
func channelAxis(n *graph.Node, q *op.Quant, i int, t *tensor.Tensor) int {
	axis := weightAxis(n, q, i)
	if axis < 0 {
		axis += t.Rank()
	}
	return axis
}

func weightAxis(n *graph.Node, q *op.Quant, i int) int {
	if i == 0 {
		return q.LeftAxis(n)
	}
	return q.WeightAxis(n)
}

// channels is the number of output channels of operand i of node n, its weight t.
func (d *decider) channels(n *graph.Node, q *op.Quant, i int, t *tensor.Tensor) int {
	return t.Shape[channelAxis(n, q, i, t)]
}

// coarse is how many bits codes have whose products are too few to tell a bias by.
const coarse = 2

// bias adds the int32 bias of that name to a quantized node; "" leaves it in float.
func (d *decider) bias(n *graph.Node, q *op.Quant, name string) string {
	if !d.summed(n, q, name) {
		return ""
	}
	weights, _ := d.schemes(n)
	return d.add(&Value{Name: name, Role: RoleBias, Format: "int32", Block: d.biasBlock(n, q, weights), Input: n.In[0], Weight: d.weight(n, q, weightInput(q), weights), Reason: "bias of " + n.Label()})
}

// summed says whether the sums of a quantized node are whole numbers of one step for each channel, in which a value can be
// expressed: a constant vector.
func (d *decider) summed(n *graph.Node, q *op.Quant, name string) bool {
	t := d.constant(name)
	w := weightInput(q)
	if d.set.Mode != Static || t == nil || t.DType != tensor.Float32 || t.Rank() != 1 || !d.finite(name, t) || d.constant(n.In[w]) == nil {
		return false
	}
	if n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1 {
		return false
	}
	weights, acts := d.schemes(n)
	if !acts.summable() || !weights.summable() {
		return false
	}
	if acts.Format.Bits <= coarse && weights.Format.Bits <= coarse {
		return false // a step is as large as a product
	}
	wt := d.constant(n.In[w])
	return weights.Block.Kind != format.Channel || wt.Rank() <= 1 || d.channels(n, q, w, wt) == t.Len()
}

func (d *decider) biasBlock(n *graph.Node, q *op.Quant, s Scheme) format.Block {
	if s.Block.Kind == format.Whole {
		return format.Block{}
	}
	return format.Block{Kind: format.Channel}
}
