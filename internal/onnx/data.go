package onnx

import (
	"lowbit/internal/tensor"
)

// DecodeTensor parses a TensorProto, as in the test_data_set files of ONNX, and returns its name.
// The tensor may share memory with b. Strings and all element types are taken; external data is
// refused.
func DecodeTensor(b []byte, lim Limits) (string, *tensor.Tensor, error) {
	d := newDecoder("", lim)
	d.push("tensor", -1)
	t, info := d.tensor(b)
	return info.Name, t, d.faults.Err()
}

// DecodeSequence parses a SequenceProto (onnx-data.proto) of tensors, sequences or optionals.
func DecodeSequence(b []byte, lim Limits) (string, *tensor.Tensor, error) {
	d := newDecoder("", lim)
	d.push("sequence", -1)
	name, t := d.sequence(b)
	return name, t, d.faults.Err()
}

// DecodeOptional parses an OptionalProto (onnx-data.proto).
func DecodeOptional(b []byte, lim Limits) (string, *tensor.Tensor, error) {
	d := newDecoder("", lim)
	d.push("optional", -1)
	name, t := d.optional(b)
	return name, t, d.faults.Err()
}

// The element kinds of SequenceProto and OptionalProto (their DataType).
const (
	dataUndefined = 0
	dataTensor    = 1
	dataSequence  = 3
	dataOptional  = 5
)

func (d *decoder) sequence(b []byte) (string, *tensor.Tensor) {
	s := tensor.NewSequence(tensor.Undefined)
	return d.container(s, "a sequence", b), s
}

func (d *decoder) optional(b []byte) (string, *tensor.Tensor) {
	o := tensor.NewOptional(tensor.Undefined, nil)
	name := d.container(o, "an optional", b)
	if len(o.Items) > 1 {
		d.invalid("an optional with %d values", len(o.Items))
	}
	return name, o
}

// container fills t from a SequenceProto or OptionalProto, whose fields have the same numbers, and
// returns its name.
func (d *decoder) container(t *tensor.Tensor, what string, b []byte) (name string) {
	if !d.enter(what) {
		return ""
	}
	defer d.leave()
	r := d.read(b)
	for r.next() {
		switch r.num {
		case 1:
			name = r.name()
		case 2:
			d.elemKind(r.int())
		case 3, 5, 7:
			d.item(t, &r)
		case 4, 6:
			d.unsupported("%s of sparse tensors or maps", what)
		}
	}
	return name
}

func (d *decoder) elemKind(v int64) {
	if v < 0 || v > dataOptional {
		d.invalid("element kind %d does not exist", v)
	}
}

// item appends one value to a sequence or optional: a tensor in field 3, a sequence in 5, an
// optional in 7.
func (d *decoder) item(s *tensor.Tensor, r *reader) {
	d.push("value", len(s.Items))
	defer d.pop()
	var v *tensor.Tensor
	switch r.num {
	case 3:
		v, _ = d.tensor(r.bytes())
	case 5:
		_, v = d.sequence(r.bytes())
	case 7:
		_, v = d.optional(r.bytes())
	}
	if v == nil {
		return
	}
	if len(s.Items) > 0 && s.Items[0].DType != v.DType {
		d.invalid("a value of type %s among %s", v.DType, s.Items[0].DType)
	}
	s.DType = v.DType
	s.Items = append(s.Items, v)
}
