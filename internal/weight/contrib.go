package weight

import (
	"math/bits"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Microsoft is the domain of the operators that multiply by weights of few bits.
const Microsoft = "com.microsoft"

// A layout is a matrix of codes (N,K) in blocks along K.
type layout struct {
	n, k, size, blocks int
	at                 func(n, k int) int // index of an element in the constant
	block              func(n, b int) int // index of a block among the parameters
}

// layoutOf reads a matrix (K,N), or (N,K), in groups along K; false where it is none.
func layoutOf(c *Coded) (layout, bool) {
	if len(c.Shape) != 2 || c.Block.Kind != format.Group {
		return layout{}, false
	}
	l := layout{size: c.Block.Size}
	if c.Block.Axis == 1 {
		l.n, l.k = c.Shape[0], c.Shape[1]
		l.at = func(n, k int) int { return n*l.k + k }
		l.block = func(n, b int) int { return n*l.blocks + b }
	} else {
		l.k, l.n = c.Shape[0], c.Shape[1]
		l.at = func(n, k int) int { return k*l.n + n }
		l.block = func(n, b int) int { return b*l.n + n }
	}
	l.blocks = (l.k + l.size - 1) / l.size
	return l, l.n > 0 && l.k > 0
}

// A Product is an operator that multiplies by a coded matrix.
type Product struct {
	Op    string
	In    []string // operands behind the left side
	Attrs map[string]int64
	Bias  int // which operand a bias is; 0: it takes none
}

// Product adds a matrix as operands of MatMulNBits or MatMulBnb4; false where neither takes it.
// New names begin with name.
func (w *Writer) Product(c *Coded, name string) (*Product, bool) {
	l, ok := layoutOf(c)
	if !ok {
		return nil, false
	}
	s := &spelling{Writer: w, c: c, name: name}
	switch f := c.Format; {
	case l.size < 16 || l.size&(l.size-1) != 0:
	case f.Kind == format.Linear && f.Bits <= 8:
		return s.nbits(l), true
	case f.Kind == format.Quantiles && l.k%l.size == 0:
		return s.bnb4(l), true
	}
	return nil, false
}

// nbits lays codes out as MatMulNBits wants them: (N, blocks, size·bits/8), the first code in the
// low bits, unsigned. A zero point in the middle is left out.
func (s *spelling) nbits(l layout) *Product {
	f := s.c.Format
	bits, shift := f.Bits, int32(-f.Lo)
	codes := make([]int32, l.n*l.blocks*l.size)
	scale, zero := make([]float32, 0, l.n*l.blocks), make([]int32, l.n*((l.blocks*bits+7)/8*8/bits))
	for n := range l.n {
		for b := range l.blocks {
			p := s.c.Params[l.block(n, b)]
			scale = append(scale, p.Scale)
			zero[n*len(zero)/l.n+b] = p.Zero + shift
			for i := range l.size {
				code := p.Zero
				if k := b*l.size + i; k < l.k {
					code = s.c.Codes[l.at(n, k)]
				}
				codes[(n*l.blocks+b)*l.size+i] = code + shift
			}
		}
	}
	p := &Product{Op: "MatMulNBits", Bias: 5, Attrs: map[string]int64{"K": int64(l.k), "N": int64(l.n), "bits": int64(bits), "block_size": int64(l.size)}}
	p.In = []string{
		s.constant("q", packed(codes, bits, l.n, l.blocks, l.size*bits/8)),
		s.constant("scale", tensor.Float32s(scale, l.n, l.blocks)),
	}
	if f.Zero {
		p.In = append(p.In, s.constant("zp", packed(zero, bits, l.n, (l.blocks*bits+7)/8)))
	}
	return p
}

// packed puts codes into bytes, the first in the low bits.
func packed(codes []int32, bits int, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Uint8, shape...)
	per := 8 / bits
	for i, c := range codes {
		t.Raw[i/per] |= byte(c) << (i % per * bits)
	}
	return t
}

// bnb4 lays codes out as MatMulBnb4 wants them: (N,K) as one row, the first code in the high bits.
func (s *spelling) bnb4(l layout) *Product {
	const nf4 = 1
	raw := tensor.New(tensor.Uint8, (l.n*l.k+1)/2)
	top := make([]float32, l.n*l.blocks)
	for n := range l.n {
		for k := range l.k {
			i := n*l.k + k
			raw.Raw[i/2] |= byte(s.c.Codes[l.at(n, k)]) << (4 - i%2*4)
		}
		for b := range l.blocks {
			top[n*l.blocks+b] = s.c.Params[l.block(n, b)].Scale
		}
	}
	return &Product{
		Op:    "MatMulBnb4",
		In:    []string{s.constant("q", raw), s.constant("scale", tensor.Float32s(top, len(top)))},
		Attrs: map[string]int64{"K": int64(l.k), "N": int64(l.n), "block_size": int64(l.size), "quant_type": nf4},
	}
}

