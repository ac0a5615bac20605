package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// EncodeTensor writes a dense tensor as a TensorProto of that name.
func EncodeTensor(name string, t *tensor.Tensor) ([]byte, error) {
	e := &encoder{}
	return flatten(e, e.tensor(t, graph.TensorInfo{Name: name}))
}

// EncodeSequence writes a sequence as a SequenceProto of that name.
func EncodeSequence(name string, t *tensor.Tensor) ([]byte, error) {
	e := &encoder{}
	return flatten(e, e.container(name, t, tensor.Sequence))
}

// EncodeOptional writes an optional as an OptionalProto of that name.
func EncodeOptional(name string, t *tensor.Tensor) ([]byte, error) {
	e := &encoder{}
	return flatten(e, e.container(name, t, tensor.Optional))
}

// flatten returns a message as bytes, unless there were faults on the way.
func flatten(e *encoder, m *message) ([]byte, error) {
	if err := e.errs.Err(); err != nil {
		return nil, err
	}
	return m.bytes()
}

// tensor writes a TensorProto, with raw data for everything but strings.
func (e *encoder) tensor(t *tensor.Tensor, info graph.TensorInfo) *message {
	msg := &message{}
	if t == nil || t.Kind != tensor.Dense {
		e.invalid(info.Name, "a tensor is wanted")
		return msg
	}
	for _, d := range t.Shape {
		msg.varint(1, int64(d))
	}
	msg.varint(2, int64(t.DType))
	n, err := tensor.CheckedElements(t.Shape)
	spot, external := e.out.find(t)
	switch {
	case err != nil:
		e.invalid(info.Name, "%v", err)
	case t.DType == tensor.String && n == len(t.Str):
		msg.strs(6, t.Str)
	case t.DType != tensor.String && len(t.Raw) == t.DType.ByteLen(n) && n > 0:
	case n > 0 || len(t.Raw) > 0 || len(t.Str) > 0:
		e.invalid(info.Name, "%s has %d bytes and %d strings", t, len(t.Raw), len(t.Str))
	}
	msg.text(8, info.Name)
	if t.DType != tensor.String && !external && len(t.Raw) > 0 {
		msg.data(9, t.Raw)
	}
	msg.text(12, info.Doc)
	if external {
		props(msg, 13, spot)
		msg.varint(14, 1)
	}
	props(msg, 16, info.Meta)
	msg.raw(info.Unknown)
	return msg
}

// sparse writes a SparseTensorProto; name, if it is not empty, goes to its values.
func (e *encoder) sparse(s *graph.Sparse, name string) *message {
	msg := &message{}
	info := s.Info[0]
	if name != "" {
		info.Name = name
	}
	msg.sub(1, e.tensor(s.Values, info))
	msg.sub(2, e.tensor(s.Indices, s.Info[1]))
	for _, d := range s.Shape {
		msg.varint(3, int64(d))
	}
	msg.raw(s.Unknown)
	return msg
}

// container writes a SequenceProto or OptionalProto.
func (e *encoder) container(name string, t *tensor.Tensor, want tensor.Kind) *message {
	msg := &message{}
	if t == nil || t.Kind != want {
		e.invalid(name, "a value of another kind is wanted")
		return msg
	}
	msg.text(1, name)
	elem := int64(dataUndefined)
	var items message
	for _, v := range t.Items {
		var sub *message
		var num protowire.Number
		switch v.Kind {
		case tensor.Dense:
			elem, num, sub = dataTensor, 3, e.tensor(v, graph.TensorInfo{})
		case tensor.Sequence:
			elem, num, sub = dataSequence, 5, e.container("", v, tensor.Sequence)
		case tensor.Optional:
			elem, num, sub = dataOptional, 7, e.container("", v, tensor.Optional)
		}
		items.sub(num, sub)
	}
	if elem == dataUndefined && want == tensor.Sequence {
		elem = dataTensor
	}
	msg.varint(2, elem)
	msg.buf, msg.splice, msg.extra = append(msg.buf, items.buf...), shift(items.splice, len(msg.buf)), items.extra
	return msg
}

func shift(list []splice, by int) []splice {
	for i := range list {
		list[i].at += by
	}
	return list
}
