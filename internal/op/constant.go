package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// constantForms reads the attributes that may carry a Constant's value.
var constantForms = map[string]func(v any) (*tensor.Tensor, error){
	"value":        func(v any) (*tensor.Tensor, error) { return v.(*tensor.Tensor), nil },
	"sparse_value": func(v any) (*tensor.Tensor, error) { return densify(v.(*graph.Sparse)) },
	"value_float":  func(v any) (*tensor.Tensor, error) { return tensor.Scalar(v.(float32)), nil },
	"value_int":    func(v any) (*tensor.Tensor, error) { return tensor.Int64s([]int64{v.(int64)}), nil },
	"value_string": func(v any) (*tensor.Tensor, error) { return tensor.Strings([]string{v.(string)}), nil },
	"value_floats": func(v any) (*tensor.Tensor, error) {
		return tensor.Float32s(v.([]float32), len(v.([]float32))), nil
	},
	"value_ints":    func(v any) (*tensor.Tensor, error) { return tensor.Vector(v.([]int64)...), nil },
	"value_strings": func(v any) (*tensor.Tensor, error) { return tensor.Strings(v.([]string), len(v.([]string))), nil },
}

// DenseConst returns an initializer in full, where it is sparse too.
func DenseConst(c *graph.Const) (*tensor.Tensor, error) {
	if c.Tensor != nil {
		return c.Tensor, nil
	}
	return densify(c.Sparse)
}

func densify(s *graph.Sparse) (*tensor.Tensor, error) {
	if s == nil || s.Values == nil || s.Indices == nil {
		return nil, invalidf("the sparse value is empty")
	}
	if err := s.Check(); err != nil {
		return nil, invalidf("%v", err)
	}
	if _, err := checkSize(s.Values.DType, s.Shape); err != nil {
		return nil, err
	}
	return s.Dense(int64(sizeLimit))
}

func evalConstant(c *Call) ([]*tensor.Tensor, error) { return one(constantOf(c.Node)) }

func constantOf(n *graph.Node) (*tensor.Tensor, error) {
	for _, a := range n.Attrs {
		read := constantForms[a.Name]
		if read == nil {
			continue
		}
		t, err := read(a.Value)
		if err == nil && t == nil {
			err = invalidf("attribute %q is empty", a.Name)
		}
		return t, err
	}
	return nil, invalidf("no attribute holds the value")
}

func inferConstant(c *Inference) ([]Fact, error) {
	t, err := constantOf(c.Node)
	if err != nil {
		return nil, err
	}
	return []Fact{factOf(t)}, nil
}