// fp4 is the four-bit float of MatMulBnb4: its marks in twelfths, in an order of their own.
var fp4 = &format.Format{
	Name: "fp4-bnb", Bits: 4, Kind: format.Floating, Elem: tensor.Uint4, Via: format.Table, Opset: 21,
	Marks: []float32{0, 0.0625 / 12, 8. / 12, 1, 4. / 12, 6. / 12, 2. / 12, 3. / 12,
		0, -0.0625 / 12, -8. / 12, -1, -4. / 12, -6. / 12, -2. / 12, -3. / 12},
}

// ReadProduct returns the matrix (N,K) that a MatMulNBits or MatMulBnb4 node multiplies by, nil where
// the node is none or its operands are not constant.
func ReadProduct(src Source, n *graph.Node) *Coded {
	if s := ReadStoredProduct(src, n); s != nil {
		return s.codes()
	}
	return nil
}

// product is the matrix of a node that multiplies by constant codes with constant scales.
func (r *reader) product(n *graph.Node) (l layout, ok bool) {
	l = layout{n: n.Int("N", 0), k: n.Int("K", 0), size: n.Int("block_size", 0)}
	if n.Domain != Microsoft || l.n < 1 || l.k < 1 || l.size < 1 || r.constant(n, 1) == nil || r.constant(n, 2) == nil {
		return l, false
	}
	l.blocks = (l.k + l.size - 1) / l.size
	return l, true
}

// wholeFormats are the formats of MatMulNBits by their bits, without zero points and with them.
var wholeFormats = map[int][2]*format.Format{2: {format.Int2, format.Uint2}, 4: {format.Int4, format.Uint4}, 8: {format.Int8, format.Uint8}}

func (r *reader) nbits(n *graph.Node, l layout) *Stored {
	bits := n.Int("bits", 4)
	f, ok := wholeFormats[bits]
	raw := r.constant(n, 1).Raw
	p, err := plainParams(r.constant(n, 2))
	if !ok || err != nil || len(p) != l.n*l.blocks || len(raw) != l.n*l.blocks*l.size*bits/8 || r.input(n, 4) != "" {
		return nil
	}
	s := &Stored{Raw: raw, Pitch: l.blocks * l.size}
	s.Coded = Coded{Format: f[0], Block: format.Block{Kind: format.Group, Axis: 1, Size: l.size}, Shape: []int{l.n, l.k}, Params: p}
	if z := r.constant(n, 3); z != nil {
		row := (l.blocks*bits + 7) / 8
		if z.DType != tensor.Uint8 || len(z.Raw) != l.n*row {
			return nil
		}
		s.Format = f[1]
		for i := range l.n {
			for b := range l.blocks {
				p[i*l.blocks+b].Zero = unpack(z.Raw[i*row:], bits, b)
			}
		}
	}
	return s
}

func unpack(row []byte, bits, i int) int32 {
	per := 8 / bits
	return int32(row[i/per] >> (i % per * bits) & byte(1<<bits-1))
}

// HoldsBnb4 says whether n is a MatMulBnb4 whose matrix [ReadStoredProduct] reads.
func HoldsBnb4(src Source, n *graph.Node) bool {
	r := &reader{src: src}
	l, ok := r.product(n)
	return ok && n.Op == "MatMulBnb4" && r.fitsBnb4(n, l)
}

// fitsBnb4 says whether the operands of a MatMulBnb4 hold a whole matrix.
func (r *reader) fitsBnb4(n *graph.Node, l layout) bool {
	codes, scale := r.constant(n, 1), r.constant(n, 2)
	return scale.DType.IsFloat() && n.Bool("transB", true) && l.k%l.size == 0 && scale.Len() == l.n*l.blocks && len(codes.Raw) == (l.n*l.k+1)/2
}

// bnb4 reads a matrix whose codes stand in the other order in their bytes.
func (r *reader) bnb4(n *graph.Node, l layout) *Stored {
	if !r.fitsBnb4(n, l) {
		return nil
	}
	p, err := plainParams(r.constant(n, 2))
	if err != nil {
		return nil
	}
	s := &Stored{Raw: make([]byte, (l.n*l.k+1)/2), Pitch: l.k}
	s.Coded = Coded{Format: fp4, Block: format.Block{Kind: format.Group, Axis: 1, Size: l.size}, Shape: []int{l.n, l.k}, Params: p}
	if n.Int("quant_type", 0) == 1 {
		s.Format = format.NF4Plain
	}
	for i, b := range r.constant(n, 1).Raw {
		s.Raw[i] = bits.RotateLeft8(b, 4)
	}
	return s
}
