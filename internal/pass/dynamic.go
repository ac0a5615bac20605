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
		d := &dynamic{qdq: q, g: g, inputs: map[string]operand{}, byRow: map[rowKey]operand{}, flipped: map[string]string{}, back: map[string]string{}, weights: weights}
		var out []*graph.Node
		for _, n := range g.Nodes {
			p := d.product(n)
			if p == nil {
				out = append(append(out, d.dequantized(n)...), n)
				continue
			}
			nodes, err := d.node(p)
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
	plain   func(n *graph.Node) bool // whether the form does all that n does; nil: always
	turned  func(n *graph.Node) bool // whether W is stored with its last two axes exchanged; nil: never
	flips   func(n *graph.Node) bool // whether X is to be transposed; nil: never
	// along is the shape in which a vector over output channels multiplies the result.
	along func(w *tensor.Tensor, channels int) []int
}

// A product is a node that computes on integers.
type product struct {
	*dynamicForm
	node *graph.Node
	w    *plan.Value
	at   int // the operand that w is
}

// turn says whether the codes of the weight are stored with their last two axes exchanged.
func (p *product) turn() bool { return p.turned != nil && p.turned(p.node) }

var dynamicForms = map[string]*dynamicForm{
	"MatMul": {integer: "MatMulInteger", along: lastAxis},
	"Gemm":   {integer: "MatMulInteger", plain: plainGemm, turned: transB, along: lastAxis},
	"Conv": {integer: "ConvInteger", attrs: []string{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
		along: func(w *tensor.Tensor, c int) []int { return append([]int{c}, slices.Repeat([]int{1}, w.Rank()-2)...) }},
}

// leftForms are those of products whose first operand is the weight.
var leftForms = map[string]*dynamicForm{
	"MatMul": {integer: "MatMulInteger", along: rowAxis},
	"Gemm":   {integer: "MatMulInteger", plain: unscaledGemm, turned: transA, flips: transB, along: rowAxis},
}

func rowAxis(_ *tensor.Tensor, channels int) []int { return []int{channels, 1} }

func transA(n *graph.Node) bool { return n.Int("transA", 0) != 0 }
func transB(n *graph.Node) bool { return n.Int("transB", 0) != 0 }

func lastAxis(_ *tensor.Tensor, channels int) []int { return []int{channels} }

func plainGemm(n *graph.Node) bool { return !transA(n) && unscaledGemm(n) }

func unscaledGemm(n *graph.Node) bool { return n.Float("alpha", 1) == 1 && n.Float("beta", 1) == 1 }

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
	byRow   map[rowKey]operand    // of those with a scale for each row
	flipped map[string]string     // those that were transposed
	back    map[string]string     // what their codes stand for, by their names
	weights map[weightKey]operand // of every graph
}

// A weightKey tells apart the ways in which one weight is stored.
type weightKey struct {
	as         string
	transposed bool
	left       bool
	rank       int // of its scales
}

// product returns the integer form of a node that the plan quantizes; nil where it has none, or where
// its weight is not of 8 bits with one scale for the tensor or a channel.
func (d *dynamic) product(n *graph.Node) *product {
	p := d.weighted(n)
	if p == nil {
		return nil
	}
	if f := format.Lookup(p.w.Format); f == nil || f.Kind != format.Linear || f.Bits != 8 {
		return nil
	}
	return p
}

// weighted returns a node that the plan quantizes and whose operator has an integer form.
func (d *dynamic) weighted(n *graph.Node) *product {
	row, p := d.nodes[plan.NodeName(n)], &product{node: n, dynamicForm: dynamicForms[n.Op], at: 1}
	if row == nil || p.dynamicForm == nil || graph.CanonicalDomain(n.Domain) != "" || len(row.Inputs) < 2 {
		return nil
	}
	if left := leftForms[n.Op]; left != nil && row.Inputs[1] == "" {
		p.dynamicForm, p.at = left, 0
	}
	if p.w = d.values[row.Inputs[p.at]]; p.w == nil || p.w.Role != plan.RoleWeight || p.w.Block.Kind == format.Group || p.plain != nil && !p.plain(n) {
		return nil
	}
	return p
}

