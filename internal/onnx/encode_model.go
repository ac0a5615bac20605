package onnx

import (
	"math"

	"lowbit/internal/fault"
	"lowbit/internal/graph"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encode writes a model as bytes, every tensor inside. The same model gives the same bytes. It is
// meant for small models; Save does not hold a second copy of the tensors in memory.
func Encode(m *graph.Model) ([]byte, error) {
	msg, err := encodeModel(m, nil)
	if err != nil {
		return nil, err
	}
	if msg.size() > math.MaxInt32 {
		return nil, fault.Limitf("", "the model takes %s bytes, more than a protobuf message may have", commas(msg.size()))
	}
	return msg.bytes()
}

// An encoder turns a model into a protobuf message. Known fields come in the order of their
// numbers, then the fields that are kept as bytes.
type encoder struct {
	out  *layout // where tensors lie that go into a file of their own; nil if none do
	errs fault.List
}

func encodeModel(m *graph.Model, out *layout) (*message, error) {
	e := &encoder{out: out}
	msg := e.model(m)
	msg.done = m.Backing.Forget
	return msg, e.errs.Err()
}

func (e *encoder) invalid(place, format string, a ...any) {
	e.errs.Add(fault.Invalidf(place, format, a...))
}

func (e *encoder) model(m *graph.Model) *message {
	msg := &message{}
	msg.varint(1, m.IR)
	msg.text(2, m.Producer)
	msg.text(3, m.ProducerVersion)
	msg.text(4, m.Domain)
	msg.number(5, m.Version)
	msg.text(6, m.Doc)
	if m.Graph != nil {
		msg.sub(7, e.graph(m.Graph))
	}
	opsets(msg, 8, m.Opsets)
	props(msg, 14, m.Meta)
	for _, f := range m.Functions {
		msg.sub(25, e.function(f))
	}
	msg.raw(m.Unknown)
	return msg
}

func opsets(msg *message, num protowire.Number, list []graph.Opset) {
	for _, o := range list {
		sub := &message{}
		sub.str(1, o.Domain)
		sub.varint(2, int64(o.Version))
		msg.sub(num, sub)
	}
}

func props(msg *message, num protowire.Number, list []graph.Prop) {
	for _, p := range list {
		sub := &message{}
		sub.str(1, p.Key)
		sub.str(2, p.Value)
		msg.sub(num, sub)
	}
}

func (e *encoder) function(f *graph.Function) *message {
	msg := &message{}
	msg.text(1, f.Name)
	msg.strs(4, f.In)
	msg.strs(5, f.Out)
	msg.strs(6, f.AttrNames)
	for _, n := range f.Nodes {
		msg.sub(7, e.node(n))
	}
	msg.text(8, f.Doc)
	opsets(msg, 9, f.Opsets)
	msg.text(10, f.Domain)
	for _, a := range f.Attrs {
		msg.sub(11, e.attr(f.Name, a))
	}
	for _, v := range f.Info {
		msg.sub(12, e.value(v))
	}
	msg.text(13, f.Overload)
	props(msg, 14, f.Meta)
	msg.raw(f.Unknown)
	return msg
}

func (e *encoder) graph(g *graph.Graph) *message {
	msg := &message{}
	for _, n := range g.Nodes {
		msg.sub(1, e.node(n))
	}
	msg.text(2, g.Name)
	for _, c := range g.Consts() {
		if c.Sparse == nil {
			info := graph.TensorInfo{Name: c.Name, Doc: c.Doc, Meta: c.Meta, Unknown: c.Unknown}
			msg.sub(5, e.tensor(c.Tensor, info))
		}
	}
	msg.text(10, g.Doc)
	for _, v := range g.In {
		msg.sub(11, e.value(v))
	}
	for _, v := range g.Out {
		msg.sub(12, e.value(v))
	}
	for _, v := range g.Info {
		msg.sub(13, e.value(v))
	}
	for _, c := range g.Consts() {
		if c.Sparse != nil {
			msg.sub(15, e.sparse(c.Sparse, c.Name))
		}
	}
	props(msg, 16, g.Meta)
	msg.raw(g.Unknown)
	return msg
}

func (e *encoder) node(n *graph.Node) *message {
	msg := &message{}
	msg.strs(1, n.In)
	msg.strs(2, n.Out)
	msg.text(3, n.Name)
	msg.text(4, n.Op)
	for _, a := range n.Attrs {
		msg.sub(5, e.attr(n.Label(), a))
	}
	msg.text(6, n.Doc)
	msg.text(7, n.Domain)
	msg.text(8, n.Overload)
	props(msg, 9, n.Meta)
	msg.raw(n.Unknown)
	return msg
}

func (e *encoder) value(v *graph.Value) *message {
	msg := &message{}
	msg.text(1, v.Name)
	if t := e.typ(v.Type); t.size() > 0 {
		msg.sub(2, t)
	}
	msg.text(3, v.Doc)
	props(msg, 4, v.Meta)
	msg.raw(v.Unknown)
	return msg
}
