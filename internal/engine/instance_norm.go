package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

const (
	momentBlock = 1 << 14 // elements, about, whose sum is taken in float32; such sums are added in float64
	momentRow   = 512     // elements, about, that are added to as many lanes at a time
	momentNanos = 0.2     // of an element's part in a sum, roughly
)

// An instanceNorm normalises each channel of each image by itself: (x−mean)/√(var+eps)·scale + bias.
type instanceNorm struct {
	level       kernel.Level
	batch       int
	c, plane    int // channels, pixels
	eps         float64
	x, y        *slot
	scale, bias *slot
}

// lowerInstanceNorm emits InstanceNormalization in the layout of its operand.
func lowerInstanceNorm(lw *lowerer, n *node) bool {
	x := n.in[0]
	if len(n.in) != 3 || !x.is(tensor.Float32) || len(x.shape) < 3 || x.elems() == 0 {
		return false
	}
	for _, v := range n.in[1:] {
		if !v.is(tensor.Float32) || !sameShape(v.shape, x.shape[1:2]) {
			return false
		}
	}
	l, _ := lw.natural(x)
	s := &instanceNorm{level: lw.level, batch: x.shape[0], c: x.shape[1], plane: tensor.Elements(x.shape[2:]), eps: float64(n.onnx.Float("epsilon", 1e-5))}
	s.scale, s.bias = lw.use(n.in[1], rowMajor), lw.use(n.in[2], rowMajor)
	s.x, s.y = lw.use(x, l), lw.make(n.out[0], l)
	if l == rowMajor {
		s.emitPlanes(lw, n)
	} else {
		s.emitPixels(lw, n)
	}
	return true
}

// emitPlanes adds the step that takes one plane after the other.
func (s *instanceNorm) emitPlanes(lw *lowerer, n *node) {
	planes := s.batch * s.c
	parts := lw.partsFor(float64(planes*s.plane)*functionNanos, planes)
	lw.emit(&step{node: n, kernel: "f32 InstanceNormalization", parts: parts, in: []*slot{s.x, s.scale, s.bias}, out: []*slot{s.y}, over: s.x, run: func(f *frame, part int) error {
		for i := planes * part / parts; i < planes*(part+1)/parts; i++ {
			s.normPlane(f.f32(s.y)[i*s.plane:][:s.plane], f.f32(s.x)[i*s.plane:][:s.plane], f.f32(s.scale)[i%s.c], f.f32(s.bias)[i%s.c])
		}
		return nil
	}})
}

func (s *instanceNorm) normPlane(dst, x []float32, scale, bias float32) {
	mean := s.average(kernel.ReduceSum, x, 0)
	factor := s.factorOf(s.average(kernel.ReduceDeviation, x, float32(mean)), scale)
	for i := 0; i < len(x); i += momentBlock {
		n := min(momentBlock, len(x)-i)
		s.level.BinaryScalar(kernel.Sub, dst[i:i+n], x[i:i+n], float32(mean))
		s.level.UnaryWith(kernel.ScaleShift, dst[i:i+n], dst[i:i+n], factor, bias)
	}
}

// average is a sum over x, divided by the number of elements.
func (s *instanceNorm) average(r kernel.Reduce, x []float32, p float32) float64 {
	sum := 0.0
	for i := 0; i < len(x); i += momentBlock {
		sum += float64(s.level.Reduce(r, x[i:min(i+momentBlock, len(x))], p))
	}
	return sum / float64(len(x))
}

// factorOf is what a deviation from the mean is multiplied by.
func (s *instanceNorm) factorOf(variance float64, scale float32) float32 {
	return float32(float64(scale) / math.Sqrt(variance+s.eps))
}

// A pixelNorm is an instanceNorm of channels that lie side by side. The pixels of each image are cut into blocks whose sums
// are taken channel by channel; the sums of the blocks are added in order.
type pixelNorm struct {
	*instanceNorm
	size, blocks int // pixels of a block, blocks of an image
	wide         int // elements that are added to as many lanes at a time, a number of pixels
	parts        int

	sums, means, factors, room *slot // of each block; of each image; of each part
}

