package onnx

import (
	"math"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

// newestIR is the newest version of the file format that is known, that of ONNX 1.23.
const newestIR = 14

// Decode parses a model from bytes. Its tensors share memory with b. External data is refused:
// bytes have no folder. The error lists up to 20 faults with their places.
func Decode(b []byte, lim Limits) (*graph.Model, error) {
	return newDecoder("", lim).open(b)
}

// open decodes, checks and sorts a whole model.
func (d *decoder) open(b []byte) (*graph.Model, error) {
	if err := foreign(d.root, b); err != nil {
		return nil, err
	}
	m := d.model(b)
	d.names = nil
	if d.faults.Len() == 0 {
		found := graph.Check(m, d.lim.structure())
		for _, e := range found.Errors() {
			e.Place = joinPlace(d.root, e.Place)
		}
		d.faults.Join(found)
	}
	if err := d.faults.Err(); err != nil {
		if isText(b) {
			return nil, fault.Invalidf(d.root, "this is a text file, not a model")
		}
		return nil, err
	}
	return m, m.Sort()
}

func joinPlace(root, place string) string {
	if root == "" || place == "" {
		return root + place
	}
	return root + ": " + place
}

// model parses a ModelProto.
func (d *decoder) model(b []byte) *graph.Model {
	m := &graph.Model{}
	r := d.read(b)
	for r.next() {
		switch r.num {
		case 1:
			m.IR = r.int()
		case 2:
			m.Producer = r.doc()
		case 3:
			m.ProducerVersion = r.doc()
		case 4:
			m.Domain = r.doc()
		case 5:
			m.Version = r.int()
		case 6:
			m.Doc = r.doc()
		case 7:
			d.mainGraph(m, &r)
		case 8:
			m.Opsets = d.opset(m.Opsets, &r)
		case 14:
			m.Meta = d.prop(m.Meta, &r)
		case 20:
			d.training(&r)
			m.Unknown = append(m.Unknown, r.raw...)
		case 25:
			d.function(m, &r)
		case 26:
			r.keep(&m.Unknown, "configuration", device)
		default:
			m.Unknown = append(m.Unknown, r.raw...)
		}
	}
	d.checkModel(m)
	return m
}

func (d *decoder) mainGraph(m *graph.Model, r *reader) {
	if m.Graph != nil {
		d.invalid("the field graph stands there twice")
		return
	}
	d.push("graph", -1)
	m.Graph = d.graph(r.bytes())
	d.pop()
}

func (d *decoder) checkModel(m *graph.Model) {
	switch {
	case m.Graph == nil && d.faults.Len() == 0:
		d.fault(fault.Invalidf, "this is not an ONNX model: it has no graph").
			WithHint("give the path of an .onnx file")
	case m.Graph == nil:
	case m.IR < 1:
		d.invalid("ir_version is %d; it must be set", m.IR)
	case m.IR > newestIR:
		d.unsupported("ir_version %d is newer than %d, the newest that is known", m.IR, newestIR)
	case len(m.Opsets) == 0 && m.IR < 3:
		m.Opsets = []graph.Opset{{Version: 1}}
	}
}

// opset appends an OperatorSetIdProto to list. Of a domain that stands there twice the last version
// counts, as in onnx and ONNX Runtime.
func (d *decoder) opset(list []graph.Opset, f *reader) []graph.Opset {
	d.push("opset_import", len(list))
	defer d.pop()
	o := graph.Opset{}
	version := int64(0)
	r := d.read(f.bytes())
	for r.next() {
		switch r.num {
		case 1:
			o.Domain = r.name()
		case 2:
			version = r.int()
		}
	}
	d.called(o.Domain)
	if version < 1 || version > math.MaxInt32 {
		d.invalid("version %d", version)
	}
	o.Version = int(version)
	for i, p := range list {
		if graph.CanonicalDomain(p.Domain) == graph.CanonicalDomain(o.Domain) {
			list[i].Version = o.Version
			return list
		}
	}
	return append(list, o)
}

// prop appends a StringStringEntryProto to list.
func (d *decoder) prop(list []graph.Prop, f *reader) []graph.Prop {
	d.push("metadata_props", len(list))
	defer d.pop()
	return append(list, d.pair(f.bytes()))
}

func (d *decoder) pair(b []byte) graph.Prop {
	p := graph.Prop{}
	r := d.read(b)
	for r.next() {
		switch r.num {
		case 1:
			p.Key = r.meta()
		case 2:
			p.Value = r.meta()
		}
	}
	return p
}

// function appends a FunctionProto to the model.
func (d *decoder) function(m *graph.Model, field *reader) {
	d.push("functions", len(m.Functions))
	defer d.pop()
	if len(m.Functions) >= d.lim.Functions {
		d.limit("more than %s functions", commas(d.lim.Functions))
		return
	}
	f := &graph.Function{}
	m.Functions = append(m.Functions, f)
	r := d.read(field.bytes())
	for r.next() {
		d.functionField(f, &r)
	}
}

func (d *decoder) functionField(f *graph.Function, r *reader) {
	switch r.num {
	case 1:
		f.Name = r.name()
		d.called(f.Name)
	case 4:
		f.In = append(f.In, r.name())
	case 5:
		f.Out = append(f.Out, r.name())
	case 6:
		f.AttrNames = append(f.AttrNames, r.name())
	case 7:
		f.Nodes = d.node(f.Nodes, r)
	case 8:
		f.Doc = r.doc()
	case 9:
		f.Opsets = d.opset(f.Opsets, r)
	case 10:
		f.Domain = r.name()
	case 11:
		f.Attrs = d.attr("attribute_proto", f.Attrs, r)
	case 12:
		f.Info = d.value("value_info", f.Info, r)
	case 13:
		f.Overload = r.name()
	case 14:
		f.Meta = d.prop(f.Meta, r)
	default:
		f.Unknown = append(f.Unknown, r.raw...)
	}
}

// training looks through a TrainingInfoProto, which is kept as bytes: its graphs must be as sound
// as any other, and cannot refer to further files, because nobody would write those.
func (d *decoder) training(field *reader) {
	d.push("training_info", -1)
	defer d.pop()
	ext := d.ext
	d.ext = nil
	defer func() { d.ext = ext }()
	d.conforms(field.bytes(), bindings)
	r := d.read(field.bytes())
	for r.next() {
		if r.num == 1 || r.num == 2 {
			d.push([...]string{1: "initialization", 2: "algorithm"}[r.num], -1)
			d.graph(r.bytes())
			d.pop()
		}
	}
}