// dequantized lets a product whose weights the integer operators do not take, but kernels do, read what the codes of its
// activation stand for, and returns the nodes that make that, if they are new.
func (d *dynamic) dequantized(n *graph.Node) []*graph.Node {
	p := d.weighted(n)
	if p == nil || p.at == 0 || d.nodes[plan.NodeName(n)].Rows {
		return nil
	}
	if f := format.Lookup(p.w.Format); f == nil || len(f.Acts) == 0 {
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
// shape that multiplies the product, and one zero point, which symmetric weights share. To the left
// they are uint8, of which every runtime has products with the uint8 of activations.
func (d *dynamic) weight(p *product) (operand, error) {
	v, t := p.w, d.find(p.w.Name)
	shape := []int{}
	if t != nil && len(v.Params) > 1 {
		shape = p.along(t, len(v.Params))
	}
	key := weightKey{v.As, p.turn(), p.at == 0, len(shape)}
	if ops, ok := d.weights[key]; ok {
		return ops, nil
	}
	codes, err := d.codesOf(v)
	if err != nil {
		return operand{}, err
	}
	zero, err := format.FromInts(codes.DType, []int64{int64(v.Params[0].Zero)})
	if err != nil {
		return operand{}, err
	}
	if p.turn() {
		codes = turned(codes)
	}
	if p.at == 0 {
		codes, zero = unsigned(codes), unsigned(zero)
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

// unsigned returns int8 as uint8, 128 higher, and uint8 as it is.
func unsigned(t *tensor.Tensor) *tensor.Tensor {
	if t.DType != tensor.Int8 {
		return t
	}
	u := tensor.New(tensor.Uint8, t.Shape...)
	for i, b := range t.Raw {
		u.Raw[i] = b ^ 0x80
	}
	return u
}

// constant adds an initializer to the main graph and returns its name.
func (q *qdq) constant(name string, t *tensor.Tensor) string {
	name = q.used.added(name)
	q.setter(q.m.Graph)(name, t)
	return name
}

// node returns the nodes that compute a product on integers.
func (d *dynamic) node(p *product) ([]*graph.Node, error) {
	n := p.node
	w, err := d.weight(p)
	if err != nil {
		return nil, err
	}
	x, nodes := d.flip(p)
	in, made := d.operand(p, x)
	nodes = append(nodes, made...)
	bias := ""
	if len(n.In) > 2 && n.In[2] != "" {
		bias = d.biasAlong(n.In[2], d.find(p.w.Name), p)
	}
	return append(nodes, p.write(d.used, in, w, bias, d.nodes[plan.NodeName(n)].Rows)...), nil
}

// operand returns the quantized form of the activation of a product and the nodes that make it, if it is new.
func (d *dynamic) operand(p *product, name string) (operand, []*graph.Node) {
	switch {
	case !d.nodes[plan.NodeName(p.node)].Rows:
		return d.quantized(name)
	case p.at == 0:
		return d.rows(name, -2)
	}
	return d.rows(name, -1)
}

// flip returns the name of the activation of a product as its integer form takes it, and the node that transposes
// it, if that takes a new one.
func (d *dynamic) flip(p *product) (string, []*graph.Node) {
	name := p.node.In[1-p.at]
	if p.flips == nil || !p.flips(p.node) {
		return name, nil
	}
	if turned := d.flipped[name]; turned != "" {
		return turned, nil
	}
	turned := d.used.added(name + "_turned")
	d.flipped[name] = turned
	node := &graph.Node{Op: "Transpose", Name: d.used.added(name + "_Turn"), In: []string{name}, Out: []string{turned}}
	node.SetAttr("perm", []int64{1, 0})
	return turned, []*graph.Node{node}
}

// write returns the product on integers and what makes real numbers of its sums.
func (p *product) write(used names, in, w operand, bias string, rows bool) []*graph.Node {
	n, scaled := p.node, bothScales
	if rows || p.at == 0 {
		scaled = weightsThenRows
	}
	first, second := in, w
	if p.at == 0 {
		first, second = w, in
	}
	base := n.Out[0]
	name := func(what string) string { return used.added(base + "_" + what) }
	sum, wide, result := name("int32"), name("float"), base
	if bias != "" {
		result = name("scaled")
	}
	product := &graph.Node{Op: p.integer, Name: name(p.integer), In: []string{first.codes, second.codes, first.zero, second.zero}, Out: []string{sum}}
	for _, a := range n.Attrs {
		if slices.Contains(p.attrs, a.Name) {
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

// bothScales multiplies by the product of the scales, which ONNX Runtime fuses with the operator on integers.
func bothScales(name func(what string) string, sums, acts, weights, result string) []*graph.Node {
	factor := name("factor")
	return []*graph.Node{
		{Op: "Mul", Name: name("Factor"), In: []string{acts, weights}, Out: []string{factor}},
		{Op: "Mul", Name: name("Scale"), In: []string{sums, factor}, Out: []string{result}}}
}

// weightsThenRows multiplies by one after the other, for scales of rows, be they of activations or of a weight to the
// left: bothScales would be fused as well, with the scale of the first row for all (ONNX Runtime 1.32, MatMulIntegerToFloat).
func weightsThenRows(name func(what string) string, sums, rows, weights, result string) []*graph.Node {
	columns := name("columns")
	return []*graph.Node{
		{Op: "Mul", Name: name("Columns"), In: []string{sums, weights}, Out: []string{columns}},
		{Op: "Mul", Name: name("Rows"), In: []string{columns, rows}, Out: []string{result}}}
}

// biasAlong returns the name of a bias shaped to be added along the output channels.
func (d *dynamic) biasAlong(name string, w *tensor.Tensor, p *product) string {
	b := d.find(name)
	if b == nil || b.Rank() != 1 || p.at == 0 {
		return name
	}
	shape := p.along(w, b.Len())
	if len(shape) == 1 {
		return name
	}
	return d.constant(name+"_along", b.Reshape(shape...))
}
