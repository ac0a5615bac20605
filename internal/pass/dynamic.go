package pass

import (
	"fmt"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// Dynamic writes a dynamic plan into the graph: activations go through DynamicQuantizeLinear,
// products are MatMulInteger and ConvInteger, and their int32 results are scaled back to float.
// Nodes without such a form, such as LSTM, read their weights through DequantizeLinear.
func Dynamic(m *graph.Model, p *plan.Plan) error {
	q := newQDQ(m, p)
	for g := range m.Graph.Graphs() {
		d := &dynamic{qdq: q, g: g, inputs: map[string]dynamicInput{}}
		var out []*graph.Node
		for _, n := range g.Nodes {
			row := q.nodes[plan.NodeName(n)]
			form := dynamicForms[n.Op]
			if row == nil || form == nil || graph.CanonicalDomain(n.Domain) != "" {
				out = append(out, n)
				continue
			}
			nodes, err := d.node(n, row, form)
			if err != nil {
				return fault.At(n.Label(), err)
			}
			out = append(out, nodes...)
			if nodes[0] != n {
				delete(q.nodes, plan.NodeName(n))
			}
		}
		g.Nodes = out
		w := &weaver{qdq: q, g: g, back: map[string]string{}, after: map[string][]*graph.Node{}}
		if err := w.run(); err != nil {
			return err
		}
	}
	dropUnusedConsts(m.Graph)
	return nil
}

// A dynamicForm is how one operator computes on integers with parameters found while running.
type dynamicForm struct {
	integer string // ONNX operator: X, W, x_zero_point, w_zero_point → int32
	attrs   []string
	weight  func(n *graph.Node, w *tensor.Tensor) *tensor.Tensor // W as the integer operator wants it; nil: as it is
	// along is the shape in which a vector over output channels multiplies the result.
	along func(w *tensor.Tensor, channels int) []int
}

var dynamicForms = map[string]*dynamicForm{
	"MatMul": {integer: "MatMulInteger", along: func(_ *tensor.Tensor, c int) []int { return []int{c} }},
	"Gemm":   {integer: "MatMulInteger", weight: gemmWeight, along: func(_ *tensor.Tensor, c int) []int { return []int{c} }},
	"Conv": {integer: "ConvInteger", attrs: []string{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
		along: func(w *tensor.Tensor, c int) []int { return append([]int{c}, slices.Repeat([]int{1}, w.Rank()-2)...) }},
}

// gemmWeight returns B as (K,N).
func gemmWeight(n *graph.Node, w *tensor.Tensor) *tensor.Tensor {
	if n.Int("transB", 0) == 0 {
		return w
	}
	rows, cols := w.Shape[0], w.Shape[1]
	t := tensor.New(w.DType, cols, rows)
	for r := range rows {
		for c := range cols {
			t.Raw[c*rows+r] = w.Raw[r*cols+c]
		}
	}
	return t
}

type dynamic struct {
	*qdq
	g      *graph.Graph
	inputs map[string]dynamicInput // of values that were quantized before
}

// dynamicInput names the three results of DynamicQuantizeLinear.
type dynamicInput struct{ codes, scale, zero string }

// quantized returns the quantized form of a value and the node that makes it, if it is new.
func (d *dynamic) quantized(name string) (dynamicInput, []*graph.Node) {
	if in, ok := d.inputs[name]; ok {
		return in, nil
	}
	in := dynamicInput{d.used.fresh(name + "_q"), d.used.fresh(name + "_scale"), d.used.fresh(name + "_zp")}
	d.inputs[name] = in
	return in, []*graph.Node{{Op: "DynamicQuantizeLinear", Name: d.used.fresh(name + "_DynamicQ"), In: []string{name}, Out: []string{in.codes, in.scale, in.zero}}}
}

func (d *dynamic) node(n *graph.Node, row *plan.Node, form *dynamicForm) ([]*graph.Node, error) {
	v := d.values[row.Inputs[1]]
	if v == nil || v.Role != plan.RoleWeight {
		return nil, fault.Invalidf("", "the plan lacks its weight")
	}
	if n.Op == "Gemm" && (n.Int("transA", 0) != 0 || n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1) {
		return []*graph.Node{n}, nil
	}
	t := d.find(v.Name)
	codes, err := encode(t, v)
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	if form.weight != nil {
		codes = form.weight(n, codes)
	}
	weight, zero := d.constOnce(v.As+"_q", codes), d.constOnce(v.As+"_zp", tensor.New(codes.DType))
	scale := make([]float32, len(v.Params))
	for i, p := range v.Params {
		scale[i] = p.Scale
	}
	shape := []int{}
	if len(scale) > 1 {
		shape = form.along(t, len(scale))
	}
	ws := d.constOnce(fmt.Sprintf("%s_scale_%d", v.As, len(shape)), tensor.Float32s(scale, shape...))
	in, nodes := d.quantized(n.In[0])
	base := n.Out[0]
	name := func(what string) string { return d.used.fresh(base + "_" + what) }
	sum, wide, factor := name("int32"), name("float"), name("factor")
	result := base
	bias := len(n.In) > 2 && n.In[2] != ""
	if bias {
		result = name("scaled")
	}
	product := &graph.Node{Op: form.integer, Name: name(form.integer), In: []string{in.codes, weight, in.zero, zero}, Out: []string{sum}}
	for _, a := range n.Attrs {
		if slices.Contains(form.attrs, a.Name) {
			product.Attrs = append(product.Attrs, a)
		}
	}
	cast := &graph.Node{Op: "Cast", Name: name("Cast"), In: []string{sum}, Out: []string{wide}}
	cast.SetAttr("to", int64(tensor.Float32))
	nodes = append(nodes, product, cast,
		&graph.Node{Op: "Mul", Name: name("Factor"), In: []string{in.scale, ws}, Out: []string{factor}},
		&graph.Node{Op: "Mul", Name: name("Scale"), In: []string{wide, factor}, Out: []string{result}})
	if bias {
		nodes = append(nodes, &graph.Node{Op: "Add", Name: name("Bias"), In: []string{result, d.biasAlong(n.In[2], t, form)}, Out: []string{base}})
	}
	return nodes, nil
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
	return d.constOnce(name+"_along", b.Reshape(shape...))
}

// constOnce adds an initializer of that name unless it is there, as when weights are tied.
func (d *dynamic) constOnce(name string, t *tensor.Tensor) string {
	if old := d.m.Graph.ConstTensor(name); old == nil {
		d.used[name] = true
		d.m.Graph.SetConst(name, t)
	}
	return name
}
