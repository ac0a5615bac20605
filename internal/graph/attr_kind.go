package graph

import "lowbit/internal/tensor"

// attrTypes are the words for AttributeProto.AttributeType, by number.
var attrTypes = []string{"undefined", "float", "int", "string", "tensor", "graph", "floats", "ints", "strings",
	"tensors", "graphs", "sparse_tensor", "sparse_tensors", "type_proto", "type_protos"}

// AttrKind names the type of an attribute's value as AttributeProto does, in lower case.
func AttrKind(v any) string {
	switch v.(type) {
	case float32:
		return "float"
	case int64:
		return "int"
	case string:
		return "string"
	case *tensor.Tensor:
		return "tensor"
	case *Graph:
		return "graph"
	case *Sparse:
		return "sparse_tensor"
	case Type:
		return "type_proto"
	case []float32:
		return "floats"
	case []int64:
		return "ints"
	case []string:
		return "strings"
	case []*tensor.Tensor:
		return "tensors"
	case []*Graph:
		return "graphs"
	case []*Sparse:
		return "sparse_tensors"
	case []Type:
		return "type_protos"
	}
	return "undefined"
}
