package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/graph"
)

// typeFields is typeKinds the other way round.
var typeFields = func() map[graph.Kind]protowire.Number {
	fields := map[graph.Kind]protowire.Number{}
	for num, kind := range typeKinds {
		fields[kind] = num
	}
	return fields
}()

// typ writes a TypeProto. An opaque type is among the fields kept as bytes.
func (e *encoder) typ(t graph.Type) *message {
	msg := &message{}
	if t.Kind != graph.NoType && t.Kind != graph.OpaqueType {
		msg.sub(typeFields[t.Kind], e.typeBody(t))
	}
	msg.text(6, t.Denotation)
	msg.raw(t.Unknown)
	return msg
}

func (e *encoder) typeBody(t graph.Type) *message {
	msg := &message{}
	switch t.Kind {
	case graph.TensorType, graph.SparseType:
		msg.varint(1, int64(t.DType))
		if t.Ranked {
			msg.sub(2, shapeMessage(t.Shape))
		}
	case graph.MapType:
		msg.varint(1, int64(t.DType))
		e.elem(msg, 2, t.Elem)
	default:
		e.elem(msg, 1, t.Elem)
	}
	return msg
}

func (e *encoder) elem(msg *message, num protowire.Number, t *graph.Type) {
	if t == nil {
		return
	}
	if sub := e.typ(*t); sub.size() > 0 {
		msg.sub(num, sub)
	}
}

func shapeMessage(dims []graph.Dim) *message {
	msg := &message{}
	for _, d := range dims {
		sub := &message{}
		if d.IsKnown() {
			sub.varint(1, int64(d.Size))
		} else {
			sub.text(2, d.Name)
		}
		sub.text(3, d.Doc)
		msg.sub(1, sub)
	}
	return msg
}
