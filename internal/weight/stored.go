package weight

import (
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Stored is a matrix of which the parameters are read, and the codes are left where the file has them.
type Stored struct {
	Coded        // without its codes
	Raw   []byte // the codes, of as many bits as the format says, the first in the low bits of a byte
	Pitch int    // codes from one row to the next
	Flip  uint8  // bits that are toggled in each, which then is the code less the least one of the format
}

// ReadStored is [Read] for a matrix of whole numbers of two, four or eight bits that DequantizeLinear reads; nil for other values.
func ReadStored(src Source, name string) *Stored {
	r := &reader{src: src, bare: true}
	n := r.node(name)
	if n == nil || n.Op != "DequantizeLinear" {
		return nil
	}
	t := r.constant(n, 0)
	if t == nil || t.Rank() != 2 || !t.DType.IsInt() || t.DType.Bits() > 8 {
		return nil
	}
	c := r.dequantize(n)
	if c == nil || !c.whole() || c.Format.Bits != t.DType.Bits() {
		return nil
	}
	s := &Stored{Coded: *c, Raw: t.Raw, Pitch: t.Shape[1]}
	if t.DType.Class() == tensor.ClassInt {
		s.Flip = 1 << (t.DType.Bits() - 1)
	}
	return s
}

// ReadStoredProduct is [ReadProduct] without a number for each code.
func ReadStoredProduct(src Source, n *graph.Node) *Stored {
	r := &reader{src: src}
	l, ok := r.product(n)
	switch {
	case ok && n.Op == "MatMulNBits":
		return r.nbits(n, l)
	case ok && n.Op == "MatMulBnb4":
		return r.bnb4(n, l)
	}
	return nil
}

// codes is the matrix with its codes.
func (s *Stored) codes() *Coded {
	c, bits := s.Coded, s.Format.Bits
	rows, cols, mask := c.Shape[0], c.Shape[1], byte(1<<bits-1)
	c.Codes = make([]int32, rows*cols)
	for i := range rows {
		for j := range cols {
			at := (i*s.Pitch + j) * bits
			code := s.Raw[at/8]>>(at%8)&mask ^ s.Flip
			c.Codes[i*cols+j] = int32(code) + int32(s.Format.Lo)
		}
	}
	return &c
}

// plainParams are the parameters of blocks with some scales.
func plainParams(scale *tensor.Tensor) ([]format.Params, error) {
	p := make([]format.Params, scale.Len())
	if scale.DType == tensor.Float32 {
		for i, v := range tensor.Of[float32](scale) {
			p[i].Scale = v
		}
		return p, nil
	}
	list, err := format.Floats(scale)
	for i, v := range list {
		p[i].Scale = float32(v)
	}
	return p, err
}
