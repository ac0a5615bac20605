package plan

import (
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// single lists the operators that stay in float32 where a network computes in 16-bit floats, and why.
var single = []struct{ ops, why string }{
	{"ReduceSum ReduceMean ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp CumSum GlobalLpPool LpPool",
		"its sums lose what is 2048 times smaller than they are"},
	{"Softmax LogSoftmax Exp Softplus Mish", "exponentials leave the range beyond 11"},
	{"Pow LRN", "powers leave the range"},
	{"Log Reciprocal", "what is too small for 16 bits would be zero"},
	{"LayerNormalization InstanceNormalization GroupNormalization RMSNormalization MeanVarianceNormalization LpNormalization BatchNormalization SkipLayerNormalization",
		"the squares of its differences leave the range"},
	{"Resize Upsample GridSample AffineGrid RoiAlign NonMaxSuppression Range Bernoulli Multinomial", "positions need more than eleven bits"},
	{"LSTM GRU RNN", "errors of its state add up from step to step"},
	{"Cast CastLike BitCast QuantizeLinear DequantizeLinear DynamicQuantizeLinear", "changes types itself"},
}

// divide is the operator that stays in float32 unless it divides by a constant.
const divide = "Div"

// singleReason returns why an operator stays in float32, "" where it does not.
func singleReason(name string) string {
	for _, row := range single {
		if slices.Contains(strings.Fields(row.ops), name) {
			return row.why
		}
	}
	return ""
}

// leastHalfSQNR is the ratio in dB below which a constant is lost in 16 bits: a bound of 1e-12 that
// keeps a divisor from zero becomes zero itself.
const leastHalfSQNR = 30

// Halve makes a plan to compute in 16-bit floats: each node of the main graph that can, but for those
// that stay in float32 because of their operator, of a constant, or of a value that calibration saw
// leave the range of the format or vanish in it. stats may be nil.
func Halve(m *graph.Model, facts op.Facts, set Settings, stats map[string]*calib.Stats) *Plan {
	h := &halver{
		decider: decider{plan: &Plan{Mode: Convert, Target: set.Target.Name}, model: m, facts: facts, set: set, values: map[string]*Value{}, g: m.Graph, x: m.Graph.Index()},
		f:       set.Weights.Format, stats: stats,
	}
	for _, n := range m.Graph.Nodes {
		h.node(n)
	}
	return h.plan
}

// Floats returns the names of the float32 values that flow through the main graph.
func Floats(m *graph.Model, facts op.Facts) []string {
	var list []string
	add := func(name string) {
		if f := facts[name]; name != "" && f.Value == nil && f.IsTensor() && f.DType == tensor.Float32 {
			list = append(list, name)
		}
	}
	for _, v := range m.Graph.Required() {
		add(v.Name)
	}
	for _, n := range m.Graph.Nodes {
		for _, name := range n.Out {
			add(name)
		}
	}
	return list
}

type halver struct {
	decider
	f     *format.Format
	stats map[string]*calib.Stats
}

func (h *halver) isFloat(name string) bool {
	f := h.facts[name]
	return name != "" && f.IsTensor() && f.DType == tensor.Float32
}

// node adds the line of a node that reads or writes float32.
func (h *halver) node(n *graph.Node) {
	if !slices.ContainsFunc(n.In, h.isFloat) && !slices.ContainsFunc(n.Out, h.isFloat) {
		return
	}
	row := &Node{Name: NodeName(n), Op: op.QualifiedName(n), Reason: h.obstacle(n)}
	h.plan.Nodes = append(h.plan.Nodes, row)
	if row.Reason != "" {
		return
	}
	row.Quantized, row.Reason = true, "computes in "+h.f.Name
	for i, name := range n.In {
		row.Inputs = append(row.Inputs, "")
		if h.isFloat(name) && Halves(n, h.model.Opset(n.Domain), i, h.f.Elem) {
			row.Inputs[i] = h.value(n, name)
		}
	}
}

func (h *halver) value(n *graph.Node, name string) string {
	v := &Value{Name: name, Role: RoleActivation, Format: h.f.Name, Params: []format.Params{{Scale: 1}}, Reason: "read by " + n.Label()}
	if h.constant(name) != nil {
		v.Role = RoleWeight
	}
	return h.add(v)
}

// obstacle says what keeps a node in float32, "" where nothing does.
func (h *halver) obstacle(n *graph.Node) string {
	for _, k := range h.set.Keep {
		if k.Match(n) {
			return fmt.Sprintf("kept in float by %q", k)
		}
	}
	if why := singleReason(n.Op); why != "" {
		return why
	}
	if len(n.Subgraphs()) > 0 {
		return "its subgraphs compute in float32"
	}
	if why := h.untyped(n); why != "" {
		return why
	}
	if n.Str("reduction", "none") != "none" {
		return "few runtimes combine updates of 16 bits"
	}
	if h.rotatesRows(n) {
		return "ONNX Runtime fails on products of matrices behind it in 16 bits"
	}
	if n.Op == divide && h.constant(n.In[1]) == nil {
		return "a divisor too small for 16 bits would be zero"
	}
	converted := false
	for i, name := range n.In {
		if !h.isFloat(name) || !Halves(n, h.model.Opset(n.Domain), i, h.f.Elem) {
			continue
		}
		converted = true
		if t := h.constant(name); t != nil {
			if why := h.unfit(name, t); why != "" {
				return why
			}
		} else if why := h.leaves(name); why != "" {
			return why
		}
	}
	if !converted {
		return fmt.Sprintf("no operand of it may be %s in opset %d", h.f.Elem, h.model.Opset(n.Domain))
	}
	for _, name := range n.Out {
		if why := h.leaves(name); h.isFloat(name) && why != "" {
			return why
		}
	}
	return ""
}

// rotatesRows says whether n moves the first axis of at least three to where the last but one was and a product reads
// that, a pair which ONNX Runtime 1.32 fuses, whatever Casts are between, and crashes on.
func (h *halver) rotatesRows(n *graph.Node) bool {
	perm := n.Ints("perm")
	last := len(perm) - 1
	if n.Op != "Transpose" || last < 2 || perm[last] != last || perm[last-1] != 0 {
		return false
	}
	for i, a := range perm[:last-1] {
		if a != i+1 {
			return false
		}
	}
	return slices.ContainsFunc(h.x.Uses(n.Out[0]), func(u graph.Use) bool { return u.Node.Op == "MatMul" })
}

// untyped says which operand or result of n is not a tensor, whose type would have to change as a whole, or
// has a type that none of the operands given settles.
func (h *halver) untyped(n *graph.Node) string {
	for _, name := range slices.Concat(n.In, n.Out) {
		if f := h.facts[name]; name != "" && f.Type.Kind != graph.TensorType {
			return fmt.Sprintf("%q is %s", name, f.Type)
		}
	}
	opset := h.model.Opset(n.Domain)
	for i, name := range n.Out {
		s := signature(n, opset)
		if !h.isFloat(name) || s == nil || HalvesOut(n, opset, i, h.f.Elem) {
			continue
		}
		if p, ok := op.Operand(s.Out, i); ok && s.Allows(p, h.f.Elem) && s.Allows(p, tensor.Float32) {
			return fmt.Sprintf("no operand says what type its result %q has", name)
		}
	}
	return ""
}

// unfit says why a constant cannot be written in the format.
func (h *halver) unfit(name string, t *tensor.Tensor) string {
	x := tensor.Of[float32](t)
	defer h.model.Forget(t)
	_, top := h.f.Range(format.Params{Scale: 1})
	for _, v := range x {
		if v > top || v < -top {
			return fmt.Sprintf("constant %q holds %g, beyond %g", name, v, top)
		}
	}
	if db, err := h.f.TensorSQNR(t, format.Block{}, []format.Params{{Scale: 1}}); err == nil && db < leastHalfSQNR && slices.ContainsFunc(x, func(v float32) bool { return v != 0 }) {
		return fmt.Sprintf("constant %q is too small for the format", name)
	}
	return ""
}

// leaves says that calibration saw a value outside of the range of the format, or all of it so near to zero that few
// digits are left.
func (h *halver) leaves(name string) string {
	s := h.stats[name]
	if s == nil || !s.Seen() {
		return ""
	}
	lo, hi := h.f.Range(format.Params{Scale: 1})
	reach := max(-s.Min, s.Max)
	switch {
	case s.Infs > 0:
		return fmt.Sprintf("value %q is infinite in %d places", name, s.Infs)
	case s.Max > hi:
		return fmt.Sprintf("value %q reaches %g, beyond %g", name, s.Max, hi)
	case s.Min < lo:
		return fmt.Sprintf("value %q reaches %g, beyond %g", name, s.Min, lo)
	case reach > 0 && reach < h.f.Normal():
		return fmt.Sprintf("value %q reaches %g only, and below %g digits are lost", name, reach, h.f.Normal())
	}
	return ""
}

// Halves says whether input i of a float32 node may be a 16-bit float of type d instead, as its signature says: many
// operators take bfloat16 in later opsets only.
func Halves(n *graph.Node, opset, i int, d tensor.DType) bool {
	s := signature(n, opset)
	if s == nil {
		return false
	}
	p, ok := op.Operand(s.In, i)
	return ok && s.Allows(p, d) && s.Allows(p, tensor.Float32)
}

// HalvesOut says whether output i of a node becomes a 16-bit float of type d where the inputs that may do: it
// shares its type with one of them.
func HalvesOut(n *graph.Node, opset, i int, d tensor.DType) bool {
	s := signature(n, opset)
	if s == nil {
		return false
	}
	p, ok := op.Operand(s.Out, i)
	if !ok || !s.Allows(p, d) {
		return false
	}
	return slices.ContainsFunc(s.In[:min(len(s.In), len(n.In))], func(q op.Param) bool { return q.Type == p.Type })
}

func signature(n *graph.Node, opset int) *op.Schema {
	if o := op.Lookup(n.Domain, n.Op); o != nil {
		return o.Schema(opset)
	}
	return nil
}
