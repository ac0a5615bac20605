package engine

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// A fewBits is a matrix (N,K) of few bits as kernels take it.
type fewBits struct {
	kernel.BlockWeight
	bits int     // of whole-number codes, from 0 on; 0: codes are none
	zero []int32 // of each block, for such codes
	low  int     // what code 0 of them means
}

// A fewStored is a matrix as the file spells it, which is kept from when a network is read until it is packed.
type fewStored struct {
	bits  fewBits       // (N,K) as stored, without scales
	coded *weight.Coded // without its codes, four times as large
	from  *oneNode      // what reads it, and is read when it is packed; nil: it is read
}

// fewOf takes a matrix whose codes stay where the file has them.
func fewOf(s *weight.Stored) *fewStored {
	if s == nil {
		return nil
	}
	b := fewBits{BlockWeight: kernel.BlockWeight{N: s.Shape[0], K: s.Shape[1], Block: s.Shape[1], Codes: s.Raw, CodeBits: s.Format.Bits, Flip: s.Flip, Pitch: s.Pitch}}
	if len(s.Format.Marks) > 0 {
		b.marks(s.Format)
	} else {
		b.bits, b.low = s.Format.Bits, s.Format.Lo
	}
	return &fewStored{bits: b, coded: &s.Coded}
}

// fewHalves takes a matrix of float16 that stays where the file has it; nil for bfloat16, which has no kernels.
func fewHalves(t *tensor.Tensor) *fewStored {
	if t.DType != tensor.Float16 || t.Rank() != 2 {
		return nil
	}
	b := fewBits{BlockWeight: kernel.BlockWeight{N: t.Shape[0], K: t.Shape[1], Block: t.Shape[1], Kind: kernel.KindF16, Halves: tensor.Of[uint16](t)}}
	return &fewStored{bits: b, coded: &weight.Coded{Format: format.ByElem(t.DType), Shape: t.Shape}}
}

// readFew returns nil for forms that have no kernels.
func readFew(c *weight.Coded) *fewStored {
	if c == nil || len(c.Shape) != 2 || c.Block.Flat {
		return nil
	}
	b := fewBits{BlockWeight: kernel.BlockWeight{N: c.Shape[0], K: c.Shape[1], Block: c.Shape[1]}}
	read := codeReaders[c.Format.Elem]
	if len(c.Format.Marks) > 0 {
		read = readMarks
	}
	if len(c.Codes) == 0 || read == nil || !read(&b, c) {
		return nil
	}
	rest := *c
	rest.Codes = nil
	return &fewStored{bits: b, coded: &rest}
}

// matrix is the matrix whose axis n holds the output columns; nil where its blocks have no kernels.
func (f *fewStored) matrix(n int) *fewBits {
	if f != nil && f.from != nil {
		f = fewOf(weight.ReadStored(f.from, f.from.node.Out[0]))
	}
	if f == nil {
		return nil
	}
	b, c := f.bits, f.coded
	if n == 1 {
		c = b.turn(c)
	}
	if c.Format.Scaled() && !b.params(c) {
		return nil
	}
	return &b
}

// fewBitsOf reads a coded matrix whose axis n holds the output columns. It returns nil for forms that
// have no kernels.
func fewBitsOf(c *weight.Coded, n int) *fewBits { return readFew(c).matrix(n) }

// turn makes b the transpose of what it is, and returns c with the blocks of that.
func (b *fewBits) turn(c *weight.Coded) *weight.Coded {
	rows, cols := b.N, b.K
	b.N, b.K, b.Block = cols, rows, rows
	b.Turned = !b.Turned
	t := *c
	t.Block.Axis = 1 - c.Block.Axis
	if c.Block.Kind == format.Group {
		s := c.Block.ParamShape(c.Shape)
		t.Params = make([]format.Params, len(c.Params))
		flipped(t.Params, c.Params, s[0], s[1])
	}
	return &t
}

// fewBits is the matrix that v is, for float products: in few bits where it is large enough.
func (v *value) fewBits(columns int) *fewBits {
	if v.elems() < fewLeast {
		return nil
	}
	if v.fewTurned {
		columns = 1 - columns
	}
	return v.few.matrix(columns)
}

