package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A responseNorm is LRN: each element over a power of the sum of squares over neighbouring channels.
type responseNorm struct {
	level         kernel.Level
	c, plane      int // channels, pixels of an image
	before, after int // channels of the window
	scale, bias   float32
	power         [2]int // how often the root, and the root of the root, divide
}

// responsePowers lists the exponents that roots make.
var responsePowers = map[float32][2]int{0.25: {0, 1}, 0.5: {1, 0}, 0.75: {1, 1}}

// lowerLRN emits LRN in the layout of its operand.
func lowerLRN(lw *lowerer, n *node) bool {
	x, size := n.in[0], n.onnx.Int("size", 0)
	power, ok := responsePowers[n.onnx.Float("beta", 0.75)]
	if !ok || !x.is(tensor.Float32) || len(x.shape) < 2 || x.elems() == 0 || size < 1 {
		return false
	}
	s := &responseNorm{level: lw.level, c: x.shape[1], plane: tensor.Elements(x.shape[2:]), before: (size - 1) / 2, after: size / 2,
		scale: n.onnx.Float("alpha", 1e-4) / float32(size), bias: n.onnx.Float("bias", 1), power: power}
	if !(s.scale >= 0 && s.bias >= 0) {
		return false // of a negative sum there is no root
	}
	l, _ := lw.natural(x)
	in, rows, width := lw.use(x, l), x.shape[0]*s.c, s.plane
	if l == channelsLast {
		rows, width = x.shape[0]*s.plane, s.c
	}
	squares, sums, out := lw.scratch(tensor.Float32, x.elems()), lw.scratch(tensor.Float32, x.elems()), lw.make(n.out[0], l)
	parts := lw.partsFor(float64(x.elems())*functionNanos, rows)
	part := func(i int) (from, to int) { return rows * i / parts, rows * (i + 1) / parts }
	lw.emit(&step{node: n, kernel: "Square", parts: parts, in: []*slot{in}, out: []*slot{squares}, run: func(f *frame, i int) error {
		from, to := part(i)
		s.level.Unary(kernel.Square, f.f32(squares)[from*width:to*width], f.f32(in)[from*width:to*width])
		return nil
	}})
	lw.emit(&step{node: n, kernel: "f32 LRN", parts: parts, in: []*slot{in, squares}, out: []*slot{out, sums}, run: func(f *frame, i int) error {
		from, to := part(i)
		for row := from; row < to; row++ {
			if l == channelsLast {
				s.sumPixel(f.f32(sums)[row*width:][:width], f.f32(squares)[row*width:][:width])
			} else {
				s.sumPlane(f.f32(sums)[row*width:][:width], f.f32(squares), row)
			}
		}
		s.divide(f.f32(out)[from*width:to*width], f.f32(in)[from*width:to*width], f.f32(sums)[from*width:to*width])
		return nil
	}})
	return true
}

// sumPlane adds up the planes around one.
func (s *responseNorm) sumPlane(dst, squares []float32, row int) {
	ch := row % s.c
	from, to := max(0, ch-s.before), min(s.c, ch+s.after+1)
	squares = squares[(row-ch)*s.plane:]
	copy(dst, squares[from*s.plane:])
	for k := from + 1; k < to; k++ {
		s.level.Binary(kernel.Add, dst, dst, squares[k*s.plane:][:len(dst)])
	}
}

// sumPixel adds up the channels around each, in the order of the channels.
func (s *responseNorm) sumPixel(dst, squares []float32) {
	clear(dst)
	n := len(dst)
	for k := max(-s.before, 1-n); k <= min(s.after, n-1); k++ {
		from, to := max(0, -k), min(n, n-k)
		s.level.Binary(kernel.Add, dst[from:to], dst[from:to], squares[from+k:to+k])
	}
}

// divide sets dst to x over the power of what the sums give, which it overwrites.
func (s *responseNorm) divide(dst, x, sums []float32) {
	l := s.level
	l.UnaryWith(kernel.ScaleShift, sums, sums, s.scale, s.bias)
	l.Unary(kernel.Sqrt, sums, sums)
	if s.power[1] == 0 {
		l.Binary(kernel.Div, dst, x, sums)
		return
	}
	l.Unary(kernel.Sqrt, dst, sums)
	if s.power[0] > 0 {
		l.Binary(kernel.Mul, dst, dst, sums)
	}
	l.Binary(kernel.Div, dst, x, dst)
}
