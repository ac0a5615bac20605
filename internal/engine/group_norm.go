package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

const (
	momentBlock = 1 << 14 // elements, about, whose sum is taken in float32; such sums are added in float64
	momentRow   = 512     // elements, about, that are added to as many lanes at a time
	momentNanos = 0.2     // of an element's part in a sum, roughly
)

// A groupNorm normalises groups of channels, of each image by itself or of all images together:
// (x−mean)/(√(var+eps)+least)·scale + bias.
type groupNorm struct {
	level       kernel.Level
	batch       int
	c, plane    int // channels, pixels
	groups      int
	together    bool // all images have one mean
	eps, least  float64
	exact       bool // the mean is that of a sum in float64
	x, y        *slot
	scale, bias *slot // each number is for as many channels in a row
	factors     int
}

// lowerInstanceNorm emits InstanceNormalization, whose groups are the channels.
func lowerInstanceNorm(lw *lowerer, n *node) bool {
	x := n.in[0]
	if len(x.shape) < 3 {
		return false
	}
	return lw.groupNorm(n, x.shape[1], x.shape[1])
}

// lowerGroupNorm emits GroupNormalization; up to opset 20 it has one scale and bias for each group.
func lowerGroupNorm(lw *lowerer, n *node) bool {
	x, groups := n.in[0], n.onnx.Int("num_groups", 1)
	if len(x.shape) < 2 || groups < 1 || x.shape[1]%groups != 0 {
		return false
	}
	if n.version < 21 {
		return lw.groupNorm(n, groups, groups)
	}
	return lw.groupNorm(n, groups, x.shape[1])
}

// groupNorm emits a normalisation with so many scales in the layout of its operand.
func (lw *lowerer) groupNorm(n *node, groups, factors int) bool {
	x := n.in[0]
	if len(n.in) != 3 || !x.is(tensor.Float32) || x.elems() == 0 {
		return false
	}
	for _, v := range n.in[1:] {
		if !v.is(tensor.Float32) || !sameShape(v.shape, []int{factors}) {
			return false
		}
	}
	l, _ := lw.natural(x)
	s := &groupNorm{level: lw.level, batch: x.shape[0], c: x.shape[1], plane: tensor.Elements(x.shape[2:]), groups: groups, factors: factors, eps: float64(n.onnx.Float("epsilon", 1e-5))}
	s.scale, s.bias = lw.use(n.in[1], rowMajor), lw.use(n.in[2], rowMajor)
	s.x, s.y = lw.use(x, l), lw.make(n.out[0], l)
	if l == rowMajor {
		s.emitPlanes(lw, n)
	} else {
		s.emitPixels(lw, n)
	}
	return true
}

// lowerMeanVariance emits MeanVarianceNormalization over all pixels, and over channels or images with them.
func lowerMeanVariance(lw *lowerer, n *node) bool {
	x, axes := n.in[0], n.onnx.Ints("axes")
	if !x.is(tensor.Float32) || x.elems() == 0 || len(x.shape) < 3 {
		return false
	}
	if axes == nil {
		axes = []int{0, 2, 3}
	}
	gone := make([]bool, len(x.shape))
	for _, a := range axes {
		if a < 0 {
			a += len(gone)
		}
		if a < 0 || a >= len(gone) {
			return false
		}
		gone[a] = true
	}
	if slices.Contains(gone[2:], false) {
		return false
	}
	s := &groupNorm{level: lw.level, batch: x.shape[0], c: x.shape[1], plane: tensor.Elements(x.shape[2:]), groups: x.shape[1], together: gone[0], factors: 1, least: 1e-9, exact: true}
	if gone[1] {
		s.groups = 1
	}
	s.scale = lw.use(lw.net.constant("one", tensor.Float32s([]float32{1}, 1)), rowMajor)
	s.bias = lw.use(lw.net.constant("zero", tensor.Float32s([]float32{0}, 1)), rowMajor)
	s.x, s.y = lw.use(x, rowMajor), lw.make(n.out[0], rowMajor)
	s.emitPlanes(lw, n)
	return true
}

// emitPlanes adds the step that takes one group after the other.
func (s *groupNorm) emitPlanes(lw *lowerer, n *node) {
	all := s.batch * s.groups
	if s.together {
		all = s.groups
	}
	parts := lw.partsFor(float64(s.batch*s.c*s.plane)*functionNanos, all)
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{s.x, s.scale, s.bias}, out: []*slot{s.y}, over: s.x, run: func(f *frame, part int) error {
		for i := all * part / parts; i < all*(part+1)/parts; i++ {
			s.normGroup(f, i)
		}
		return nil
	}})
}

// normGroup normalises a group, which are counted through all images where these are not together.
func (s *groupNorm) normGroup(f *frame, i int) {
	x, y, scale, bias := f.f32(s.x), f.f32(s.y), f.f32(s.scale), f.f32(s.bias)
	channels := s.c / s.groups
	mean := float32(s.average(kernel.ReduceSum, x, i, 0))
	variance := s.average(kernel.ReduceDeviation, x, i, mean)
	for k := range s.images() {
		for j := range channels {
			at, factor := (k*s.c+i*channels+j)*s.plane, s.factor(i*channels+j)
			s.normPlane(y[at:][:s.plane], x[at:][:s.plane], mean, s.factorOf(variance, scale[factor]), bias[factor])
		}
	}
}

// images is how many images a group has a part of.
func (s *groupNorm) images() int {
	if s.together {
		return s.batch
	}
	return 1
}

