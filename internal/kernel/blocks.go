package kernel

// A BlockWeight is a matrix of few bits: w(n,k) = (mark(code(n,k)) − zero)·scale, where the scale and
// the zero point belong to a block of neighbouring k.
type BlockWeight struct {
	N, K, Block int
	Kind        CodeKind
	Codes       []uint8   // (N,K)
	CodeBits    int       // of each of Codes, of which a byte holds several, the first in the low bits; 0: a byte is one
	Flip        uint8     // bits that are toggled in each of Codes
	Halves      []uint16  // instead of Codes for KindF16
	Pitch       int       // of rows of Codes or Halves, in elements; 0: no more than a row has
	Turned      bool      // Codes or Halves are (K,N)
	Marks       []float32 // what the codes of KindMarks4 and KindMarks2 mean
	Scale       []float32 // (N, blocks); not for KindF16
	Zero        []float32 // (N, blocks); nil: none
}

// Blocks is the number of blocks of a row.
func (w *BlockWeight) Blocks() int { return (w.K + w.Block - 1) / w.Block }

// A CodeKind is a way to read codes.
type CodeKind uint8

// The kinds of codes.
const (
	KindMarks4 CodeKind = iota // four bits choose one of 16 marks
	KindMarks2                 // two bits choose one of 4
	KindS8                     // whole numbers
	KindE4M3                   // floats of eight bits, without NaN
	KindE5M2
	KindF16 // halves, without a scale
	numKinds
)

// A codeRow says how a kind is stored.
type codeRow struct {
	bits int
	unit int                                   // k that a kernel takes at a time
	mark func(w *BlockWeight, c uint8) float32 // nil for KindF16
}

var codeRows = [numKinds]codeRow{
	KindMarks4: {4, 8, func(w *BlockWeight, c uint8) float32 { return w.Marks[c&15] }},
	KindMarks2: {2, 16, func(w *BlockWeight, c uint8) float32 { return w.Marks[c&3] }},
	KindS8:     {8, 4, func(w *BlockWeight, c uint8) float32 { return float32(int8(c)) }},
	KindE4M3:   {8, 4, func(w *BlockWeight, c uint8) float32 { return decodeE4M3(c) }},
	KindE5M2:   {8, 4, func(w *BlockWeight, c uint8) float32 { return decodeF16(uint16(c) << 8) }},
	KindF16:    {bits: 16, unit: 4},
}

// decodeE4M3 moves the fields of a finite code to those of a half, whose exponents are 8 larger.
func decodeE4M3(c uint8) float32 {
	return 256 * decodeF16(uint16(c&0x80)<<8|uint16(c&0x7f)<<7)
}

// At is w(n,k).
func (w *BlockWeight) At(n, k int) float32 {
	if w.Kind == KindF16 {
		return decodeF16(w.half(n, k))
	}
	v := codeRows[w.Kind].mark(w, w.code(n, k))
	b := n*w.Blocks() + k/w.Block
	if w.Zero != nil {
		v -= w.Zero[b]
	}
	return float32(v * w.Scale[b])
}

// A narrow holds floats in the fewest bytes that lose nothing.
type narrow struct {
	bytes  []uint8
	halves []uint16
	floats []float32
	brain  bool // halves are bfloat16
}

// narrowed stores v.
func narrowed(v []float32) *narrow {
	n := &narrow{}
	all := func(ok func(x float32) bool) bool {
		for _, x := range v {
			if !ok(x) {
				return false
			}
		}
		return true
	}
	switch {
	case all(func(x float32) bool { return x >= 0 && x <= 255 && x == float32(uint8(x)) }):
		n.bytes = make([]uint8, len(v))
		for i, x := range v {
			n.bytes[i] = uint8(x)
		}
	case all(func(x float32) bool { return x == decodeF16(encodeF16(x)) }):
		n.halves = make([]uint16, len(v))
		Generic.EncodeF16(n.halves, v)
	case all(func(x float32) bool { return x == decodeBF16(encodeBF16(x)) }):
		n.halves, n.brain = make([]uint16, len(v)), true
		Generic.EncodeBF16(n.halves, v)
	default:
		n.floats = aligned[float32](len(v))
		copy(n.floats, v)
	}
	return n
}

// part returns the floats from i on, in place or in buf, whose length says how many.
func (n *narrow) part(l Level, buf []float32, i int) []float32 {
	switch {
	case n.floats != nil:
		return n.floats[i:][:len(buf)]
	case n.bytes != nil:
		l.DequantizeU8(buf, n.bytes[i:][:len(buf)], 1, 0)
	case n.brain:
		l.DecodeBF16(buf, n.halves[i:][:len(buf)])
	default:
		l.DecodeF16(buf, n.halves[i:][:len(buf)])
	}
	return buf
}

// byPanel arranges numbers (N, blocks) as [panel][block][column], filled up with zeros.
func byPanel(v []float32, n, blocks, width int) []float32 {
	r := make([]float32, (n+width-1)/width*width*blocks)
	for j := range n {
		to := r[j/width*width*blocks+j%width:]
		for b, x := range v[j*blocks:][:blocks] {
			to[b*width] = x
		}
	}
	return r
}
