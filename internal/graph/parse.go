package graph

import (
	"slices"

	"lowbit/internal/tensor"
)

// maxNesting bounds graphs within graphs and types within types.
const maxNesting = 100

// ParseText reads a model in ONNX's textual syntax (onnx, docs/Syntax.md), as Text writes it. An
// error names the line. Tensors in other files are refused.
func ParseText(text string) (*Model, error) {
	p := &parser{lexer: lexer{text: text}}
	m := &Model{}
	p.header(m)
	m.Graph = p.graph()
	for p.err == nil && p.more() {
		m.Functions = append(m.Functions, p.function())
	}
	if p.err != nil {
		return nil, p.err
	}
	return m, nil
}

type parser struct {
	lexer
	depth int
}

// enter bounds recursion; each call is followed by leave.
func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nests deeper than %d", maxNesting)
	}
}

func (p *parser) leave() { p.depth-- }

// header reads <ir_version: 8, opset_import: ["" : 17], …>, which may be absent.
func (p *parser) header(m *Model) {
	if !p.take("<") {
		return
	}
	p.list(">", func() {
		key := p.identifier()
		p.expect(":")
		switch key {
		case "ir_version":
			m.IR = p.integer()
		case "opset_import":
			m.Opsets = p.opsets()
		case "producer_name":
			m.Producer = p.quoted()
		case "producer_version":
			m.ProducerVersion = p.quoted()
		case "domain":
			m.Domain = p.quoted()
		case "model_version":
			m.Version = p.integer()
		case "doc_string":
			m.Doc = p.quoted()
		case "metadata_props":
			p.pairs(func(key string) { m.Meta = append(m.Meta, Prop{key, p.quoted()}) })
		default:
			p.fail("unknown field %q", key)
		}
	})
}

// pairs reads ["key" : …, …]; value reads what stands behind the colon.
func (p *parser) pairs(value func(key string)) {
	p.expect("[")
	p.list("]", func() {
		key := p.quoted()
		p.expect(":")
		value(key)
	})
}

func (p *parser) opsets() []Opset {
	var list []Opset
	p.pairs(func(domain string) { list = append(list, Opset{domain, int(p.integer())}) })
	return list
}

// graph reads a graph, whose name may be absent.
func (p *parser) graph() *Graph {
	if p.peek() == '(' {
		return p.namedGraph("")
	}
	return p.namedGraph(p.name())
}

// namedGraph reads a graph of which the name has been read.
func (p *parser) namedGraph(name string) *Graph {
	p.enter()
	defer p.leave()
	g := &Graph{Name: name}
	p.expect("(")
	p.list(")", func() { g.In = append(g.In, p.value(g)) })
	p.expect("=>")
	p.expect("(")
	p.list(")", func() { g.Out = append(g.Out, p.value(nil)) })
	if p.take("<") {
		p.list(">", func() { g.Info = append(g.Info, p.value(g)) })
		g.Info = slices.DeleteFunc(g.Info, func(v *Value) bool { return g.Const(v.Name) != nil })
	}
	g.Nodes = p.nodes()
	return g
}

// value reads "type name", either of which may stand alone, and, where g is given, an initializer
// of that name behind "=".
func (p *parser) value(g *Graph) *Value {
	v := &Value{}
	if p.typeAhead() {
		v.Type = p.typ()
	}
	v.Name = p.name()
	if g == nil || !p.take("=") {
		return v
	}
	shape, ok := v.Type.Static()
	if !v.Type.IsTensor() || !ok {
		p.fail("initializer %q needs a tensor type of known shape, not %s", v.Name, v.Type)
		return v
	}
	g.AddConst(&Const{Name: v.Name, Tensor: p.data(v.Type.DType, shape)})
	return v
}

// nodes reads { node… }.
func (p *parser) nodes() []*Node {
	p.expect("{")
	var list []*Node
	for p.err == nil && !p.take("}") {
		list = append(list, p.node())
	}
	return list
}

// node reads: [label] y, z = domain.Op:overload <attributes> (a, b). The attributes may also come last.
func (p *parser) node() *Node {
	n := &Node{}
	if p.take("[") {
		n.Name = p.name()
		p.expect("]")
	}
	p.list("=", func() { n.Out = append(n.Out, p.operand('=')) })
	p.operator(n)
	n.Attrs = p.attrs(n.Attrs)
	p.expect("(")
	p.list(")", func() { n.In = append(n.In, p.operand(')')) })
	n.Attrs = p.attrs(n.Attrs)
	return n
}

