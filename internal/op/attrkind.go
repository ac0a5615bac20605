package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// attrKind names the type of an attribute's value as AttributeProto does, in lower case.
func attrKind(v any) string {
	switch v.(type) {
	case float32:
		return "float"
	case int64:
		return "int"
	case string:
		return "string"
	case *tensor.Tensor:
		return "tensor"
	case *graph.Graph:
		return "graph"
	case *graph.Sparse:
		return "sparse_tensor"
	case graph.Type:
		return "type_proto"
	case []float32:
		return "floats"
	case []int64:
		return "ints"
	case []string:
		return "strings"
	case []*tensor.Tensor:
		return "tensors"
	case []*graph.Graph:
		return "graphs"
	case []*graph.Sparse:
		return "sparse_tensors"
	case []graph.Type:
		return "type_protos"
	}
	return "undefined"
}
