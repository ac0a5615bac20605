package weight

import (
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Found is a constant in few bits, without its codes, and the node that reads it.
type Found struct {
	*Coded
	Node *graph.Node
	Name string // of the value that the node reads, or of the codes where it reads these
	load func() *Coded
}

// Load returns the constant with its codes, which take four bytes each and are kept by the caller alone.
func (f Found) Load() *Coded { return f.load() }

// bare returns a constant without its codes.
func bare(c *Coded) *Coded {
	if c == nil {
		return nil
	}
	b := *c
	b.Codes = nil
	return &b
}

// Find lists the constants of few bits in all graphs of a model, in the order of the nodes that
// read them; one that several nodes read is listed for each.
func Find(m *graph.Model) []Found {
	var list []Found
	for g := range m.Graph.Graphs() {
		f := &finder{Index: g.Index(), graphs: []*graph.Graph{g, m.Graph}, known: map[string]*Coded{}}
		var found []Found
		for _, n := range g.Nodes {
			found = append(found, f.node(n)...)
		}
		inner := map[*graph.Node]bool{} // what other constants are made of
		for _, c := range found {
			f.mark(c.Name, inner)
		}
		for _, c := range found {
			if !inner[c.Node] {
				list = append(list, c)
			}
		}
	}
	return list
}

// mark notes the nodes that a value is computed by.
func (f *finder) mark(name string, inner map[*graph.Node]bool) {
	n := f.Producer(name)
	if n == nil || inner[n] {
		return
	}
	inner[n] = true
	for _, in := range n.In {
		f.mark(in, inner)
	}
}

// A finder is the source of one graph.
type finder struct {
	*graph.Index
	graphs []*graph.Graph // it and the main graph
	known  map[string]*Coded
}

// ConstTensor returns the initializer of that name, or nil.
func (f *finder) ConstTensor(name string) *tensor.Tensor {
	for _, g := range f.graphs {
		if t := g.ConstTensor(name); t != nil {
			return t
		}
	}
	return nil
}

// read is Read without the codes.
func (f *finder) read(name string) *Coded {
	c, ok := f.known[name]
	if !ok {
		c = bare(Read(f, name))
		f.known[name] = c
	}
	return c
}

func (f *finder) node(n *graph.Node) []Found {
	if s := ReadStoredProduct(f, n); s != nil {
		return []Found{{&s.Coded, n, n.In[1], s.codes}}
	}
	if c := bare(ReadProduct(f, n)); c != nil {
		return []Found{{c, n, n.In[1], func() *Coded { return ReadProduct(f, n) }}}
	}
	if row, ok := integers[n.Op]; ok {
		if c, t := f.integer(n, row); c != nil {
			return []Found{{c, n, n.In[row.codes], func() *Coded { return c.with(t) }}}
		}
		return nil
	}
	if len(n.Out) == 1 && f.read(n.Out[0]) != nil {
		return nil // itself a piece of a constant
	}
	var list []Found
	for _, name := range n.In {
		c, load := f.read(name), func() *Coded { return Read(f, name) }
		if t := f.ConstTensor(name); t != nil && n.Op != "Cast" {
			c, load = halves(t), func() *Coded { return Halves(t) }
		}
		if name != "" && c != nil {
			list = append(list, Found{c, n, name, load})
		}
	}
	return list
}

// Halves returns a matrix that is stored as 16-bit floats, or nil.
func Halves(t *tensor.Tensor) *Coded { return halves(t).with(t) }

// halves is Halves without the codes.
func halves(t *tensor.Tensor) *Coded {
	f := format.ByElem(t.DType)
	if f == nil || f.Scaled() || t.Rank() < 2 {
		return nil
	}
	return &Coded{Format: f, Shape: t.Shape, Params: []format.Params{{Scale: 1}}}
}

// with returns the constant with the codes that a tensor holds, nil where it is nil or the tensor holds none.
func (c *Coded) with(t *tensor.Tensor) *Coded {
	if c == nil {
		return nil
	}
	codes, err := c.Format.TensorCodes(t)
	if err != nil {
		return nil
	}
	whole := *c
	whole.Codes = codes
	return &whole
}

// An integerRow says where an operator on codes has its weight.
type integerRow struct {
	codes, scale, zero int // operands; -1 where there is none
	axis               int // of the output channels, negative from the end
}

var integers = map[string]integerRow{
	"QLinearConv":           {3, 4, 5, 0},
	"QLinearMatMul":         {3, 4, 5, -1},
	"QGemm":                 {3, 4, 5, -1},
	"ConvInteger":           {1, -1, 3, 0},
	"MatMulInteger":         {1, -1, 3, -1},
	"MatMulIntegerToFloat":  {1, 3, 5, -1},
	"DynamicQuantizeMatMul": {1, 2, 3, -1},
	"QAttention":            {1, 4, 7, -1},
}

// Channels returns the axis of the output channels of the weight that a node on codes multiplies by,
// negative from the end; false where it is no such node.
func Channels(n *graph.Node) (axis int, ok bool) {
	row, ok := integers[n.Op]
	if ok && n.Bool("transB", false) {
		return -2, true
	}
	return row.axis, ok
}

// integer reads the weight of an operator on codes, without these, and the tensor that holds them. Where the scale stands
// elsewhere, it is one.
func (f *finder) integer(n *graph.Node, row integerRow) (*Coded, *tensor.Tensor) {
	r := &reader{src: f}
	t := r.constant(n, row.codes)
	if t == nil || t.Rank() < 2 {
		return nil, nil
	}
	c := &Coded{Format: format.ByElem(t.DType), Shape: t.Shape, Params: []format.Params{{Scale: 1}}}
	if c.Format == nil {
		return nil, nil
	}
	if s := r.constant(n, row.scale); row.scale >= 0 && s != nil {
		list, err := format.Floats(s)
		if err != nil {
			return nil, nil
		}
		c.Params = make([]format.Params, len(list))
		for i, v := range list {
			c.Params[i].Scale = float32(v)
		}
	}
	if z := r.constant(n, row.zero); z != nil {
		list, err := z.Ints()
		for i := range c.Params {
			if err == nil && len(list) > 0 {
				c.Params[i].Zero = int32(list[i%len(list)])
			}
		}
	}
	if len(c.Params) > 1 {
		axis, _ := Channels(n)
		c.Block = format.Block{Kind: format.Channel, Axis: (axis + t.Rank()) % t.Rank()}
	}
	if len(c.Params) != tensor.Elements(c.Block.ParamShape(c.Shape)) {
		return nil, nil
	}
	return c, t
}
