package graph

import (
	"fmt"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// Check says what is wrong with s by the rules of ONNX's SparseTensorProto: values of shape [n],
// int64 indices of shape [n] (linear) or [n,rank], inside the shape, ascending, none twice.
func (s *Sparse) Check() error {
	n := s.Values.Len()
	if s.Values.Rank() != 1 {
		return fmt.Errorf("the values of a sparse tensor have shape %v, not [n]", s.Values.Shape)
	}
	if s.Indices.DType != tensor.Int64 {
		return fmt.Errorf("the indices of a sparse tensor are %s, not int64", s.Indices.DType)
	}
	linear := len(s.Indices.Shape) == 1 && s.Indices.Shape[0] == n
	full := len(s.Indices.Shape) == 2 && s.Indices.Shape[0] == n && s.Indices.Shape[1] == len(s.Shape)
	if !linear && !full {
		return fmt.Errorf("the indices of a sparse tensor have shape %v for %d values of rank %d",
			s.Indices.Shape, n, len(s.Shape))
	}
	if _, err := tensor.CheckedElements(s.Shape); err != nil {
		return err
	}
	return s.eachIndex(func(int, int) {})
}

// eachIndex calls f with the number of every value and its linear index, in order. It stops with
// an error at an index that is outside the shape or not above the one before.
func (s *Sparse) eachIndex(f func(i, at int)) error {
	size := int64(tensor.Elements(s.Shape))
	idx := tensor.Of[int64](s.Indices)
	last := int64(-1)
	for i := range s.Values.Len() {
		at := int64(0)
		if s.Indices.Rank() == 1 {
			at = idx[i]
		} else {
			for j, n := range s.Shape {
				v := idx[i*len(s.Shape)+j]
				if v < 0 || v >= int64(n) {
					return fmt.Errorf("index %d of value %d is outside the shape %v", v, i, s.Shape)
				}
				at = at*int64(n) + v
			}
		}
		if at < 0 || at >= size {
			return fmt.Errorf("index %d of value %d is outside the shape %v", at, i, s.Shape)
		}
		if at <= last {
			return fmt.Errorf("the index of value %d is not above the one before", i)
		}
		last = at
		f(i, int(at))
	}
	return nil
}

// Dense returns the tensor that s stands for, zero where s has no value. It refuses to make one of
// more than limit bytes.
func (s *Sparse) Dense(limit int64) (*tensor.Tensor, error) {
	d := s.Values.DType
	n := tensor.Elements(s.Shape)
	size := int64(d.ByteLen(n))
	if d == tensor.String {
		size = int64(n) * 16
	}
	if size > limit {
		return nil, fault.Limitf("", "the dense form of a sparse tensor of shape %v takes %d bytes, the limit is %d",
			s.Shape, size, limit)
	}
	if d.Bits() < 8 && d != tensor.String {
		return s.densePacked()
	}
	t := tensor.New(d, s.Shape...)
	width := d.Bits() / 8
	err := s.eachIndex(func(i, at int) {
		if d == tensor.String {
			t.Str[at] = s.Values.Str[i]
			return
		}
		copy(t.Raw[at*width:(at+1)*width], s.Values.Raw[i*width:])
	})
	return t, err
}

// densePacked is Dense for types of which several elements share a byte.
func (s *Sparse) densePacked() (*tensor.Tensor, error) {
	codes := make([]byte, tensor.Elements(s.Shape))
	values := tensor.Unpack(s.Values)
	err := s.eachIndex(func(i, at int) { codes[at] = values[i] })
	return tensor.Pack(s.Values.DType, codes, s.Shape...), err
}
