package engine

import (
	"fmt"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// buildNet makes the network of a model whose types are known, or assumed.
func buildNet(m *graph.Model, facts op.Facts, guesses map[string]bool, watch []string) (*net, error) {
	g := &net{model: m, values: map[string]*value{}}
	for _, c := range m.Graph.Consts() {
		t, err := op.DenseConst(c)
		if err != nil {
			return nil, fault.At(fmt.Sprintf("initializer %q", c.Name), err)
		}
		g.values[c.Name] = g.constant(c.Name, t)
	}
	for _, v := range m.Graph.Required() {
		x := valueOf(v.Name, facts[v.Name])
		x.konst = nil
		g.values[v.Name] = x
		g.in = append(g.in, x)
	}
	for _, n := range m.Graph.Nodes {
		if err := g.add(n, facts, guesses); err != nil {
			return nil, fault.At(n.Label(), err)
		}
	}
	for _, v := range m.Graph.Out {
		x := g.values[v.Name]
		if x == nil {
			return nil, fault.Invalidf(fmt.Sprintf("output %q", v.Name), "is never produced")
		}
		x.pinned = true
		g.out = append(g.out, x)
	}
	for _, name := range watch {
		if x := g.values[name]; x != nil {
			x.pinned = true
			g.watch = append(g.watch, x)
		}
	}
	return g, nil
}

func valueOf(name string, f op.Fact) *value {
	v := &value{name: name, dtype: f.DType, konst: f.Value, typ: f.Type}
	if shape, ok := f.Static(); ok && f.IsTensor() && f.DType.Valid() {
		_, err := tensor.CheckedElements(shape)
		v.shape, v.known = shape, err == nil
	}
	return v
}

func (g *net) add(n *graph.Node, facts op.Facts, guesses map[string]bool) error {
	m := &node{kind: kindOf(n), onnx: n, version: opsetVersion(g.model.Opsets, n.Domain)}
	var in []*value
	m.names = append(m.names, n.In...)
	for i, name := range n.In {
		v := g.values[name]
		if name != "" && v == nil {
			return fault.Invalidf("", "input %d %q is never produced", i, name)
		}
		in = append(in, v)
	}
	for _, name := range n.Captures() {
		if v := g.values[name]; v != nil {
			in, m.names = append(in, v), append(m.names, name)
		}
	}
	m.setIn(in...)
	m.formal = len(n.In)
	for _, name := range n.Out {
		var v *value
		if name != "" {
			v = valueOf(name, facts[name])
			v.def = m
			g.values[name] = v
		}
		if guesses[name] {
			m.kind = assumed
		}
		m.out = append(m.out, v)
	}
	g.nodes = append(g.nodes, m)
	return nil
}

// contribTwins lists the operators of ONNX Runtime's domain that are those of ONNX, with more element types
// than these had at first, or before these were.
var contribTwins = map[string]string{
	"com.microsoft.QuantizeLinear": "QuantizeLinear", "com.microsoft.DequantizeLinear": "DequantizeLinear",
	"com.microsoft.Trilu": "Trilu", "com.microsoft.GridSample": "GridSample", "com.microsoft.GatherND": "GatherND", "com.microsoft.Pad": "Pad",
}

// kindOf is the kind of an ONNX node.
func kindOf(n *graph.Node) string {
	name := op.QualifiedName(n)
	if twin := contribTwins[name]; twin != "" {
		return twin
	}
	return name
}

func opsetVersion(opsets []graph.Opset, domain string) int {
	return max(1, graph.OpsetIn(opsets, domain))
}
