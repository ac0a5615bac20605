package graph

import (
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/tensor"
)

// attr reads what stands behind an attribute's name: ": type = value", "= value" or ": type = @ref".
func (p *parser) attr(name string) *Attr {
	a := &Attr{Name: name}
	kind := ""
	if p.take(":") {
		if kind = p.identifier(); !slices.Contains(attrTypes, kind) {
			p.fail("%q is no type of attribute", kind)
		}
	}
	if kind != "" && p.peek() != '=' { // a function's attribute without a default, with its type
		return a
	}
	p.expect("=")
	if p.take("@") {
		a.Ref, a.RefType = p.name(), int32(slices.Index(attrTypes, kind))
		if kind == "" {
			p.fail("the reference to %q needs a type", a.Ref)
		}
		return a
	}
	if p.peek() == '[' {
		a.Value = p.attrList(kind)
		return a
	}
	a.Value, a.TensorID = p.attrValue(kind)
	return a
}

// attrValue reads a single value; kind is its declared type, "" where the value has to tell.
func (p *parser) attrValue(kind string) (v any, tensorID string) {
	c := p.peek()
	switch {
	case kind == "float":
		return float32(p.real(32)), ""
	case c == '"':
		s := p.quoted()
		if p.peek() == '(' {
			return p.namedGraph(s), ""
		}
		return s, ""
	case p.typeAhead():
		return p.typeOrTensor()
	case isLetter(c) || c == '(':
		return p.graph(), ""
	}
	s := p.number()
	if strings.ContainsAny(s, ".eE") {
		return float32(p.parseReal(s, 32)), ""
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.fail("%q is not a number", s)
	}
	return i, ""
}

// typeOrTensor reads a type, and a tensor if elements follow it, with an optional name between them.
func (p *parser) typeOrTensor() (v any, id string) {
	t := p.typ()
	if c := p.peek(); c == '"' || isLetter(c) {
		id = p.name()
	}
	p.take("=")
	if p.peek() != '{' {
		if id != "" {
			p.fail("the elements of tensor %q expected", id)
		}
		return t, ""
	}
	shape, ok := t.Static()
	if !ok || !t.IsTensor() {
		p.fail("a tensor of type %s", t)
		return t, ""
	}
	return p.data(t.DType, shape), id
}

// attrList reads [value, …]; all have one type.
func (p *parser) attrList(kind string) any {
	p.expect("[")
	single := strings.TrimSuffix(kind, "s")
	var items []any
	p.list("]", func() {
		v, _ := p.attrValue(single)
		items = append(items, v)
	})
	if p.err != nil {
		return nil
	}
	if len(items) == 0 {
		v, ok := emptyLists[kind]
		if !ok {
			p.fail("an empty list needs a type")
		}
		return v
	}
	list := gather(items)
	if list == nil {
		p.fail("a list of several types")
	}
	return list
}

// emptyLists are the values of lists without items, by type.
var emptyLists = map[string]any{"ints": []int64{}, "floats": []float32{}, "strings": []string{},
	"tensors": []*tensor.Tensor{}, "graphs": []*Graph{}, "type_protos": []Type{}}

// gather makes one typed slice of items; nil where their types differ. Whole numbers among floats
// are floats.
func gather(items []any) any {
	switch items[0].(type) {
	case int64, float32:
		if slices.ContainsFunc(items, func(v any) bool { _, ok := v.(float32); return ok }) {
			for i, v := range items {
				if n, ok := v.(int64); ok {
					items[i] = float32(n)
				}
			}
			return typed[float32](items)
		}
		return typed[int64](items)
	case string:
		return typed[string](items)
	case *tensor.Tensor:
		return typed[*tensor.Tensor](items)
	case *Graph:
		return typed[*Graph](items)
	case Type:
		return typed[Type](items)
	}
	return nil
}

func typed[T any](items []any) any {
	list := make([]T, len(items))
	for i, v := range items {
		var ok bool
		if list[i], ok = v.(T); !ok {
			return nil
		}
	}
	return list
}

// data reads the elements of a tensor: {1, 2, 3}.
func (p *parser) data(d tensor.DType, shape []int) *tensor.Tensor {
	want, err := tensor.CheckedElements(shape)
	if err != nil {
		p.fail("%v", err)
		return nil
	}
	if p.peek() != '{' {
		p.fail("elements in braces expected, not %s", p.ahead())
		return nil
	}
	p.expect("{")
	if p.take("...") {
		p.fail("the elements of this tensor were left out")
	}
	e := elements{d: d}
	p.list("}", func() { e.read(&p.lexer) })
	if p.err != nil {
		return nil
	}
	if d.Class() == tensor.ClassComplex {
		e.n /= 2
	}
	if e.n != want {
		p.fail("%d elements for %s%s", e.n, d, tensor.FormatShape(shape))
		return nil
	}
	return e.tensor(shape)
}
