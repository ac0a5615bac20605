package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Spread writes operators on codes as the float operators that they stand for, between
// DequantizeLinear and QuantizeLinear or DynamicQuantizeLinear: what QOperator and Dynamic do, undone.
// Those that have no such form stay as they are.
func Spread(m *graph.Model) error {
	if err := Upgrade(m, 13); err != nil { // scales along an axis
		return err
	}
	used := namesOf(m)
	for g := range m.Graph.Graphs() {
		s := &spreader{m: m, g: g, x: g.Index(), used: used, codes: map[string]operand{}, gone: map[*graph.Node]bool{}}
		for _, n := range g.Nodes {
			s.node(n)
		}
		g.Nodes = s.out
	}
	return Unused.Run(m)
}

// A spreader rewrites one graph.
type spreader struct {
	m     *graph.Model
	g     *graph.Graph
	x     *graph.Index
	used  names
	codes map[string]operand   // values that hold codes which flow, by name
	gone  map[*graph.Node]bool // that another form took in
	out   []*graph.Node
}

// A spread tells where an operator on codes has its operands. Each of three is codes, scale and zero point.
type spread struct {
	op     string
	in     []int // where each group of three begins
	result int   // of scale and zero point of the result
	bias   int   // 0: none
	axis   func(n *graph.Node, rank int) int
}

// The axes of the output channels of weights.
func first(*graph.Node, int) int       { return 0 }
func last(_ *graph.Node, rank int) int { return rank - 1 }
func ofGemm(n *graph.Node, _ int) int  { return 1 - n.Int("transB", 0) }
func none(int) int                     { return 0 }

func unary(name string) spread                             { return spread{op: name, in: []int{0}, result: 3} }
func binary(name string) spread                            { return spread{op: name, in: []int{0, 3}, result: 6} }
func (s spread) along(f func(*graph.Node, int) int) spread { s.axis = f; return s }

var spreads = map[string]spread{
	"QLinearConv":              {op: "Conv", in: []int{0, 3}, result: 6, bias: 8, axis: first},
	"QLinearMatMul":            binary("MatMul").along(last),
	"QGemm":                    {op: "Gemm", in: []int{0, 3}, result: 7, bias: 6, axis: ofGemm},
	"QLinearAdd":               binary("Add"),
	"QLinearMul":               binary("Mul"),
	"QLinearSigmoid":           unary("Sigmoid"),
	"QLinearLeakyRelu":         unary("LeakyRelu"),
	"QLinearSoftmax":           unary("Softmax"),
	"QLinearAveragePool":       unary("AveragePool"),
	"QLinearGlobalAveragePool": unary("GlobalAveragePool"),
}

// node writes n, spread where it computes on codes.
func (s *spreader) node(n *graph.Node) {
	row, ok := spreads[n.Op]
	if n.Op == "QLinearConcat" {
		row, ok = spread{op: "Concat", result: 0}, len(n.In) > 2
		for i := 2; i+2 < len(n.In); i += 3 {
			row.in = append(row.in, i)
		}
	}
	switch {
	case s.gone[n] || s.integer(n) || s.contrib(n):
	case ok && n.Int("channels_last", 0) == 0 && s.spread(n, row):
	case s.moved(n):
	default:
		s.out = append(s.out, n)
	}
	if n.Op == "QuantizeLinear" && len(n.Out) == 1 {
		s.codes[n.Out[0]] = operand{n.Out[0], input(n, 1), input(n, 2)}
	}
}

// spread writes n as a row of the table says, and says whether it could.
func (s *spreader) spread(n *graph.Node, row spread) bool {
	scale, zero := input(n, row.result), input(n, row.result+1)
	c := &graph.Node{Op: row.op, Name: n.Name, Doc: n.Doc, Out: []string{n.Out[0]}}
	if row.op == "Gemm" && scale == "" {
		zero = ""
	} else if scale == "" {
		return false
	}
	for _, a := range n.Attrs {
		if a.Name != "channels_last" && a.Name != "opset" {
			c.Attrs = append(c.Attrs, a)
		}
	}
	for k, at := range row.in {
		axis := none
		if k == 1 && row.axis != nil {
			axis = func(rank int) int { return row.axis(n, rank) }
		}
		c.In = append(c.In, s.back(operand{input(n, at), input(n, at+1), input(n, at+2)}, axis))
	}
	if row.bias > 0 && input(n, row.bias) != "" {
		b := s.biasOf(n, row)
		if b == "" {
			return false
		}
		c.In = append(c.In, b)
	}
	s.out = append(s.out, c)
	if scale != "" {
		s.quantize(c, operand{n.Out[0], scale, zero})
	}
	return true
}

