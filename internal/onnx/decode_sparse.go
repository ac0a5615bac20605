package onnx

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// sparse parses a SparseTensorProto. After a fault its tensors may be nil.
func (d *decoder) sparse(b []byte) *graph.Sparse {
	s := &graph.Sparse{}
	var dims []int64
	var hasValues, hasIndices bool
	before := d.faults.Len()
	r := d.read(b)
	for r.next() {
		switch r.num {
		case 1:
			d.once(&hasValues, "values")
			s.Values, s.Info[0] = d.part("values", &r)
		case 2:
			d.once(&hasIndices, "indices")
			s.Indices, s.Info[1] = d.part("indices", &r)
		case 3:
			if len(dims) <= d.lim.Rank {
				dims = r.ints(dims)
			}
		default:
			s.Unknown = append(s.Unknown, r.raw...)
		}
	}
	var ok bool
	if s.Shape, ok = d.sizes(dims); !ok || d.faults.Len() > before {
		return s
	}
	if s.Values == nil || s.Indices == nil {
		d.invalid("a sparse tensor without values or indices")
		return s
	}
	if err := s.Check(); err != nil {
		d.invalid("%v", err)
	}
	return s
}

func (d *decoder) part(name string, r *reader) (*tensor.Tensor, graph.TensorInfo) {
	d.push(name, -1)
	defer d.pop()
	return d.tensor(r.bytes())
}

// smallDense returns the dense form of a sparse tensor unless that is out of proportion with the
// file: whoever needs a larger one has to ask for it with a limit of their own.
func (d *decoder) smallDense(s *graph.Sparse) *tensor.Tensor {
	if d.faults.Len() > 0 {
		return nil
	}
	stored := s.Values.Bytes() + s.Indices.Bytes()
	t, err := s.Dense(int64(max(1<<16, 16*stored)))
	if err != nil || !d.spend(int64(t.Bytes())) {
		return nil
	}
	return t
}
