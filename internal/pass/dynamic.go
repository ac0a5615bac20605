package pass

import (
	"fmt"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// Dynamic writes a dynamic plan into the graph: activations go through DynamicQuantizeLinear,
// products are MatMulInteger and ConvInteger, and their int32 results are scaled back to float.
// Nodes without such a form read their weights through DequantizeLinear: those whose weights are no codes of 8 bits
// but have a kernel for integers read the activations' codes that way too, others, such as LSTM, floats.
func Dynamic(m *graph.Model, p *plan.Plan) error { return newQDQ(m, p).dynamic() }

func (q *qdq) dynamic() error {
	weights := map[weightKey]operand{}
	for g := range q.m.Graph.Graphs() {
		d := &dynamic{qdq: q, g: g, inputs: map[string]operand{}, byRow: map[string]operand{}, back: map[string]string{}, weights: weights}
		var out []*graph.Node
		for _, n := range g.Nodes {
			v, form := d.form(n)
			if form == nil {
				out = append(append(out, d.dequantized(n)...), n)
				continue
			}
			nodes, err := d.node(n, v, form)
			if err != nil {
				return fault.At(n.Label(), err)
			}
			out = append(out, nodes...)
			delete(q.nodes, plan.NodeName(n))
		}
		g.Nodes = out
		if err := q.weave(g); err != nil {
			return err
		}
	}
	dropUnusedConsts(q.m.Graph)
	return nil
}

// A dynamicForm is how one operator computes on integers with parameters found while running.
type dynamicForm struct {
	integer string // ONNX operator: X, W, x_zero_point, w_zero_point → int32
	attrs   []string
	plain   func(n *graph.Node) bool                             // whether the form does all that n does; nil: always
	weight  func(n *graph.Node, w *tensor.Tensor) *tensor.Tensor // W as the integer operator wants it; nil: as it is
	// along is the shape in which a vector over output channels multiplies the result.
	along func(w *tensor.Tensor, channels int) []int
}

var dynamicForms = map[string]*dynamicForm{
	"MatMul": {integer: "MatMulInteger", along: lastAxis},
	"Gemm":   {integer: "MatMulInteger", plain: plainGemm, weight: gemmWeight, along: lastAxis},
	"Conv": {integer: "ConvInteger", attrs: []string{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
		along: func(w *tensor.Tensor, c int) []int { return append([]int{c}, slices.Repeat([]int{1}, w.Rank()-2)...) }},
}

func lastAxis(_ *tensor.Tensor, channels int) []int { return []int{channels} }

func plainGemm(n *graph.Node) bool {
	return n.Int("transA", 0) == 0 && n.Float("alpha", 1) == 1 && n.Float("beta", 1) == 1
}

// gemmWeight returns B as (K,N).
func gemmWeight(n *graph.Node, w *tensor.Tensor) *tensor.Tensor {
	if n.Int("transB", 0) == 0 {
		return w
	}
	return turned(w)
}

// turned returns a tensor of whole bytes with its last two axes exchanged.
func turned(t *tensor.Tensor) *tensor.Tensor {
	shape := slices.Clone(t.Shape)
	last := len(shape) - 1
	rows, cols := shape[last-1], shape[last]
	shape[last-1], shape[last] = cols, rows
	r := tensor.New(t.DType, shape...)
	size := t.DType.ByteLen(1)
	for i := range r.Len() {
		at := i / (rows * cols) * (rows * cols)
		from := at + i%rows*cols + i%(rows*cols)/rows
		copy(r.Raw[i*size:(i+1)*size], t.Raw[from*size:])
	}
	return r
}

type dynamic struct {
	*qdq
	g       *graph.Graph
	inputs  map[string]operand    // of activations that were quantized before
	byRow   map[string]operand    // of those with a scale for each row
	back    map[string]string     // what their codes stand for, by their names
	weights map[weightKey]operand // of every graph
}

// A weightKey tells apart the ways in which one weight is stored.
type weightKey struct {
	as         string
	transposed bool
	rank       int // of its scales
}

// form returns the weight and the integer form of a node that the plan quantizes; nil where it has
// none, or where its weight is not of 8 bits with one scale for the tensor or a channel.
func (d *dynamic) form(n *graph.Node) (*plan.Value, *dynamicForm) {
	row, form := d.nodes[plan.NodeName(n)], dynamicForms[n.Op]
	if row == nil || form == nil || graph.CanonicalDomain(n.Domain) != "" || len(row.Inputs) < 2 || form.plain != nil && !form.plain(n) {
		return nil, nil
	}
	v := d.values[row.Inputs[1]]
	if v == nil || v.Role != plan.RoleWeight || v.Block.Kind == format.Group {
		return nil, nil
	}
	if f := format.Lookup(v.Format); f == nil || f.Kind != format.Linear || f.Bits != 8 {
		return nil, nil
	}
	return v, form
}

// dequantized lets a product whose weights the integer operators do not take, but kernels do, read what the codes of its
// activation stand for, and returns the nodes that make that, if they are new.
func (d *dynamic) dequantized(n *graph.Node) []*graph.Node {
	row, form := d.nodes[plan.NodeName(n)], dynamicForms[n.Op]
	if row == nil || row.Rows || form == nil || graph.CanonicalDomain(n.Domain) != "" || len(row.Inputs) < 2 || form.plain != nil && !form.plain(n) {
		return nil
	}
	v := d.values[row.Inputs[1]]
	if v == nil || v.Role != plan.RoleWeight || v.Block.Kind == format.Group {
		return nil
	}
	if f := format.Lookup(v.Format); f == nil || len(f.Acts) == 0 {
		return nil
	}
	name := n.In[0]
	if back := d.back[name]; back != "" {
		n.In[0] = back
		return nil
	}
	in, nodes := d.quantized(name)
	n.In[0] = d.used.added(name + "_dq")
	d.back[name] = n.In[0]
	return append(nodes, &graph.Node{Op: "DequantizeLinear", Name: d.used.added(name + "_DynamicDQ"), In: []string{in.codes, in.scale, in.zero}, Out: []string{n.In[0]}})
}

// quantized returns the quantized form of an activation and the node that makes it, if it is new.
func (d *dynamic) quantized(name string) (operand, []*graph.Node) {
	if in, ok := d.inputs[name]; ok {
		return in, nil
	}
	in := operand{d.used.added(name + "_q"), d.used.added(name + "_scale"), d.used.added(name + "_zp")}
	d.inputs[name] = in
	return in, []*graph.Node{{Op: "DynamicQuantizeLinear", Name: d.used.added(name + "_DynamicQ"), In: []string{name}, Out: []string{in.codes, in.scale, in.zero}}}
}

// weight stores the codes of a weight and its parameters, once for each layout: the scales in a
// shape that multiplies the product, and one zero point, which symmetric weights share.
func (d *dynamic) weight(n *graph.Node, v *plan.Value, form *dynamicForm) (operand, error) {
	t := d.find(v.Name)
	shape := []int{}
	if t != nil && len(v.Params) > 1 {
		shape = form.along(t, len(v.Params))
	}
	key := weightKey{v.As, form.weight != nil && n.Int("transB", 0) != 0, len(shape)}
	if ops, ok := d.weights[key]; ok {
		return ops, nil
	}
	codes, err := Encode(t, v)
	if err != nil {
		return operand{}, fault.Invalidf(fmt.Sprintf("value %q", v.As), "%v", err)
	}
	zero, err := format.FromInts(codes.DType, []int64{int64(v.Params[0].Zero)})
	if err != nil {
		return operand{}, err
	}
	if form.weight != nil {
		codes = form.weight(n, codes)
	}
	scale := make([]float32, len(v.Params))
	for i, p := range v.Params {
		if scale[i] = p.Scale; p.Zero != v.Params[0].Zero {
			return operand{}, fault.Unsupportedf(fmt.Sprintf("value %q", v.As), "its channels differ in their zero points")
		}
	}
	ops := operand{d.constant(v.As+"_q", codes), d.constant(v.As+"_scale", tensor.Float32s(scale, shape...)), d.constant(v.As+"_zp", zero)}
	d.weights[key] = ops
	return ops, nil
}

// constant adds an initializer to the main graph and returns its name.
func (q *qdq) constant(name string, t *tensor.Tensor) string {
	name = q.used.added(name)
	q.m.Graph.SetConst(name, t)
	return name
}

// node returns the nodes that compute n on integers.
func (d *dynamic) node(n *graph.Node, v *plan.Value, form *dynamicForm) ([]*graph.Node, error) {
	w, err := d.weight(n, v, form)
	if err != nil {
		return nil, err
	}
	quantized, scaled := d.quantized, bothScales
	if d.nodes[plan.NodeName(n)].Rows {
		quantized, scaled = d.rows, weightsThenRows
	}
	in, nodes := quantized(n.In[0])
	bias := ""
	if len(n.In) > 2 && n.In[2] != "" {
		bias = d.biasAlong(n.In[2], d.find(v.Name), form)
	}
	return append(nodes, form.write(d.used, n, in, w, bias, scaled)...), nil
}

// write returns the product on integers that n stands for, and what makes real numbers of its sums.
func (form *dynamicForm) write(used names, n *graph.Node, in, w operand, bias string, scaled scaling) []*graph.Node {
	base := n.Out[0]
	name := func(what string) string { return used.added(base + "_" + what) }
	sum, wide, result := name("int32"), name("float"), base
	if bias != "" {
		result = name("scaled")
	}
	product := &graph.Node{Op: form.integer, Name: name(form.integer), In: []string{in.codes, w.codes, in.zero, w.zero}, Out: []string{sum}}
	for _, a := range n.Attrs {
		if slices.Contains(form.attrs, a.Name) {
			product.Attrs = append(product.Attrs, a)
		}
	}
	cast := &graph.Node{Op: "Cast", Name: name("Cast"), In: []string{sum}, Out: []string{wide}}
	cast.SetAttr("to", int64(tensor.Float32))
	nodes := append([]*graph.Node{product, cast}, scaled(name, wide, in.scale, w.scale, result)...)
	if bias != "" {
		nodes = append(nodes, &graph.Node{Op: "Add", Name: name("Bias"), In: []string{result, bias}, Out: []string{base}})
	}
	return nodes
}

// A scaling multiplies sums by the scales of activations and weights.
type scaling func(name func(what string) string, sums, acts, weights, result string) []*graph.Node

// bothScales multiplies by the product of the scales, which ONNX Runtime fuses with the operator on integers.
func bothScales(name func(what string) string, sums, acts, weights, result string) []*graph.Node {
	factor := name("factor")
	return []*graph.Node{
		{Op: "Mul", Name: name("Factor"), In: []string{acts, weights}, Out: []string{factor}},
		{Op: "Mul", Name: name("Scale"), In: []string{sums, factor}, Out: []string{result}}}
}

// weightsThenRows multiplies by one after the other, for scales of rows: bothScales would be fused as well, with the
// scale of the first row for all (ONNX Runtime 1.32, MatMulIntegerToFloat).
func weightsThenRows(name func(what string) string, sums, rows, weights, result string) []*graph.Node {
	columns := name("columns")
	return []*graph.Node{
		{Op: "Mul", Name: name("Columns"), In: []string{sums, weights}, Out: []string{columns}},
		{Op: "Mul", Name: name("Rows"), In: []string{columns, rows}, Out: []string{result}}}
}

// biasAlong returns the name of a bias shaped to be added along the output channels.
func (d *dynamic) biasAlong(name string, w *tensor.Tensor, form *dynamicForm) string {
	b := d.find(name)
	if b == nil || b.Rank() != 1 {
		return name
	}
	shape := form.along(w, b.Len())
	if len(shape) == 1 {
		return name
	}
	return d.constant(name+"_along", b.Reshape(shape...))
}