// quantize lets the result of c become codes of the name that it had.
func (s *spreader) quantize(c *graph.Node, to operand) {
	c.Out[0] = s.used.fresh(to.codes + "_float")
	q := &graph.Node{Op: "QuantizeLinear", Name: s.used.fresh(to.codes + "_Q"), In: []string{c.Out[0], to.scale}, Out: []string{to.codes}}
	if to.zero != "" {
		q.In = append(q.In, to.zero)
	}
	s.out = append(s.out, q)
	s.codes[to.codes] = to
}

// back writes the DequantizeLinear of an operand, and returns the value that it makes.
func (s *spreader) back(o operand, axis func(rank int) int) string {
	name := s.used.fresh(o.codes + "_dq")
	scale, zero := s.constant(o.scale), s.constant(o.zero)
	if scale != nil && zero != nil && zero.Len() == 1 && scale.Len() > 1 {
		o.zero = s.newConst(o.zero+"_vector", filled(zero, scale.Shape))
	}
	n := &graph.Node{Op: "DequantizeLinear", Name: s.used.fresh(o.codes + "_DQ"), In: []string{o.codes, o.scale}, Out: []string{name}}
	if o.zero != "" {
		n.In = append(n.In, o.zero)
	}
	if scale != nil && scale.Len() > 1 {
		if w := s.constant(o.codes); w != nil {
			n.SetAttr("axis", int64(axis(w.Rank())))
		}
	}
	s.out = append(s.out, n)
	return name
}

// biasOf writes the DequantizeLinear of an int32 bias at the product of the two scales.
func (s *spreader) biasOf(n *graph.Node, row spread) string {
	x, w := s.constant(input(n, row.in[0]+1)), s.constant(input(n, row.in[1]+1))
	if x == nil || w == nil || x.Len() != 1 || x.DType != tensor.Float32 || w.DType != tensor.Float32 {
		return ""
	}
	product := make([]float32, w.Len())
	for i, v := range tensor.Of[float32](w) {
		product[i] = tensor.Of[float32](x)[0] * v
	}
	name := input(n, row.bias)
	scale := s.used.fresh(name + "_scale")
	var shape []int
	if len(product) > 1 {
		shape = []int{len(product)}
	}
	s.m.Graph.SetConst(scale, tensor.Float32s(product, shape...))
	return s.back(operand{codes: name, scale: scale}, none)
}

// moved writes an operator that moves codes as one that moves values.
func (s *spreader) moved(n *graph.Node) bool {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil || !o.Quant.Share || len(n.In) == 0 || len(n.Out) != 1 {
		return false
	}
	from, ok := s.codes[n.In[0]]
	if !ok {
		return false
	}
	c := cloneNode(n)
	if n.Op == "Pad" && len(n.In) > 2 {
		if input(n, 2) != "" && input(n, 2) != from.zero && !sameBytes(s.constant(input(n, 2)), s.constant(from.zero)) {
			return false
		}
		c.In[2] = ""
		if len(n.In) == 3 {
			c.In = c.In[:2]
		}
	}
	c.In[0] = s.back(from, none)
	s.out = append(s.out, c)
	s.quantize(c, operand{n.Out[0], from.scale, from.zero})
	return true
}

func (s *spreader) constant(name string) *tensor.Tensor { return constantOf(s.m, s.g, name) }

// input returns operand i of n, "" where it is left out.
func input(n *graph.Node, i int) string {
	if i >= 0 && i < len(n.In) {
		return n.In[i]
	}
	return ""
}
