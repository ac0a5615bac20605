package engine

import (
	"slices"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A qoperator says how a node on codes, of the QLinear kind, reads as DQ → operator → Q.
type qoperator struct {
	op     string
	first  int // the operand at which the groups of (codes, scale, zero) begin
	groups int // how many of them; 0: all that follow
	bias   int // the operand that holds an int32 bias; 0: none
	to     int // the operand at which (scale, zero) of the result begin
}

// qoperators lists the operators on codes.
var qoperators = map[string]qoperator{
	"QLinearConv":                            {op: "Conv", groups: 2, bias: 8, to: 6},
	"com.microsoft.QLinearConv":              {op: "Conv", groups: 2, bias: 8, to: 6},
	"QLinearMatMul":                          {op: "MatMul", groups: 2, to: 6},
	"com.microsoft.QLinearAdd":               {op: "Add", groups: 2, to: 6},
	"com.microsoft.QLinearMul":               {op: "Mul", groups: 2, to: 6},
	"com.microsoft.QLinearSigmoid":           {op: "Sigmoid", groups: 1, to: 3},
	"com.microsoft.QLinearLeakyRelu":         {op: "LeakyRelu", groups: 1, to: 3},
	"com.microsoft.QLinearSoftmax":           {op: "Softmax", groups: 1, to: 3},
	"com.microsoft.QLinearAveragePool":       {op: "AveragePool", groups: 1, to: 3},
	"com.microsoft.QLinearGlobalAveragePool": {op: "GlobalAveragePool", groups: 1, to: 3},
	"com.microsoft.QLinearConcat":            {op: "Concat", first: 2},
	"com.microsoft.QLinearWhere":             {op: "Where", first: 1, groups: 2, to: 7},
	"com.microsoft.QGemm":                    {op: "Gemm", groups: 2, bias: 6, to: 7},
}

// qdqVersion is the opset whose Q and DQ nodes stand for the parts of an operator on codes.
const qdqVersion = 13

// expandQOperators writes nodes on codes as DQ → operator → Q, which the later passes know.
func expandQOperators(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.channelsLast() && n.static() && len(n.in[0].shape) > 2 {
			g.channelsFirst(n)
		}
	}
	for _, n := range slices.Clone(g.nodes) {
		q, ok := qoperators[n.kind]
		scaled := q.op == "Gemm" && n.onnx.Float("alpha", 1) != 1
		if ok && n.static() && !n.onnx.Bool("channels_last", false) && !scaled && (n.input(q.to) != nil || n.out[0].is(tensor.Float32)) {
			g.expandQ(n, q)
		}
	}
	g.sweep()
}

// channelsLast says whether a node of ONNX Runtime's is on codes of images whose channels are last.
func (n *node) channelsLast() bool {
	return n.kind == "com.microsoft.NhwcMaxPool" || qoperators[n.kind].op != "" && n.onnx.Bool("channels_last", false)
}

// channelsFirst puts such a node between Transposes, which move nothing in memory where the images lie so anyway.
func (g *net) channelsFirst(n *node) {
	kind, version := n.kind, n.version
	if kind == "com.microsoft.NhwcMaxPool" {
		kind, version = "MaxPool", 12
	}
	x, y := n.in[0], n.out[0]
	last := len(x.shape) - 1
	turned := func(v *value) *value {
		return g.newValue(v, v.dtype, slices.Insert(slices.Clone(v.shape[:last]), 1, v.shape[last]))
	}
	order := func(perm []int) []*graph.Attr {
		return []*graph.Attr{{Name: "perm", Value: tensor.Of[int64](shapeOf(perm))}}
	}
	attrs := slices.DeleteFunc(slices.Clone(n.onnx.Attrs), func(a *graph.Attr) bool { return a.Name == "channels_last" })
	in, z := slices.Clone(n.in), turned(y)
	in[0] = turned(x)
	g.insertOp(n, "Transpose", qdqVersion, order(slices.Insert(identity(last), 1, last)), []*value{x}, in[0])
	g.insertOp(n, kind, version, attrs, in, z)
	n.onnx = &graph.Node{Op: "Transpose", Name: n.onnx.Name, In: []string{z.name}, Out: []string{y.name},
		Attrs: order(append(slices.Delete(identity(last+1), 1, 2), 1))}
	n.version = qdqVersion
	n.become("Transpose", nil, z)
}

