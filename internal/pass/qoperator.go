package pass

import (
	"slices"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// QOperator writes a static plan as operators on quantized values (QLinearConv and its kin):
// the Q/DQ form first, then each node between DequantizeLinear and QuantizeLinear in its integer
// form. Where an operator has none, Q/DQ stays around it.
func QOperator(m *graph.Model, p *plan.Plan) error {
	if err := QDQ(m, p); err != nil {
		return err
	}
	used := namesOf(m)
	contrib := false
	for g := range m.Graph.Graphs() {
		f := &fuser{m: m, g: g, x: g.Index(), used: used}
		for i, n := range g.Nodes {
			if r := f.fuse(n); r != nil {
				g.Nodes[i] = r
				contrib = contrib || r.Domain != ""
			}
		}
		dropEmptied(g)
		dropDeadNodes(g)
	}
	if contrib {
		m.SetOpset("com.microsoft", 1)
	}
	dropUnusedConsts(m.Graph)
	return nil
}

// dropEmptied removes the QuantizeLinear nodes whose work a fused node took over.
func dropEmptied(g *graph.Graph) {
	var keep []*graph.Node
	for _, n := range g.Nodes {
		if n.Op != "" {
			keep = append(keep, n)
		}
	}
	g.Nodes = keep
}

type fuser struct {
	m    *graph.Model
	g    *graph.Graph
	x    *graph.Index
	used names
}

// fuse returns the integer form of n, or nil where it has none. The Q behind n is emptied.
func (f *fuser) fuse(n *graph.Node) *graph.Node {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil || len(n.Out) == 0 || len(o.Quant.In) == 0 {
		return nil
	}
	var in []operand
	bias := ""
	for i, name := range n.In {
		r := o.Quant.Role(i)
		if r == op.Float || name == "" {
			continue
		}
		d := f.x.Producer(name)
		if d == nil || d.Op != "DequantizeLinear" {
			return nil
		}
		if r == op.Bias {
			bias = d.In[0]
			continue
		}
		if len(d.In) < 3 {
			return nil
		}
		in = append(in, operand{d.In[0], d.In[1], d.In[2]})
	}
	q := f.quantizer(n, o)
	if q == nil || len(in) == 0 {
		return nil
	}
	out := operand{q.Out[0], q.In[1], q.In[2]}
	r := f.integer(n, &o.Quant, in, bias, out)
	if r == nil {
		return nil
	}
	r.Out = []string{out.codes}
	q.Op = "" // its place in the list is n's now
	return r
}

// quantizer returns the QuantizeLinear that alone reads n's result, directly or through a clamp
// that its saturation makes needless.
func (f *fuser) quantizer(n *graph.Node, o *op.Op) *graph.Node {
	u := f.x.OnlyUse(n.Out[0])
	if u != nil && u.Op != "QuantizeLinear" {
		if c := op.Lookup(u.Domain, u.Op); c == nil || !c.Quant.Clamp || o.Quant.Clamp {
			return nil
		}
		q := f.x.OnlyUse(u.Out[0])
		if q == nil || q.Op != "QuantizeLinear" || !f.saturates(u, q) {
			return nil
		}
		u = q
	}
	if u == nil || u.Op != "QuantizeLinear" || len(u.In) < 3 {
		return nil
	}
	return u
}

// saturates says whether the quantized range of q lies within the bounds of clamp c.
func (f *fuser) saturates(c, q *graph.Node) bool {
	scale, zero := f.constant(q.In[1]), f.constant(q.In[2])
	if scale == nil || zero == nil || scale.Len() != 1 {
		return false
	}
	s := tensor.Of[float32](scale)[0]
	lo, hi, ok := codeRange(zero)
	if !ok {
		return false
	}
	if c.Op == "Relu" {
		return lo >= 0
	}
	bound := func(i int, def float32) (float32, bool) {
		if i >= len(c.In) || c.In[i] == "" {
			return def, true
		}
		t := f.constant(c.In[i])
		if t == nil || t.DType != tensor.Float32 || t.Len() != 1 {
			return 0, false
		}
		return tensor.Of[float32](t)[0], true
	}
	least, ok1 := bound(1, lo*s)
	most, ok2 := bound(2, hi*s)
	return ok1 && ok2 && lo*s >= least && hi*s <= most+s/2 && least <= 0 && most >= 0
}

// codeRange returns the smallest and largest code less the zero point.
func codeRange(zero *tensor.Tensor) (lo, hi float32, ok bool) {
	z, err := zero.Ints()
	if err != nil || len(z) != 1 {
		return 0, 0, false
	}
	switch zero.DType {
	case tensor.Uint8:
		return float32(-z[0]), float32(255 - z[0]), true
	case tensor.Int8:
		return float32(-128 - z[0]), float32(127 - z[0]), true
	}
	return 0, 0, false
}

// integer builds the node that computes n on codes.
func (f *fuser) integer(n *graph.Node, q *op.Quant, in []operand, bias string, out operand) *graph.Node {
	c := cloneNode(n)
	if q.Share {
		return f.shared(c, in, out)
	}
	domain, name, ok := strings.Cut(q.Integer, ":")
	if !ok {
		domain, name = "", q.Integer
	}
	arrange := arrangements[name]
	if arrange == nil {
		return nil
	}
	c.Domain, c.Op = domain, name
	if name == "QLinearAdd" {
		f.scaleZeros(in, out)
	}
	c.In = arrange(in, bias, out)
	if c.In == nil {
		return nil
	}
	if domain != "" {
		if c.Attrs, ok = keepAttrs(c, domain, name); !ok {
			return nil
		}
	}
	if !f.takes(c, c.In) {
		return nil
	}
	return c
}

// scaleZeros gives constants of zeros the scale of the sum that they are added to. ONNX Runtime adds codes times ratios of
// scales in float32: beside a scale that is larger by far, the digits of the other operand are lost.
func (f *fuser) scaleZeros(in []operand, out operand) {
	for i := range in {
		codes, zero := f.constant(in[i].codes), f.constant(in[i].zero)
		if codes == nil || zero == nil || zero.Len() != 1 || codes.DType.Bits() != 8 {
			continue
		}
		if !slices.ContainsFunc(codes.Raw, func(c byte) bool { return c != zero.Raw[0] }) {
			in[i].scale = out.scale
		}
	}
}

// shared lets an operator that only moves values move codes.
func (f *fuser) shared(c *graph.Node, in []operand, out operand) *graph.Node {
	if len(in) != 1 || in[0].scale != out.scale && !f.equal(in[0].scale, out.scale) || !f.equal(in[0].zero, out.zero) || len(c.Out) != 1 {
		return nil
	}
	if !f.takes(c, []string{in[0].zero}) {
		return nil
	}
	if adapt := codeMoves[c.Op]; adapt != nil && !adapt(f, c, in[0]) {
		return nil
	}
	c.In[0] = in[0].codes
	return c
}

// codeMoves adapts operators that do not treat codes as they treat values, and says whether it could.
var codeMoves = map[string]func(f *fuser, n *graph.Node, in operand) bool{
	"Pad": func(f *fuser, n *graph.Node, in operand) bool {
		if n.Str("mode", "constant") != "constant" {
			n.In = n.In[:min(2, len(n.In))] // the value to pad with, which only this mode reads, is float
			return len(n.In) == 2
		}
		if len(n.In) > 2 && n.In[2] != "" && !f.isZero(n.In[2]) {
			return false
		}
		setInput(n, 2, in.zero)
		return true
	},
	"Resize": func(_ *fuser, n *graph.Node, _ operand) bool { return n.Str("mode", "nearest") == "nearest" },
}

// isZero says whether a value is a float constant of zeros.
func (f *fuser) isZero(name string) bool {
	t := f.constant(name)
	return isFloat(t) && !slices.ContainsFunc(tensor.Of[float32](t), func(v float32) bool { return v != 0 })
}

func (f *fuser) constant(name string) *tensor.Tensor { return constantOf(f.m, f.g, name) }

// takes says whether the signature of n, at the model's opset, allows the types of these constants
// as its first operands: GlobalMaxPool has never taken integers, MaxPool not before opset 12, and
// QLinearConv no zero points of 16 bits. Operands that are no constants count as fitting.
func (f *fuser) takes(n *graph.Node, operands []string) bool {
	types := make([]graph.Type, len(operands))
	for i, name := range operands {
		if t := f.constant(name); t != nil {
			types[i] = graph.Unranked(t.DType)
		}
	}
	s := op.Lookup(n.Domain, n.Op).Schema(max(1, f.m.Opset(n.Domain)))
	return s != nil && s.CheckTypes(types) == nil
}

// equal says whether two constants hold the same bytes.
func (f *fuser) equal(a, b string) bool { return sameBytes(f.constant(a), f.constant(b)) }

// keepAttrs returns the attributes that the integer form has too, and false where another one says
// something: a factor of 1, or a list of ones, such as the dilations of most pools, does not.
func keepAttrs(n *graph.Node, domain, name string) ([]*graph.Attr, bool) {
	known := op.Lookup(domain, name).Schemas[0].Attrs
	var kept []*graph.Attr
	for _, a := range n.Attrs {
		if slices.ContainsFunc(known, func(s op.AttrSpec) bool { return s.Name == a.Name }) {
			kept = append(kept, a)
			continue
		}
		if a.Value == float32(1) {
			continue
		}
		list, ok := a.Value.([]int64)
		if !ok || slices.ContainsFunc(list, func(v int64) bool { return v != 1 }) {
			return nil, false
		}
	}
	return kept, true
}

// arrangements orders the operands of each integer operator; nil says that they do not fit it.
var arrangements = map[string]func(in []operand, bias string, out operand) []string{
	"QLinearConv": func(in []operand, bias string, out operand) []string {
		list := flat(in, out)
		if bias != "" {
			list = append(list, bias)
		}
		return list
	},
	"QLinearMatMul":            func(in []operand, _ string, out operand) []string { return flat(in, out) },
	"QLinearAdd":               two,
	"QLinearMul":               two,
	"QLinearSigmoid":           one,
	"QLinearLeakyRelu":         one,
	"QLinearAveragePool":       one,
	"QLinearGlobalAveragePool": one,
	"QLinearConcat": func(in []operand, _ string, out operand) []string {
		return append([]string{out.scale, out.zero}, triples(in)...)
	},
	"QGemm": func(in []operand, bias string, out operand) []string {
		if len(in) != 2 {
			return nil
		}
		return append(append(triples(in), bias), out.scale, out.zero)
	},
}

func one(in []operand, _ string, out operand) []string {
	if len(in) != 1 {
		return nil
	}
	return flat(in, out)
}

func two(in []operand, _ string, out operand) []string {
	if len(in) != 2 {
		return nil
	}
	return flat(in, out)
}

// flat lists codes, scale and zero point of each operand and then the output's parameters.
func flat(in []operand, out operand) []string { return append(triples(in), out.scale, out.zero) }

func triples(in []operand) []string {
	var list []string
	for _, o := range in {
		list = append(list, o.codes, o.scale, o.zero)
	}
	return list
}
