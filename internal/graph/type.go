package graph

import (
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/tensor"
)

// A Dim is one dimension of a shape: a size, a name that stands for one, or neither.
type Dim struct {
	Size int    // -1 where it is not known
	Name string // the symbol of an unknown size, if it has one
	Doc  string // denotation
}

// Known returns a dimension of size n.
func Known(n int) Dim { return Dim{Size: n} }

// Symbol returns a dimension of unknown size that is equal wherever the name stands.
func Symbol(name string) Dim { return Dim{Size: -1, Name: name} }

// Unknown is a dimension of which nothing is known.
var Unknown = Dim{Size: -1}

// IsKnown says whether the size is known.
func (d Dim) IsKnown() bool { return d.Size >= 0 }

// Same says whether two dimensions are certainly equal.
func (d Dim) Same(e Dim) bool {
	if d.IsKnown() || e.IsKnown() {
		return d.Size == e.Size
	}
	return d.Name != "" && d.Name == e.Name
}

func (d Dim) String() string {
	switch {
	case d.IsKnown():
		return strconv.Itoa(d.Size)
	case d.Name != "":
		return d.Name
	}
	return "?"
}

// Kind is the outermost constructor of a Type.
type Kind uint8

// The kinds of ONNX's type system. NoType is a type of which nothing is known.
const (
	NoType Kind = iota
	TensorType
	SparseType
	SequenceType
	MapType
	OptionalType
	OpaqueType
)

// A Type is what is known of a value before it exists.
type Type struct {
	Kind       Kind
	DType      tensor.DType // of tensors; the key type of a map
	Ranked     bool         // Shape says how many dimensions there are
	Shape      []Dim
	Elem       *Type // of a sequence or optional; the value type of a map
	Denotation string
	Unknown    []byte
}

// Of returns a tensor type of known shape.
func Of(d tensor.DType, shape ...int) Type {
	t := Type{Kind: TensorType, DType: d, Ranked: true, Shape: make([]Dim, len(shape))}
	for i, n := range shape {
		t.Shape[i] = Known(n)
	}
	return t
}

// OfDims returns a tensor type with the given dimensions.
func OfDims(d tensor.DType, shape []Dim) Type {
	return Type{Kind: TensorType, DType: d, Ranked: true, Shape: slices.Clone(shape)}
}

// Unranked returns a tensor type of unknown rank.
func Unranked(d tensor.DType) Type { return Type{Kind: TensorType, DType: d} }

// SequenceOf returns the type of sequences of elem.
func SequenceOf(elem Type) Type { return Type{Kind: SequenceType, Elem: &elem} }

// OptionalOf returns the type of optional values of elem.
func OptionalOf(elem Type) Type { return Type{Kind: OptionalType, Elem: &elem} }

// TypeOf returns the type of a value that exists.
func TypeOf(t *tensor.Tensor) Type {
	if t.Kind == tensor.Dense {
		return Of(t.DType, t.Shape...)
	}
	elem := Unranked(t.DType)
	if len(t.Items) > 0 {
		elem = TypeOf(t.Items[0])
		for _, it := range t.Items[1:] {
			elem = Join(elem, TypeOf(it))
		}
	}
	if t.Kind == tensor.Sequence {
		return SequenceOf(elem)
	}
	return OptionalOf(elem)
}

// IsTensor says whether t is a dense tensor type.
func (t Type) IsTensor() bool { return t.Kind == TensorType }

// Static returns the shape as numbers, and false where a dimension is unknown.
func (t Type) Static() ([]int, bool) {
	if !t.Ranked {
		return nil, false
	}
	shape := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		if !d.IsKnown() {
			return nil, false
		}
		shape[i] = d.Size
	}
	return shape, true
}

// Join returns the most precise type that covers both a and b.
func Join(a, b Type) Type {
	if a.Kind != b.Kind {
		return Type{}
	}
	if a.DType != b.DType {
		a.DType = tensor.Undefined
	}
	if a.Elem != nil && b.Elem != nil {
		e := Join(*a.Elem, *b.Elem)
		a.Elem = &e
	}
	if !a.Ranked || !b.Ranked || len(a.Shape) != len(b.Shape) {
		a.Ranked, a.Shape = false, nil
		return a
	}
	a.Shape = slices.Clone(a.Shape)
	for i, d := range b.Shape {
		if !a.Shape[i].Same(d) {
			a.Shape[i] = Unknown
		}
	}
	return a
}

// Accepts says whether a value of type v may flow where t is declared; what t leaves open is accepted.
func (t Type) Accepts(v Type) bool {
	if t.Kind == NoType || v.Kind == NoType {
		return true
	}
	if t.Kind != v.Kind || t.DType != tensor.Undefined && v.DType != tensor.Undefined && t.DType != v.DType {
		return false
	}
	if t.Elem != nil && v.Elem != nil {
		return t.Elem.Accepts(*v.Elem)
	}
	if !t.Ranked || !v.Ranked {
		return true
	}
	if len(t.Shape) != len(v.Shape) {
		return false
	}
	for i, d := range t.Shape {
		if d.IsKnown() && v.Shape[i].IsKnown() && d.Size != v.Shape[i].Size {
			return false
		}
	}
	return true
}

// String writes the type as ONNX's text form does: "float[N,3,224,224]", "seq(int64[])".
func (t Type) String() string {
	switch t.Kind {
	case SequenceType:
		return "seq(" + t.Elem.String() + ")"
	case OptionalType:
		return "optional(" + t.Elem.String() + ")"
	case MapType:
		return "map(" + t.DType.String() + "," + t.Elem.String() + ")"
	case SparseType:
		return "sparse_tensor(" + t.text() + ")"
	case TensorType:
		return t.text()
	case OpaqueType:
		return "opaque"
	}
	return "?"
}

func (t Type) text() string {
	if !t.Ranked {
		return t.DType.String() + "[]"
	}
	if len(t.Shape) == 0 {
		return t.DType.String()
	}
	s := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		s[i] = d.String()
	}
	return t.DType.String() + "[" + strings.Join(s, ",") + "]"
}
