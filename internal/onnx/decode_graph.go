package onnx

import "lowbit/internal/graph"

// graph parses a GraphProto.
func (d *decoder) graph(b []byte) *graph.Graph {
	g := &graph.Graph{}
	if !d.enter("a graph") {
		return g
	}
	defer d.leave()
	r := d.read(b)
	for r.next() {
		switch r.num {
		case 1:
			g.Nodes = d.node(g.Nodes, &r)
		case 2:
			g.Name = r.doc()
		case 5:
			d.initializer(g, &r)
		case 10:
			g.Doc = r.doc()
		case 11:
			g.In = d.value("input", g.In, &r)
		case 12:
			g.Out = d.value("output", g.Out, &r)
		case 13:
			g.Info = d.value("value_info", g.Info, &r)
		case 14:
			r.keep(&g.Unknown, "quantization_annotation", annotated)
		case 15:
			d.sparseInitializer(g, &r)
		case 16:
			g.Meta = d.prop(g.Meta, &r)
		default:
			g.Unknown = append(g.Unknown, r.raw...)
		}
	}
	return g
}

// node appends a NodeProto to list.
func (d *decoder) node(list []*graph.Node, field *reader) []*graph.Node {
	d.push("node", len(list))
	defer d.pop()
	if d.nodes++; d.nodes > d.lim.Nodes {
		d.limit("more than %s nodes", commas(d.lim.Nodes))
		field.rest = nil
		return list
	}
	n := &graph.Node{}
	r := d.read(field.bytes())
	for r.next() {
		switch r.num {
		case 1:
			n.In = append(n.In, r.name())
		case 2:
			n.Out = append(n.Out, r.name())
		case 3:
			n.Name = r.ownName()
			d.called(n.Name)
		case 4:
			n.Op = r.name()
		case 5:
			n.Attrs = d.attr("attribute", n.Attrs, &r)
		case 6:
			n.Doc = r.doc()
		case 7:
			n.Domain = r.name()
		case 8:
			n.Overload = r.name()
		case 9:
			n.Meta = d.prop(n.Meta, &r)
		case 10:
			r.keep(&n.Unknown, "device_configurations", sharding)
		default:
			n.Unknown = append(n.Unknown, r.raw...)
		}
	}
	return append(list, n)
}

// value appends a ValueInfoProto to list.
func (d *decoder) value(what string, list []*graph.Value, field *reader) []*graph.Value {
	d.push(what, len(list))
	defer d.pop()
	v := &graph.Value{}
	r := d.read(field.bytes())
	typed := false
	for r.next() {
		switch r.num {
		case 1:
			v.Name = r.name()
			d.called(v.Name)
		case 2:
			d.once(&typed, "type")
			v.Type = d.typ(r.bytes())
		case 3:
			v.Doc = r.doc()
		case 4:
			v.Meta = d.prop(v.Meta, &r)
		default:
			v.Unknown = append(v.Unknown, r.raw...)
		}
	}
	return append(list, v)
}

// once records a fault if a message field that may stand there once was seen before.
func (d *decoder) once(seen *bool, field string) {
	if *seen {
		d.invalid("the field %s stands there twice", field)
	}
	*seen = true
}

// initializer adds a TensorProto to g's constants.
func (d *decoder) initializer(g *graph.Graph, field *reader) {
	d.push("initializer", len(g.Consts()))
	defer d.pop()
	t, info := d.tensor(field.bytes())
	d.addConst(g, field, &graph.Const{Name: info.Name, Doc: info.Doc, Meta: info.Meta, Unknown: info.Unknown, Tensor: t})
}

// sparseInitializer adds a SparseTensorProto to g's constants.
func (d *decoder) sparseInitializer(g *graph.Graph, field *reader) {
	d.push("sparse_initializer", len(g.Consts()))
	defer d.pop()
	s := d.sparse(field.bytes())
	d.called(s.Info[0].Name)
	d.addConst(g, field, &graph.Const{Name: s.Info[0].Name, Sparse: s, Tensor: d.smallDense(s)})
}

func (d *decoder) addConst(g *graph.Graph, field *reader, c *graph.Const) {
	d.consts++
	switch {
	case d.consts > d.lim.Initializers:
		d.limit("more than %s initializers", commas(d.lim.Initializers))
		field.rest = nil
	case c.Name == "":
		d.invalid("an initializer without a name")
	case g.Const(c.Name) != nil:
		d.invalid("a second initializer of that name")
	default:
		g.AddConst(c)
	}
}
