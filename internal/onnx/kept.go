package onnx

import "google.golang.org/protobuf/encoding/protowire"

// Some messages of ONNX have no room in the graph and are kept as bytes. Their form is checked
// all the same, so that what is written back is a file that others can read.

// A form lists the fields of such a message.
type form map[protowire.Number]part

// A part is one field of a form.
type part struct {
	read func(*reader) // takes the value; nil for a message
	sub  form
}

var (
	textPart  = part{read: func(r *reader) { r.doc() }}
	intPart   = part{read: func(r *reader) { r.int() }}
	intsPart  = part{read: func(r *reader) { r.ints(nil) }}
	pairForm  = form{1: textPart, 2: textPart}
	pairPart  = part{sub: pairForm}
	annotated = form{1: textPart, 2: pairPart} // TensorAnnotation
	opaque    = pairForm                       // TypeProto.Opaque
	device    = form{1: textPart, 2: intPart, 3: textPart}
	bindings  = form{3: pairPart, 4: pairPart} // of TrainingInfoProto, besides its graphs
	sharding  = form{                          // NodeDeviceConfigurationProto
		1: textPart,
		2: {sub: form{ // ShardingSpecProto
			1: textPart,
			2: intsPart,
			3: {sub: form{1: intPart, 2: intsPart}},
			4: {sub: form{1: intPart, 2: {sub: form{1: intPart, 2: textPart, 3: intPart}}}},
		}},
		3: intPart,
	}
)

// keep appends the current field to the fields that are kept as bytes, once its form is checked.
func (r *reader) keep(kept *[]byte, field string, f form) {
	r.d.push(field, -1)
	r.d.conforms(r.bytes(), f)
	r.d.pop()
	*kept = append(*kept, r.raw...)
}

// conforms checks a message against its form. Fields that the form does not list may be anything.
func (d *decoder) conforms(b []byte, f form) {
	r := d.read(b)
	for r.next() {
		switch p, known := f[r.num]; {
		case !known:
		case p.read != nil:
			p.read(&r)
		default:
			d.conforms(r.bytes(), p.sub)
		}
	}
}