// operand reads the name of a value; nothing at all, before a comma, is one left out.
func (p *parser) operand(end byte) string {
	if c := p.peek(); c == ',' || c == end {
		return ""
	}
	return p.name()
}

// operator reads domain.Op:overload.
func (p *parser) operator(n *Node) {
	n.Op = p.name()
	for p.take(".") {
		if n.Domain != "" {
			n.Domain += "."
		}
		n.Domain += n.Op
		n.Op = p.name()
	}
	if p.take(":") {
		n.Overload = p.name()
	}
}

func (p *parser) attrs(list []*Attr) []*Attr {
	if p.take("<") {
		p.list(">", func() {
			a := p.attr(p.name())
			if a.Value == nil && a.Ref == "" {
				p.fail("attribute %q needs a value", a.Name)
			}
			list = append(list, a)
		})
	}
	return list
}

// function reads <domain: "d", opset_import: ["" : 17]> name <attributes> (x) => (y) { nodes }.
func (p *parser) function() *Function {
	f := &Function{}
	if p.take("<") {
		p.list(">", func() {
			key := p.identifier()
			p.expect(":")
			switch key {
			case "domain":
				f.Domain = p.quoted()
			case "overload":
				f.Overload = p.quoted()
			case "opset_import":
				f.Opsets = p.opsets()
			case "doc_string":
				f.Doc = p.quoted()
			default:
				p.fail("unknown field %q", key)
			}
		})
	}
	f.Name = p.name()
	if p.take("<") {
		p.list(">", func() { p.parameter(f) })
	}
	names := func(end string) (list []string) {
		p.expect("(")
		p.list(end, func() { list = append(list, p.value(nil).Name) })
		return list
	}
	f.In = names(")")
	p.expect("=>")
	f.Out = names(")")
	if p.take("<") {
		p.list(">", func() { f.Info = append(f.Info, p.value(nil)) })
	}
	f.Nodes = p.nodes()
	return f
}

// parameter reads an attribute of a function: a name, or a name with its default.
func (p *parser) parameter(f *Function) {
	name := p.name()
	if c := p.peek(); c == ':' || c == '=' {
		if a := p.attr(name); a.Value != nil || a.Ref != "" {
			f.Attrs = append(f.Attrs, a)
			return
		}
	}
	f.AttrNames = append(f.AttrNames, name)
}

// typeAhead says whether the next word begins a type.
func (p *parser) typeAhead() bool {
	at := p.at
	word := p.maybeIdentifier()
	p.at = at
	return isTypeWord(word)
}

// typ reads a type.
func (p *parser) typ() Type {
	p.enter()
	defer p.leave()
	word := p.identifier()
	inside := func(t Type) Type {
		p.expect("(")
		if t.Kind == MapType {
			t.DType = p.dtype(p.identifier())
			p.expect(",")
		}
		elem := p.typ()
		t.Elem = &elem
		p.expect(")")
		return t
	}
	switch word {
	case "seq":
		return inside(Type{Kind: SequenceType})
	case "optional":
		return inside(Type{Kind: OptionalType})
	case "map":
		return inside(Type{Kind: MapType})
	case "sparse_tensor":
		t := inside(Type{})
		return Type{Kind: SparseType, DType: t.Elem.DType, Ranked: t.Elem.Ranked, Shape: t.Elem.Shape}
	case "opaque":
		p.expect("(")
		p.list(")", func() { p.operator(&Node{}) })
		return Type{Kind: OpaqueType}
	}
	t := Type{Kind: TensorType, DType: p.dtype(word), Ranked: true}
	if p.take("[") {
		t.Ranked = !p.take("]")
		if t.Ranked {
			p.list("]", func() { t.Shape = append(t.Shape, p.dim()) })
		}
	}
	return t
}

func (p *parser) dtype(name string) tensor.DType {
	d, ok := tensor.ParseDType(name)
	if !ok {
		p.fail("%q is no element type", name)
	}
	return d
}

func (p *parser) dim() Dim {
	switch c := p.peek(); {
	case c == '?':
		p.take("?")
		return Unknown
	case c == '"' || isLetter(c):
		return Symbol(p.name())
	}
	n := p.integer()
	if n < 0 || n > 1<<62 {
		p.fail("a dimension of %d", n)
	}
	return Known(int(n))
}
