package onnx

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// attr writes an AttributeProto of the node or function called owner.
func (e *encoder) attr(owner string, a *graph.Attr) *message {
	msg := &message{}
	msg.text(1, a.Name)
	code := int64(a.RefType)
	if a.Ref == "" {
		code = e.attrValue(msg, a)
		if code == 0 {
			e.invalid(owner, "attribute %q has a value of type %T", a.Name, a.Value)
		}
	}
	msg.text(13, a.Doc)
	msg.number(20, code)
	msg.text(21, a.Ref)
	msg.raw(a.Unknown)
	return msg
}

// attrValue writes the field of the attribute's value, and returns its AttributeProto type.
func (e *encoder) attrValue(msg *message, a *graph.Attr) int64 {
	switch v := a.Value.(type) {
	case float32:
		msg.float(2, v)
		return 1
	case int64:
		msg.varint(3, v)
		return 2
	case string:
		msg.str(4, v)
		return 3
	case *tensor.Tensor:
		info := infoOf(a, 0)
		info.Name = a.TensorID
		msg.sub(5, e.tensor(v, info))
		return 4
	case *graph.Graph:
		msg.sub(6, e.graph(v))
		return 5
	case *graph.Sparse:
		msg.sub(22, e.sparse(v, ""))
		return 11
	case graph.Type:
		msg.sub(14, e.typ(v))
		return 13
	}
	return e.attrList(msg, a)
}

func (e *encoder) attrList(msg *message, a *graph.Attr) int64 {
	switch v := a.Value.(type) {
	case []float32:
		for _, x := range v {
			msg.float(7, x)
		}
		return 6
	case []int64:
		for _, x := range v {
			msg.varint(8, x)
		}
		return 7
	case []string:
		msg.strs(9, v)
		return 8
	case []*tensor.Tensor:
		for i, t := range v {
			msg.sub(10, e.tensor(t, infoOf(a, i)))
		}
		return 9
	case []*graph.Graph:
		for _, g := range v {
			msg.sub(11, e.graph(g))
		}
		return 10
	case []*graph.Sparse:
		for _, s := range v {
			msg.sub(23, e.sparse(s, ""))
		}
		return 12
	case []graph.Type:
		for _, t := range v {
			msg.sub(15, e.typ(t))
		}
		return 14
	}
	return 0
}

// infoOf returns what is kept of the attribute's i-th tensor.
func infoOf(a *graph.Attr, i int) graph.TensorInfo {
	if i < len(a.Info) {
		return a.Info[i]
	}
	return graph.TensorInfo{}
}
