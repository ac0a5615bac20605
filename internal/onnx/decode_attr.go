package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An attrType is one row of AttributeProto.AttributeType.
type attrType struct {
	code  int32
	name  string
	field protowire.Number
	list  bool // the field is repeated
	zero  any  // the value of a file that leaves it out; nil if it must be there
}

var attrTypes = []attrType{
	{1, "FLOAT", 2, false, float32(0)},
	{2, "INT", 3, false, int64(0)},
	{3, "STRING", 4, false, ""},
	{4, "TENSOR", 5, false, nil},
	{5, "GRAPH", 6, false, nil},
	{6, "FLOATS", 7, true, []float32{}},
	{7, "INTS", 8, true, []int64{}},
	{8, "STRINGS", 9, true, []string{}},
	{9, "TENSORS", 10, true, []*tensor.Tensor{}},
	{10, "GRAPHS", 11, true, []*graph.Graph{}},
	{11, "SPARSE_TENSOR", 22, false, nil},
	{12, "SPARSE_TENSORS", 23, true, []*graph.Sparse{}},
	{13, "TYPE_PROTO", 14, false, nil},
	{14, "TYPE_PROTOS", 15, true, []graph.Type{}},
}

func attrTypeOf(code int32) *attrType {
	for i := range attrTypes {
		if attrTypes[i].code == code {
			return &attrTypes[i]
		}
	}
	return nil
}

// attrState is what is known of an attribute while its fields pass by.
type attrState struct {
	*graph.Attr
	code  int64            // AttributeProto.type
	field protowire.Number // of the value; 0 before one was seen
}

// attr appends an AttributeProto to list.
func (d *decoder) attr(what string, list []*graph.Attr, field *reader) []*graph.Attr {
	d.push(what, len(list))
	defer d.pop()
	a := attrState{Attr: &graph.Attr{}}
	r := d.read(field.bytes())
	for r.next() {
		switch r.num {
		case 1:
			a.Name = r.name()
			d.called(a.Name)
		case 13:
			a.Doc = r.doc()
		case 20:
			a.code = r.int()
		case 21:
			a.Ref = r.name()
		default:
			d.attrValue(&a, &r)
		}
	}
	d.finishAttr(&a)
	return append(list, a.Attr)
}

// attrValue takes one of the fields that hold a value.
func (d *decoder) attrValue(a *attrState, r *reader) {
	known, repeated := valueField(r.num)
	if !known {
		a.Unknown = append(a.Unknown, r.raw...)
		return
	}
	if a.field != 0 && (a.field != r.num || !repeated && r.typ == protowire.BytesType && r.num != 4) {
		d.invalid("more than one value")
		return
	}
	a.field = r.num
	switch r.num {
	case 2:
		a.Value = r.float()
	case 3:
		a.Value = r.int()
	case 4:
		a.Value = string(r.bytes())
	case 5:
		t, info := d.tensor(r.bytes())
		a.Value, a.TensorID = t, info.Name
		a.inform(0, info)
	case 6:
		d.push("g", -1)
		a.Value = d.graph(r.bytes())
		d.pop()
	case 14:
		a.Value = d.typ(r.bytes())
	case 22:
		a.Value = d.sparse(r.bytes())
	default:
		d.attrList(a, r)
	}
}

// valueField says whether a field of AttributeProto holds a value, and whether it is repeated.
func valueField(num protowire.Number) (known, repeated bool) {
	for _, t := range attrTypes {
		if t.field == num {
			return true, t.list
		}
	}
	return false, false
}

// attrList takes one of the repeated fields.
func (d *decoder) attrList(a *attrState, r *reader) {
	switch r.num {
	case 7:
		list, _ := a.Value.([]float32)
		a.Value = r.floats(list)
	case 8:
		list, _ := a.Value.([]int64)
		a.Value = r.ints(list)
	case 9:
		a.Value = extend(r, a.Value, string(r.bytes()))
	case 10:
		t, info := d.tensor(r.bytes())
		list := extend(r, a.Value, t)
		a.Value = list
		a.inform(len(list)-1, info)
	case 11:
		list, _ := a.Value.([]*graph.Graph)
		d.push("graphs", len(list))
		a.Value = extend(r, a.Value, d.graph(r.bytes()))
		d.pop()
	case 15:
		a.Value = extend(r, a.Value, d.typ(r.bytes()))
	case 23:
		a.Value = extend(r, a.Value, d.sparse(r.bytes()))
	}
}

// extend appends v to the list in value, which may be nil.
func extend[T any](r *reader, value any, v T) []T {
	list, _ := value.([]T)
	if !r.room(len(list), 1) {
		return list
	}
	return append(list, v)
}

// inform keeps what the file says of the attribute's i-th tensor, if it says anything that
// TensorID does not hold.
func (a *attrState) inform(i int, info graph.TensorInfo) {
	if a.TensorID != "" {
		info.Name = ""
	}
	if info.Name == "" && info.Doc == "" && info.Meta == nil && info.Unknown == nil {
		return
	}
	for len(a.Info) <= i {
		a.Info = append(a.Info, graph.TensorInfo{})
	}
	a.Info[i] = info
}

// finishAttr checks the value against the declared type.
func (d *decoder) finishAttr(a *attrState) {
	if a.Name == "" {
		d.invalid("an attribute without a name")
	}
	if a.code < 0 || a.code > 14 {
		d.invalid("attribute type %d does not exist", a.code)
		return
	}
	t := attrTypeOf(int32(a.code))
	switch {
	case a.Ref != "":
		a.RefType = int32(a.code)
		if a.field != 0 {
			d.invalid("a value as well as a reference to attribute %q", a.Ref)
		}
	case t == nil && a.field == 0:
		d.invalid("an attribute without a value")
	case t == nil:
		// Files of the first IR version leave the type out.
	case a.field == 0 && t.zero == nil:
		d.invalid("an attribute of type %s without a value", t.name)
	case a.field == 0:
		a.Value = t.zero
	case a.field != t.field:
		d.invalid("declared as %s, but the value is of another type", t.name)
	}
}