func (g *net) expandQ(n *node, q qoperator) {
	groups := q.groups
	if groups == 0 {
		groups = (len(n.in) - q.first) / 3
	}
	for i := range groups {
		if !n.input(q.first + 3*i + 1).is(tensor.Float32) {
			return
		}
	}
	var in []*value
	if q.op == "Where" {
		in = append(in, n.in[0])
	}
	for i := range groups {
		at := q.first + 3*i
		zero, ok := g.zeroFor(n.input(at+1), n.input(at+2))
		if !ok {
			return
		}
		in = append(in, g.dequantized(n, q.axis(i, n), n.input(at), n.input(at+1), zero))
	}
	if b := n.input(q.bias); q.bias > 0 && b != nil {
		scale := g.biasScale(n.input(1), n.input(4))
		if scale == nil {
			return
		}
		in = append(in, g.dequantized(n, 0, b, scale, nil))
	}
	y, attrs := n.out[0], n.onnx.Attrs
	f := g.newValue(y, tensor.Float32, y.shape)
	attrs = slices.DeleteFunc(slices.Clone(attrs), func(a *graph.Attr) bool { return a.Name == "channels_last" || a.Name == "opset" })
	version := opsetVersion(g.model.Opsets, "")
	if q.op == "Softmax" {
		version = n.onnx.Int("opset", 13)
	}
	g.insertOp(n, q.op, version, attrs, in, f)
	if n.input(q.to) == nil { // of QGemm, which gives floats then
		n.onnx, n.version = &graph.Node{Op: "Identity", Name: n.onnx.Name, In: []string{f.name}, Out: []string{y.name}}, version
		n.become("Identity", nil, f)
		return
	}
	n.onnx = &graph.Node{Op: "QuantizeLinear", Name: n.onnx.Name, In: []string{f.name, "scale", "zero"}, Out: []string{y.name}}
	n.version = qdqVersion
	n.become("QuantizeLinear", nil, f, n.input(q.to), n.input(q.to+1))
}

// axis returns the axis of group i along which its scales may vary.
func (q qoperator) axis(i int, n *node) int {
	if i == 0 || q.op == "Conv" || n.onnx.Bool("transB", false) {
		return 0
	}
	return len(n.input(q.first+3*i).shape) - 1
}

// insertOp puts an ONNX node, of another domain by its qualified name, in front of n.
func (g *net) insertOp(n *node, op string, version int, attrs []*graph.Attr, in []*value, out *value) {
	dot := strings.LastIndexByte(op, '.')
	o := &graph.Node{Op: op[dot+1:], Domain: op[:max(dot, 0)], Name: n.onnx.Name, Attrs: attrs, Out: []string{out.name}}
	for _, v := range in {
		name := ""
		if v != nil {
			name = v.name
		}
		o.In = append(o.In, name)
	}
	m := newNode(op, n, nil, in, []*value{out})
	m.onnx, m.version = o, version
	g.insert(m, n)
}

// dequantized puts a DQ node for codes in front of n and returns its result.
func (g *net) dequantized(n *node, axis int, codes, scale, zero *value) *value {
	f := g.newValue(codes, tensor.Float32, codes.shape)
	attrs := []*graph.Attr{{Name: "axis", Value: int64(axis)}}
	in := []*value{codes, scale}
	if zero != nil {
		in = append(in, zero)
	}
	g.insertOp(n, "DequantizeLinear", qdqVersion, attrs, in, f)
	return f
}

// zeroFor returns a zero point with as many elements as its scale, as DequantizeLinear wants it: operators
// on codes take one for many scales. It is false where that one is not constant.
func (g *net) zeroFor(scale, zero *value) (*value, bool) {
	if zero == nil || tensor.Elements(zero.shape) == tensor.Elements(scale.shape) {
		return zero, true
	}
	if zero.konst == nil || zero.konst.Len() != 1 {
		return nil, false
	}
	t := tensor.New(zero.dtype, scale.shape...)
	for i := range t.Raw {
		t.Raw[i] = zero.konst.Raw[i%len(zero.konst.Raw)]
	}
	return g.constant(zero.name+"·"+scale.name, t), true
}

// biasScale returns the product of two constant scales, nil where they are not constant.
func (g *net) biasScale(x, w *value) *value {
	sx, ok := scalar(x)
	if !ok || w == nil || w.konst == nil || !w.is(tensor.Float32) {
		return nil
	}
	t := scaled(w.konst, sx)
	return g.constant(w.name+"·bias", t.Reshape(w.shape...))
}
