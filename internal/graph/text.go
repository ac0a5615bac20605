package graph

import (
	"fmt"
	"strconv"
	"strings"

	"lowbit/internal/tensor"
)

// TextOptions change how a network is written as text.
type TextOptions struct {
	Elide int // tensors of more elements are written as {...}, which cannot be read back; 0 writes all
}

// Text writes m in ONNX's textual syntax (onnx, docs/Syntax.md), which ParseText reads. The same
// model gives the same text. Left out are documentation and metadata of nodes, values and tensors,
// and unknown fields. Sparse initializers are written densely. A small float is written as its code.
func (m *Model) Text(o TextOptions) string {
	p := &printer{opt: o}
	p.header(m)
	p.graph(m.Graph, "")
	p.printf("\n")
	for _, f := range m.Functions {
		p.function(f)
	}
	return p.b.String()
}

type printer struct {
	b   strings.Builder
	opt TextOptions
}

func (p *printer) printf(format string, a ...any) { fmt.Fprintf(&p.b, format, a...) }

func (p *printer) header(m *Model) {
	fields := []string{"ir_version: " + strconv.FormatInt(m.IR, 10), opsetText(m.Opsets)}
	text := func(key, v string) {
		if v != "" {
			fields = append(fields, key+": "+quote(v))
		}
	}
	text("producer_name", m.Producer)
	text("producer_version", m.ProducerVersion)
	text("domain", m.Domain)
	if m.Version != 0 {
		fields = append(fields, "model_version: "+strconv.FormatInt(m.Version, 10))
	}
	text("doc_string", m.Doc)
	if len(m.Meta) > 0 {
		var pairs []string
		for _, q := range m.Meta {
			pairs = append(pairs, quote(q.Key)+" : "+quote(q.Value))
		}
		fields = append(fields, "metadata_props: ["+strings.Join(pairs, ", ")+"]")
	}
	p.printf("<%s>\n", strings.Join(fields, ", "))
}

func opsetText(list []Opset) string {
	var pairs []string
	for _, o := range list {
		pairs = append(pairs, quote(o.Domain)+" : "+strconv.Itoa(o.Version))
	}
	return "opset_import: [" + strings.Join(pairs, ", ") + "]"
}

// graph writes a graph; lines after the first begin with indent.
func (p *printer) graph(g *Graph, indent string) {
	p.printf("%s (%s) => (%s)", word(g.Name), valueList(g.In), valueList(g.Out))
	inner := indent + "  "
	if len(g.consts)+len(g.Info) > 0 {
		sep := " <\n"
		for _, c := range g.consts {
			p.printf("%s%s%s", sep, inner, p.constant(c))
			sep = ",\n"
		}
		for _, v := range g.Info {
			p.printf("%s%s%s", sep, inner, valueText(v))
			sep = ",\n"
		}
		p.printf("\n%s>", indent)
	}
	p.printf(" {\n")
	p.nodes(g.Nodes, inner)
	p.printf("%s}", indent)
}

func (p *printer) constant(c *Const) string {
	t := c.Tensor
	if t == nil && c.Sparse != nil {
		var err error
		if t, err = c.Sparse.Dense(1 << 24); err != nil {
			return fmt.Sprintf("%s%s %s = {...}", c.Sparse.Values.DType, shapeText(c.Sparse.Shape), word(c.Name))
		}
	}
	return fmt.Sprintf("%s%s %s = %s", t.DType, shapeText(t.Shape), word(c.Name), p.data(t))
}

func (p *printer) nodes(list []*Node, indent string) {
	for _, n := range list {
		p.printf("%s", indent)
		if n.Name != "" {
			p.printf("[%s] ", word(n.Name))
		}
		p.printf("%s = %s", words(n.Out), opText(n))
		if len(n.Attrs) > 0 {
			p.printf(" <")
			for i, a := range n.Attrs {
				if i > 0 {
					p.printf(", ")
				}
				p.attr(a, indent)
			}
			p.printf(">")
		}
		p.printf(" (%s)\n", words(n.In))
	}
}

// opText writes the operator with its domain and overload: "com.microsoft.Gelu", "F:v2".
func opText(n *Node) string {
	s := plain(n.Op)
	if n.Domain != "" {
		s = dotted(n.Domain) + "." + s
	}
	if n.Overload != "" {
		s += ":" + plain(n.Overload)
	}
	return s
}

// dotted writes a domain, in quotes unless it consists of identifiers and dots.
func dotted(domain string) string {
	for part := range strings.SplitSeq(domain, ".") {
		if !isIdentifier(part) {
			return quote(domain)
		}
	}
	return domain
}

func (p *printer) function(f *Function) {
	fields := []string{"domain: " + quote(f.Domain)}
	if f.Overload != "" {
		fields = append(fields, "overload: "+quote(f.Overload))
	}
	fields = append(fields, opsetText(f.Opsets))
	p.printf("<%s>\n%s", strings.Join(fields, ", "), word(f.Name))
	if len(f.AttrNames)+len(f.Attrs) > 0 {
		sep := " <"
		for _, name := range f.AttrNames {
			p.printf("%s%s", sep, plain(name))
			sep = ", "
		}
		for _, a := range f.Attrs {
			p.printf("%s", sep)
			p.attr(a, "")
			sep = ", "
		}
		p.printf(">")
	}
	p.printf(" (%s) => (%s)", words(f.In), words(f.Out))
	if len(f.Info) > 0 {
		p.printf(" <%s>", valueList(f.Info))
	}
	p.printf(" {\n")
	p.nodes(f.Nodes, "  ")
	p.printf("}\n")
}

func valueList(list []*Value) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = valueText(v)
	}
	return strings.Join(s, ", ")
}

func valueText(v *Value) string {
	if v.Type.Kind == NoType {
		return word(v.Name)
	}
	return typeText(v.Type) + " " + word(v.Name)
}

// typeText is Type.String with the names of dimensions quoted where they have to be.
func typeText(t Type) string {
	switch t.Kind {
	case SequenceType:
		return "seq(" + typeText(*t.Elem) + ")"
	case OptionalType:
		return "optional(" + typeText(*t.Elem) + ")"
	case MapType:
		return "map(" + t.DType.String() + ", " + typeText(*t.Elem) + ")"
	case SparseType:
		t.Kind = TensorType
		return "sparse_tensor(" + typeText(t) + ")"
	case OpaqueType:
		return "opaque()"
	}
	if !t.Ranked || len(t.Shape) == 0 {
		return t.String()
	}
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		if dims[i] = d.String(); !d.IsKnown() && d.Name != "" {
			dims[i] = word(d.Name)
		}
	}
	return t.DType.String() + "[" + strings.Join(dims, ",") + "]"
}

func shapeText(shape []int) string {
	if len(shape) == 0 {
		return ""
	}
	return tensor.FormatShape(shape)
}

// quote writes a string as the syntax wants it: a backslash stands before backslashes and quotes
// and nowhere else.
func quote(s string) string { return `"` + escapes.Replace(s) + `"` }

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// word writes a name, in quotes unless it is an identifier that cannot be taken for a type.
func word(s string) string {
	if !isIdentifier(s) || isTypeWord(s) {
		return quote(s)
	}
	return s
}

func words(list []string) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = word(v)
	}
	return strings.Join(s, ", ")
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// isTypeWord says whether a type can begin with the identifier.
func isTypeWord(s string) bool {
	switch s {
	case "seq", "optional", "map", "sparse_tensor", "opaque":
		return true
	}
	_, ok := tensor.ParseDType(s)
	return ok
}