// params reads the scales and zero points of the blocks.
func (b *fewBits) params(c *weight.Coded) bool {
	switch {
	case c.Block.Kind == format.Group && c.Block.Axis == 1:
		b.Block = c.Block.Size
	case c.Block.Kind == format.Channel && c.Block.Axis == 0, c.Block.Kind == format.Whole:
	default:
		return false
	}
	count := b.N * b.Blocks()
	if len(c.Params) != count && len(c.Params) != 1 {
		return false
	}
	b.Scale, b.zero = make([]float32, count), make([]int32, count)
	for i := range count {
		p := c.Params[i%len(c.Params)]
		b.Scale[i], b.zero[i] = p.Scale, p.Zero
	}
	return true
}

// codeReaders reads the codes of formats without a list of marks, by their element type.
var codeReaders = map[tensor.DType]func(b *fewBits, c *weight.Coded) bool{
	tensor.Int8: readWhole, tensor.Uint8: readWhole, tensor.Int4: readWhole, tensor.Uint4: readWhole, tensor.Int2: readWhole, tensor.Uint2: readWhole,
	tensor.Float8E4M3FN: readFloat8(kernel.KindE4M3, 0x7f), tensor.Float8E5M2: readFloat8(kernel.KindE5M2, 0x7c),
	tensor.Float16: readHalves,
}

func readWhole(b *fewBits, c *weight.Coded) bool {
	b.bits, b.low = c.Format.Bits, c.Format.Lo
	b.Codes = make([]uint8, len(c.Codes))
	for i, v := range c.Codes {
		b.Codes[i] = uint8(v - int32(b.low))
	}
	return len(c.Codes) == b.N*b.K
}

// readMarks takes up to sixteen marks.
func readMarks(b *fewBits, c *weight.Coded) bool {
	b.marks(c.Format)
	b.Codes = make([]uint8, len(c.Codes))
	for i, v := range c.Codes {
		b.Codes[i] = uint8(v)
	}
	return len(b.Marks) <= 16 && len(c.Codes) == b.N*b.K
}

// marks sets what codes of a format of up to four bits mean.
func (b *fewBits) marks(f *format.Format) {
	b.Kind = kernel.KindMarks4
	if f.Bits <= 2 {
		b.Kind = kernel.KindMarks2
	}
	for _, m := range f.Marks {
		if m != m {
			m = 0
		}
		b.Marks = append(b.Marks, m)
	}
}

// readFloat8 takes finite codes: their magnitudes are below the one that is none.
func readFloat8(kind kernel.CodeKind, none int32) func(b *fewBits, c *weight.Coded) bool {
	return func(b *fewBits, c *weight.Coded) bool {
		b.Kind = kind
		b.Codes = make([]uint8, len(c.Codes))
		for i, v := range c.Codes {
			if v&0x7f >= none {
				return false
			}
			b.Codes[i] = uint8(v)
		}
		return len(c.Codes) == b.N*b.K
	}
}

func readHalves(b *fewBits, c *weight.Coded) bool {
	b.Kind = kernel.KindF16
	b.Halves = make([]uint16, len(c.Codes))
	for i, v := range c.Codes {
		b.Halves[i] = uint16(v)
	}
	return len(c.Codes) == b.N*b.K
}

// floats is the matrix for activations in float32.
func (b *fewBits) floats() *kernel.BlockWeight {
	w := b.BlockWeight
	low := 0
	switch b.bits {
	case 0:
		return &w
	case 8:
		w.Kind, low = kernel.KindS8, b.low+128
		w.Flip ^= 0x80
	default:
		w.Kind = kernel.KindMarks4
		if b.bits == 2 {
			w.Kind = kernel.KindMarks2
		}
		for i := range 1 << b.bits {
			w.Marks = append(w.Marks, float32(i+b.low))
		}
	}
	w.Zero = b.zeros(low)
	if slices.Max(w.Zero) == 0 && slices.Min(w.Zero) == 0 {
		w.Zero = nil
	}
	return &w
}

// whole is the matrix for activations of eight bits: codes less zero points, both from 0 on.
func (b *fewBits) whole() *kernel.BlockWeight {
	w := b.BlockWeight
	w.Zero = b.zeros(b.low)
	return &w
}

func (b *fewBits) zeros(low int) []float32 {
	z := make([]float32, len(b.zero))
	for i, v := range b.zero {
		z[i] = float32(v - int32(low))
	}
	return z
}

// scaled multiplies the columns; it is nil where there are no scales to multiply.
func (b *fewBits) scaled(by []float32) *fewBits {
	if b.Scale == nil {
		return nil
	}
	c := *b
	c.Scale = slices.Clone(b.Scale)
	for i := range c.Scale {
		c.Scale[i] *= by[i/b.Blocks()]
	}
	return &c
}
