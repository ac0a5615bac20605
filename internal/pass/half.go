package pass

import (
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// Convert lets the nodes that a plan names compute in a 16-bit float: their constants are stored
// in it, and Casts stand where values come from or go to float32, as at the network's inputs and
// outputs, whose types stay.
func Convert(m *graph.Model, p *plan.Plan) error {
	facts, err := op.Infer(m, nil)
	if err != nil {
		return err
	}
	c := &converter{qdq: newQDQ(m, p), facts: facts, short: map[string]string{}, long: map[string]string{}, wide: map[string]bool{}}
	for _, v := range p.Values {
		f := format.Lookup(v.Format)
		if f.Via != format.Cast || c.to != tensor.Undefined && c.to != f.Elem {
			return fault.Invalidf("plan", "value %q: a conversion is to one 16-bit float, not to %s", v.Name, v.Format)
		}
		c.to = f.Elem
	}
	var out []*graph.Node
	for _, n := range m.Graph.Nodes {
		c.nodes = nil
		if c.qdq.nodes[plan.NodeName(n)] != nil {
			c.half(n)
		} else {
			c.full(n)
		}
		out = append(out, c.nodes...)
	}
	m.Graph.Nodes = out
	for _, v := range m.Graph.Info {
		if c.wide[v.Name] {
			v.Type.DType = c.to
		}
	}
	dropDeadNodes(m.Graph)
	dropUnusedConsts(m.Graph)
	return nil
}

// A converter rewrites the nodes of the main graph in their order.
type converter struct {
	*qdq
	facts op.Facts
	to    tensor.DType
	nodes []*graph.Node     // that take the place of the present one
	short map[string]string // the 16-bit form of a float32 value
	long  map[string]string // the float32 form of a value that became a 16-bit float
	wide  map[string]bool   // values that became 16-bit floats under their own name
}

func (c *converter) cast(from, to string, d tensor.DType) {
	n := &graph.Node{Op: "Cast", Name: c.used.fresh(to + "_Cast"), In: []string{from}, Out: []string{to}}
	n.SetAttr("to", int64(d))
	c.nodes = append(c.nodes, n)
}

// half makes n compute in 16 bits.
func (c *converter) half(n *graph.Node) {
	opset := c.m.Opset(n.Domain)
	for i, name := range n.In {
		switch {
		case !c.isFloat(name):
		case plan.Halves(n, opset, i, c.to):
			n.In[i] = c.shorten(name)
		default:
			n.In[i] = c.lengthen(name)
		}
	}
	c.nodes = append(c.nodes, n)
	for i, name := range n.Out {
		if !c.isFloat(name) || !plan.HalvesOut(n, opset, i, c.to) {
			continue
		}
		if c.m.Graph.Output(name) == nil {
			c.wide[name] = true
			continue
		}
		n.Out[i] = c.used.fresh(name + "_" + c.to.String())
		c.short[name] = n.Out[i]
		c.cast(n.Out[i], name, tensor.Float32)
	}
}

// full lets n, and the graphs inside it, read float32.
func (c *converter) full(n *graph.Node) {
	for i, name := range n.In {
		if name != "" {
			n.In[i] = c.lengthen(name)
		}
	}
	for _, name := range n.Captures() {
		if long := c.lengthen(name); long != name {
			for _, s := range n.Subgraphs() {
				rename(s, name, long)
			}
		}
	}
	c.nodes = append(c.nodes, n)
}

func (c *converter) isFloat(name string) bool {
	f := c.facts[name]
	return name != "" && f.IsTensor() && f.DType == tensor.Float32
}

// shorten returns the name of the 16-bit form of a value.
func (c *converter) shorten(name string) string {
	if c.wide[name] {
		return name
	}
	if s := c.short[name]; s != "" {
		return s
	}
	s := c.used.fresh(name + "_" + c.to.String())
	c.short[name] = s
	t := c.m.Graph.ConstTensor(name)
	if t == nil || slices.ContainsFunc(c.m.Graph.In, func(v *graph.Value) bool { return v.Name == name }) {
		c.cast(name, s, c.to)
		return s
	}
	c.setter(c.m.Graph)(s, format.Halves(c.to, tensor.Of[float32](t), t.Shape...))
	c.m.Forget(t)
	return s
}

// lengthen returns the name of the float32 form of a value.
func (c *converter) lengthen(name string) string {
	if !c.wide[name] {
		return name
	}
	if c.long[name] == "" {
		c.long[name] = c.used.fresh(name + "_float")
		c.cast(name, c.long[name], tensor.Float32)
	}
	return c.long[name]
}
