package op

import (
	"fmt"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Densify writes a sparse tensor out in full. Indices are linear ([n]) or by axis ([n,rank]).
func Densify(s *graph.Sparse) (*tensor.Tensor, error) {
	if s == nil {
		return nil, fmt.Errorf("no tensor")
	}
	if _, err := tensor.CheckedElements(s.Shape); err != nil {
		return nil, err
	}
	size := s.Values.DType.Bits() / 8
	if size == 0 {
		return nil, fmt.Errorf("sparse tensors of %s are not supported", s.Values.DType)
	}
	t := tensor.New(s.Values.DType, s.Shape...)
	idx, err := s.Indices.Ints()
	if err != nil {
		return nil, err
	}
	per := 1
	if s.Indices.Rank() == 2 {
		per = len(s.Shape)
	}
	n := s.Values.Len()
	if len(idx) != n*per {
		return nil, fmt.Errorf("%d values but indices of shape %v", n, s.Indices.Shape)
	}
	for i := range n {
		at := linear(idx[i*per:(i+1)*per], s.Shape)
		if at < 0 || at >= t.Len() {
			return nil, fmt.Errorf("index %v is outside shape %v", idx[i*per:(i+1)*per], s.Shape)
		}
		copy(t.Raw[at*size:(at+1)*size], s.Values.Raw[i*size:])
	}
	return t, nil
}

// linear returns the row-major position of an index, or -1 if it lies outside shape.
func linear(idx []int64, shape []int) int {
	if len(idx) == 1 && len(shape) != 1 {
		return int(idx[0])
	}
	at := 0
	for k, d := range shape {
		if idx[k] < 0 || idx[k] >= int64(d) {
			return -1
		}
		at = at*d + int(idx[k])
	}
	return at
}
