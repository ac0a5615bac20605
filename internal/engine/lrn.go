package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lrnBlock is about how many squares a part of an LRN keeps.
const lrnBlock = 1 << 14

// An lrn divides by a power of what is around in the channels: y = x / (bias + alpha·Σx²)^beta, the sum over so many
// channels before and after.
type lrn struct {
	level             kernel.Level
	c, plane          int
	before, after     int
	alpha, bias, beta float32
	last              bool // channels lie side by side
}

// lowerLRN emits LRN in the layout of its operand.
func lowerLRN(lw *lowerer, n *node) bool {
	x, size := n.in[0], n.onnx.Int("size", 0)
	if !x.is(tensor.Float32) || len(x.shape) < 2 || x.elems() == 0 || size < 1 {
		return false
	}
	l, _ := lw.natural(x)
	s := &lrn{level: lw.level, c: x.shape[1], plane: tensor.Elements(x.shape[2:]), last: l == channelsLast}
	s.before, s.after = min(s.c-1, (size-1)/2), min(s.c-1, size/2)
	s.alpha, s.bias, s.beta = n.onnx.Float("alpha", 1e-4)/float32(size), n.onnx.Float("bias", 1), n.onnx.Float("beta", 0.75)
	if s.beta == 0 {
		return false
	}
	src, dst := lw.use(x, l), lw.make(n.out[0], l)
	pixels := min(s.plane, max(16, lrnBlock/s.wide()))
	blocks := (s.plane + pixels - 1) / pixels
	units, each := x.shape[0]*blocks, pixels*s.wide()
	parts := lw.partsFor(float64(x.elems())*rowNanos, units)
	room := lw.scratch(tensor.Float32, parts*2*each)
	lw.emit(&step{node: n, kernel: "f32 LRN", parts: parts, in: []*slot{src}, out: []*slot{dst, room}, over: src, run: func(f *frame, part int) error {
		squares, sums := f.f32(room)[part*2*each:][:each], f.f32(room)[(part*2+1)*each:][:each]
		for u := units * part / parts; u < units*(part+1)/parts; u++ {
			pixel := u % blocks * pixels
			at := u/blocks*s.plane*s.c + pixel
			if s.last {
				at += pixel * (s.c - 1)
			}
			s.pixels(f.f32(dst)[at:], f.f32(src)[at:], min(pixels, s.plane-pixel), squares, sums)
		}
		return nil
	}})
	return true
}

// wide is how many channels there are with those beyond the ends, which are zero.
func (s *lrn) wide() int { return s.before + s.c + s.after }

// pixels computes n pixels. Their squares are kept with zeros around the channels, so that the same channel of all pixels
// is as far from the next one, and one addition takes all.
func (s *lrn) pixels(dst, x []float32, n int, squares, sums []float32) {
	l := s.level
	rows, cols, pitch := s.c, n, s.plane   // of x
	first, width, next := s.before*n, n, n // of the squares: where x begins, rows, channels
	if s.last {
		rows, cols, pitch = n, s.c, s.c
		first, width, next = s.before, s.wide(), 1
	}
	squares = squares[:n*s.wide()]
	clear(squares)
	for r := range rows {
		l.Unary(kernel.Square, squares[first+r*width:][:cols], x[r*pitch:][:cols])
	}
	sums = sums[:(rows-1)*width+cols]
	copy(sums, squares)
	for i := 1; i <= s.before+s.after; i++ {
		l.Binary(kernel.Add, sums, sums, squares[i*next:][:len(sums)])
	}
	l.UnaryWith(kernel.ScaleShift, sums, sums, s.alpha, s.bias)
	s.power(sums, squares[:len(sums)])
	for r := range rows {
		l.Binary(kernel.Div, dst[r*pitch:][:cols], x[r*pitch:][:cols], sums[r*width:])
	}
}

// power raises x to beta.
func (s *lrn) power(x, room []float32) {
	l := s.level
	switch s.beta {
	case 1:
	case 0.5:
		l.Unary(kernel.Sqrt, x, x)
	case 0.75:
		l.Unary(kernel.Sqrt, x, x)
		l.Unary(kernel.Sqrt, room, x)
		l.Binary(kernel.Mul, x, x, room)
	default:
		l.Unary(kernel.Log, x, x)
		l.BinaryScalar(kernel.Mul, x, x, s.beta)
		l.Unary(kernel.Exp, x, x)
	}
}