// emitPixels adds the steps for channels that lie side by side.
func (s *instanceNorm) emitPixels(lw *lowerer, n *node) {
	rows := max(1, momentRow/s.c) // pixels
	p := &pixelNorm{instanceNorm: s, wide: rows * s.c, size: max(1, momentBlock/(rows*s.c)) * rows}
	p.blocks = (s.plane + p.size - 1) / p.size
	all := s.batch * p.blocks
	p.parts = lw.partsFor(float64(s.batch*s.plane*s.c)*momentNanos, all)
	p.sums, p.means, p.factors = lw.scratch(tensor.Float32, all*s.c), lw.scratch(tensor.Float32, s.batch*s.c), lw.scratch(tensor.Float32, s.batch*s.c)
	p.room = lw.scratch(tensor.Float32, p.parts*3*p.wide)
	for _, st := range []*step{
		{kernel: "f32 sums of channels", parts: p.parts, in: []*slot{s.x}, out: []*slot{p.sums, p.room}, run: p.each(p.sum)},
		{kernel: "f32 means of channels", in: []*slot{p.sums}, out: []*slot{p.means}, run: p.mean},
		{kernel: "f32 deviations of channels", parts: p.parts, in: []*slot{s.x, p.means}, out: []*slot{p.sums, p.room}, run: p.each(p.deviate)},
		{kernel: "f32 factors of channels", in: []*slot{p.sums, s.scale}, out: []*slot{p.factors}, run: p.factor},
		{kernel: "f32 InstanceNormalization", parts: p.parts, in: []*slot{s.x, p.means, p.factors, s.bias}, out: []*slot{s.y}, over: s.x, run: p.each(p.norm)},
	} {
		st.node = n
		lw.emit(st)
	}
}

// each calls run for the blocks of a part, which are counted through all images.
func (p *pixelNorm) each(run func(f *frame, part, block int)) func(f *frame, part int) error {
	all := p.batch * p.blocks
	return func(f *frame, part int) error {
		for i := all * part / p.parts; i < all*(part+1)/p.parts; i++ {
			run(f, part, i)
		}
		return nil
	}
}

// block returns the elements of a block.
func (p *pixelNorm) block(x []float32, i int) []float32 {
	from := i % p.blocks * p.size
	return x[(i/p.blocks*p.plane+from)*p.c:][:min(p.size, p.plane-from)*p.c]
}

// image returns the numbers that the channels of a block's image have.
func (p *pixelNorm) image(x []float32, i int) []float32 { return x[i/p.blocks*p.c:][:p.c] }

// sum adds the pixels of a block up, as many at a time as fit the lanes.
func (p *pixelNorm) sum(f *frame, part, block int) {
	x, lanes := p.block(f.f32(p.x), block), f.f32(p.room)[part*3*p.wide:][:p.wide]
	clear(lanes)
	for i := 0; i < len(x); i += p.wide {
		n := min(p.wide, len(x)-i)
		p.level.Binary(kernel.Add, lanes[:n], lanes[:n], x[i:i+n])
	}
	p.fold(f.f32(p.sums)[block*p.c:][:p.c], lanes)
}

// deviate adds the squares up of what the pixels of a block are apart from the mean.
func (p *pixelNorm) deviate(f *frame, part, block int) {
	x, room := p.block(f.f32(p.x), block), f.f32(p.room)[part*3*p.wide:][:3*p.wide]
	lanes, apart, means := room[:p.wide], room[p.wide:2*p.wide], room[2*p.wide:]
	clear(lanes)
	for i := 0; i < p.wide; i += p.c {
		copy(means[i:], p.image(f.f32(p.means), block))
	}
	for i := 0; i < len(x); i += p.wide {
		n := min(p.wide, len(x)-i)
		p.level.Binary(kernel.Sub, apart[:n], x[i:i+n], means[:n])
		p.level.Unary(kernel.Square, apart[:n], apart[:n])
		p.level.Binary(kernel.Add, lanes[:n], lanes[:n], apart[:n])
	}
	p.fold(f.f32(p.sums)[block*p.c:][:p.c], lanes)
}

// fold adds the pixels that lie in the lanes up.
func (p *pixelNorm) fold(dst, lanes []float32) {
	copy(dst, lanes)
	for i := p.c; i < len(lanes); i += p.c {
		p.level.Binary(kernel.Add, dst, dst, lanes[i:i+p.c])
	}
}

// mean finds the mean of each channel of each image.
func (p *pixelNorm) mean(f *frame, _ int) error {
	for i, means := 0, f.f32(p.means); i < p.batch*p.c; i++ {
		means[i] = float32(p.averageOf(f, i))
	}
	return nil
}

// factor finds what the channels' deviations are multiplied by.
func (p *pixelNorm) factor(f *frame, _ int) error {
	for i, factors := 0, f.f32(p.factors); i < p.batch*p.c; i++ {
		factors[i] = p.factorOf(p.averageOf(f, i), f.f32(p.scale)[i%p.c])
	}
	return nil
}

// averageOf is the sum of the blocks' sums of one channel of one image, divided by the pixels.
func (p *pixelNorm) averageOf(f *frame, i int) float64 {
	sums, sum := f.f32(p.sums)[i/p.c*p.blocks*p.c+i%p.c:], 0.0
	for b := range p.blocks {
		sum += float64(sums[b*p.c])
	}
	return sum / float64(p.plane)
}

func (p *pixelNorm) norm(f *frame, _, block int) {
	y := p.block(f.f32(p.y), block)
	p.level.BinaryRows(kernel.Sub, y, p.block(f.f32(p.x), block), p.image(f.f32(p.means), block))
	p.level.AffineRows(y, y, p.image(f.f32(p.factors), block), f.f32(p.bias), -inf, inf)
}
