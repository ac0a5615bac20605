package graph

import (
	"math"
	"strconv"
	"strings"

	"lowbit/internal/tensor"
)

// attr writes an attribute, with its type where the value alone does not tell it.
func (p *printer) attr(a *Attr, indent string) {
	p.printf("%s", plain(a.Name))
	if a.Ref != "" {
		kind := attrTypes[0]
		if i := int(a.RefType); i > 0 && i < len(attrTypes) {
			kind = attrTypes[i]
		}
		p.printf(": %s = @%s", kind, plain(a.Ref))
		return
	}
	switch v := a.Value.(type) {
	case int64:
		p.printf(" = %d", v)
	case float32:
		if s := floatText(v); strings.ContainsAny(s, ".e") {
			p.printf(" = %s", s)
		} else {
			p.printf(": float = %s", s)
		}
	case string:
		p.printf(" = %s", quote(v))
	case *tensor.Tensor:
		p.printf(" = %s", p.tensor(v, a.TensorID))
	case *Sparse:
		p.printf(": sparse_tensor = {...}")
	case *Graph:
		p.printf(" = ")
		p.graph(v, indent)
	case Type:
		p.printf(" = %s", typeText(v))
	default:
		p.list(a, indent)
	}
}

// plain writes a name where no type can stand: in quotes unless it is an identifier.
func plain(s string) string {
	if isIdentifier(s) {
		return s
	}
	return quote(s)
}

func (p *printer) list(a *Attr, indent string) {
	switch v := a.Value.(type) {
	case []int64:
		p.items("ints", len(v), func(i int) { p.printf("%d", v[i]) })
	case []float32:
		p.items("floats", len(v), func(i int) { p.printf("%s", floatText(v[i])) })
	case []string:
		p.items("strings", len(v), func(i int) { p.printf("%s", quote(v[i])) })
	case []*tensor.Tensor:
		p.items("tensors", len(v), func(i int) { p.printf("%s", p.tensor(v[i], "")) })
	case []*Graph:
		p.items("graphs", len(v), func(i int) { p.graph(v[i], indent) })
	case []Type:
		p.items("type_protos", len(v), func(i int) { p.printf("%s", typeText(v[i])) })
	default:
		p.printf(": undefined = {...}")
	}
}

// items writes a list of n items of a type. Integers and strings tell their type themselves.
func (p *printer) items(kind string, n int, item func(i int)) {
	if n == 0 || kind != "ints" && kind != "strings" {
		p.printf(": %s", kind)
	}
	p.printf(" = [")
	for i := range n {
		if i > 0 {
			p.printf(", ")
		}
		item(i)
	}
	p.printf("]")
}

// tensor writes a tensor with its type, and with its name if it has one.
func (p *printer) tensor(t *tensor.Tensor, name string) string {
	s := t.DType.String() + shapeText(t.Shape)
	if name != "" {
		s += " " + word(name)
	}
	return s + " " + p.data(t)
}

// data writes the elements of a tensor in braces.
func (p *printer) data(t *tensor.Tensor) string {
	n := t.Len()
	if p.opt.Elide > 0 && n > p.opt.Elide {
		return "{...}"
	}
	items := elementTexts(t)
	return "{" + strings.Join(items, ", ") + "}"
}

// elementTexts writes every element: numbers in decimal, small floats as their codes, strings
// quoted, complex numbers as real and imaginary part one after the other.
func elementTexts(t *tensor.Tensor) []string {
	switch t.DType {
	case tensor.String:
		return texts(t.Str, quote)
	case tensor.Float32:
		return texts(tensor.Of[float32](t), floatText)
	case tensor.Float64:
		return texts(tensor.Of[float64](t), doubleText)
	case tensor.Complex64:
		return texts(tensor.Of[float32](&tensor.Tensor{DType: tensor.Float32, Raw: t.Raw}), floatText)
	case tensor.Complex128:
		return texts(tensor.Of[float64](&tensor.Tensor{DType: tensor.Float64, Raw: t.Raw}), doubleText)
	case tensor.Uint64:
		return texts(tensor.Of[uint64](t), func(v uint64) string { return strconv.FormatUint(v, 10) })
	case tensor.Float16, tensor.BFloat16:
		return texts(tensor.Of[uint16](t), func(v uint16) string { return strconv.Itoa(int(v)) })
	}
	if ints, err := t.Ints(); err == nil {
		return texts(ints, func(v int64) string { return strconv.FormatInt(v, 10) })
	}
	codes := t.Raw
	if t.DType.Bits() < 8 {
		codes = tensor.Unpack(t)
	}
	return texts(codes, func(v byte) string { return strconv.Itoa(int(v)) })
}

func texts[T any](list []T, text func(T) string) []string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = text(v)
	}
	return s
}

func floatText(v float32) string { return realText(float64(v), 32) }

func doubleText(v float64) string { return realText(v, 64) }

// realText writes the shortest decimal that reads back as v; "inf", "-inf" and "nan" are words.
func realText(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', -1, bits)
}
