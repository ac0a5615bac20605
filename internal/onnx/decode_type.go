package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// The fields of TypeProto that say which kind it is.
var typeKinds = map[protowire.Number]graph.Kind{
	1: graph.TensorType, 4: graph.SequenceType, 5: graph.MapType,
	7: graph.OpaqueType, 8: graph.SparseType, 9: graph.OptionalType,
}

// typ parses a TypeProto.
func (d *decoder) typ(b []byte) graph.Type {
	t := graph.Type{}
	if !d.enter("a type") {
		return t
	}
	defer d.leave()
	r := d.read(b)
	for r.next() {
		kind, ok := typeKinds[r.num]
		switch {
		case ok && t.Kind != graph.NoType:
			d.invalid("a type of two kinds")
		case kind == graph.OpaqueType:
			t.Kind = kind
			r.keep(&t.Unknown, "opaque_type", opaque)
		case ok:
			t.Kind = kind
			d.typeBody(&t, r.bytes())
		case r.num == 6:
			t.Denotation = r.name()
		default:
			t.Unknown = append(t.Unknown, r.raw...)
		}
	}
	return t
}

// typeBody parses the message of one kind. In each of them field 1 is the element or key type,
// and field 2 the shape or the value type.
func (d *decoder) typeBody(t *graph.Type, b []byte) {
	tensors := t.Kind == graph.TensorType || t.Kind == graph.SparseType
	if !tensors {
		t.Elem = &graph.Type{}
	}
	seen := false
	r := d.read(b)
	for r.next() {
		switch {
		case r.num == 1 && (tensors || t.Kind == graph.MapType):
			t.DType = d.elemType(r.int())
		case r.num == 1 || r.num == 2 && t.Kind == graph.MapType:
			d.once(&seen, "elem_type")
			*t.Elem = d.typ(r.bytes())
		case r.num == 2 && tensors:
			d.once(&seen, "shape")
			t.Ranked, t.Shape = true, d.shape(r.bytes())
		}
	}
}

// elemType checks a TensorProto.DataType; 0 means that the type is not known.
func (d *decoder) elemType(v int64) tensor.DType {
	if v == 0 {
		return tensor.Undefined
	}
	if v < 0 || v > 255 || !tensor.DType(v).Valid() {
		d.invalid("element type %d does not exist", v)
		return tensor.Undefined
	}
	return tensor.DType(v)
}

// shape parses a TensorShapeProto.
func (d *decoder) shape(b []byte) []graph.Dim {
	dims := []graph.Dim{}
	r := d.read(b)
	for r.next() {
		if r.num != 1 {
			continue
		}
		if len(dims) == d.lim.Rank {
			d.limit("a shape of more than %d dimensions", d.lim.Rank)
			break
		}
		dims = append(dims, d.dim(r.bytes()))
	}
	return dims
}

// dim parses a TensorShapeProto.Dimension. A negative size is what some exporters write for an
// unknown one.
func (d *decoder) dim(b []byte) graph.Dim {
	dim := graph.Unknown
	r := d.read(b)
	for r.next() {
		switch r.num {
		case 1:
			n := r.int()
			if n > d.lim.Dim {
				d.limit("a dimension of %s", commas(n))
				n = -1
			}
			dim.Size, dim.Name = int(max(n, -1)), ""
		case 2:
			dim.Size, dim.Name = -1, r.name()
		case 3:
			dim.Doc = r.name()
		}
	}
	return dim
}