// factor is which scale and bias channel i has, counted through all images.
func (s *groupNorm) factor(i int) int { return i % s.c / (s.c / s.factors) }

func (s *groupNorm) normPlane(dst, x []float32, mean, factor, bias float32) {
	for i := 0; i < len(x); i += momentBlock {
		n := min(momentBlock, len(x)-i)
		s.level.BinaryScalar(kernel.Sub, dst[i:i+n], x[i:i+n], mean)
		s.level.UnaryWith(kernel.ScaleShift, dst[i:i+n], dst[i:i+n], factor, bias)
	}
}

// average is a sum over group i, divided by the number of its elements.
func (s *groupNorm) average(r kernel.Reduce, x []float32, i int, p float32) float64 {
	sum, size, images := 0.0, s.c/s.groups*s.plane, s.images()
	for k := range images {
		group := x[k*s.c*s.plane+i*size:][:size]
		if s.exact && r == kernel.ReduceSum {
			sum += sum64(group)
			continue
		}
		for j := 0; j < size; j += momentBlock {
			sum += float64(s.level.Reduce(r, group[j:min(j+momentBlock, size)], p))
		}
	}
	return sum / float64(images*size)
}

// sum64 adds up in float64.
func sum64(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = a+float64(x[0]), b+float64(x[1]), c+float64(x[2]), d+float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// factorOf is what a deviation from the mean is multiplied by.
func (s *groupNorm) factorOf(variance float64, scale float32) float32 {
	return float32(float64(scale) / (math.Sqrt(variance+s.eps) + s.least))
}

// A pixelNorm is a groupNorm of channels that lie side by side. The pixels of each image are cut into blocks whose sums
// are taken channel by channel; the sums of the blocks are added in order.
type pixelNorm struct {
	*groupNorm
	size, blocks int // pixels of a block, blocks of an image
	wide         int // elements that are added to as many lanes at a time, a number of pixels
	parts        int

	sums, means, factors, room *slot // of each block; of each image; of each part
	shifts                     *slot // the bias of each channel
}

// emitPixels adds the steps for channels that lie side by side.
func (s *groupNorm) emitPixels(lw *lowerer, n *node) {
	rows := max(1, momentRow/s.c) // pixels
	p := &pixelNorm{groupNorm: s, wide: rows * s.c, size: max(1, momentBlock/(rows*s.c)) * rows}
	p.blocks = (s.plane + p.size - 1) / p.size
	all := s.batch * p.blocks
	p.parts = lw.partsFor(float64(s.batch*s.plane*s.c)*momentNanos, all)
	p.sums, p.means, p.factors = lw.scratch(tensor.Float32, all*s.c), lw.scratch(tensor.Float32, s.batch*s.c), lw.scratch(tensor.Float32, s.batch*s.c)
	p.room, p.shifts = lw.scratch(tensor.Float32, p.parts*3*p.wide), lw.scratch(tensor.Float32, s.c)
	for _, st := range []*step{
		{kernel: "f32 sums of channels", parts: p.parts, in: []*slot{s.x}, out: []*slot{p.sums, p.room}, run: p.each(p.sum)},
		{kernel: "f32 means of channels", in: []*slot{p.sums}, out: []*slot{p.means}, run: p.mean},
		{kernel: "f32 deviations of channels", parts: p.parts, in: []*slot{s.x, p.means}, out: []*slot{p.sums, p.room}, run: p.each(p.deviate)},
		{kernel: "f32 factors of channels", in: []*slot{p.sums, s.scale, s.bias}, out: []*slot{p.factors, p.shifts}, run: p.scales},
		{kernel: "f32 " + n.kind, parts: p.parts, in: []*slot{s.x, p.means, p.factors, p.shifts}, out: []*slot{s.y}, over: s.x, run: p.each(p.norm)},
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

// mean finds what the channels of each group of each image have in common.
func (p *pixelNorm) mean(f *frame, _ int) error {
	means := f.f32(p.means)
	p.averages(f, func(i int, average float64) { means[i] = float32(average) })
	return nil
}

// scales finds what the channels' deviations are multiplied by, and what is added.
func (p *pixelNorm) scales(f *frame, _ int) error {
	factors, shifts, scale, bias := f.f32(p.factors), f.f32(p.shifts), f.f32(p.scale), f.f32(p.bias)
	p.averages(f, func(i int, average float64) {
		factors[i], shifts[i%p.c] = p.factorOf(average, scale[p.factor(i)]), bias[p.factor(i)]
	})
	return nil
}

// averages calls do for each channel of each image with the sum of its group, divided by the group's elements.
func (p *pixelNorm) averages(f *frame, do func(i int, average float64)) {
	sums, channels := f.f32(p.sums), p.c/p.groups
	for g := range p.batch * p.groups {
		sum, first := 0.0, g%p.groups*channels
		for b := range p.blocks {
			for _, v := range sums[(g/p.groups*p.blocks+b)*p.c+first:][:channels] {
				sum += float64(v)
			}
		}
		for i := range channels {
			do(g*channels+i, sum/float64(p.plane*channels))
		}
	}
}

func (p *pixelNorm) norm(f *frame, _, block int) {
	y := p.block(f.f32(p.y), block)
	p.level.BinaryRows(kernel.Sub, y, p.block(f.f32(p.x), block), p.image(f.f32(p.means), block))
	p.level.AffineRows(y, y, p.image(f.f32(p.factors), block), f.f32(p.shifts), -inf, inf)
}
