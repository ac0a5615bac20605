package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A folding adds columns up to planes of h×w pixels, the columns of kh×kw taps, each oh×ow numbers.
type folding struct {
	level            kernel.Level
	h, w             int
	kh, kw           int
	oh, ow           int
	strideH, strideW int
	dilH, dilW       int
	top, left        int
}

// lowerCol2Im emits Col2Im to images of one or two dimensions.
func lowerCol2Im(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if !x.is(tensor.Float32) || x.elems() == 0 || len(x.shape) != 3 {
		return false
	}
	c, ok := foldingOf(n)
	if !ok {
		return false
	}
	c.level = lw.level
	planes, size, columns := y.shape[0]*y.shape[1], c.h*c.w, c.kh*c.kw*c.oh*c.ow
	if planes*columns != x.elems() || x.shape[0] != y.shape[0] {
		return false
	}
	src, dst := lw.use(x, rowMajor), lw.make(y, rowMajor)
	parts := lw.partsFor(float64(x.elems())*functionNanos, planes)
	room := lw.scratch(tensor.Float32, parts*size)
	lw.emit(&step{node: n, kernel: "f32 Col2Im", parts: parts, in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		for i := planes * part / parts; i < planes*(part+1)/parts; i++ {
			c.plane(f.f32(dst)[i*size:][:size], f.f32(src)[i*columns:][:columns], f.f32(room)[part*size:][:size])
		}
		return nil
	}})
	return true
}

// foldingOf reads the geometry of a Col2Im node.
func foldingOf(n *node) (*folding, bool) {
	image, ok := intsOf(n.in[1])
	block, known := intsOf(n.in[2])
	d := len(image)
	strides, dil := orOnes(n.onnx.Ints("strides"), d), orOnes(n.onnx.Ints("dilations"), d)
	pads := n.onnx.Ints("pads")
	if pads == nil {
		pads = make([]int, 2*d)
	}
	y := n.out[0].shape
	if !ok || !known || d < 1 || d > 2 || len(block) != d || len(strides) != d || len(dil) != d || len(pads) != 2*d || len(y) != d+2 || !sameShape(y[2:], image) {
		return nil, false
	}
	out := make([]int, d)
	for i := range out {
		if min(image[i], block[i], strides[i], dil[i]) < 1 || min(pads[i], pads[d+i]) < 0 {
			return nil, false
		}
		if out[i] = (image[i]+pads[i]+pads[d+i]-dil[i]*(block[i]-1)-1)/strides[i] + 1; out[i] < 1 {
			return nil, false
		}
	}
	c := &folding{h: 1, kh: 1, oh: 1, strideH: 1, dilH: 1, w: image[d-1], kw: block[d-1], ow: out[d-1], strideW: strides[d-1], dilW: dil[d-1], left: pads[d-1]}
	if d == 2 {
		c.h, c.kh, c.oh, c.strideH, c.dilH, c.top = image[0], block[0], out[0], strides[0], dil[0], pads[0]
	}
	return c, true
}

// plane adds up the columns of one channel.
func (c *folding) plane(dst, x, room []float32) {
	clear(dst)
	for kx := range c.kw {
		if c.strideH == 1 && c.strideW == 1 && c.ow == c.w {
			c.taps(room, x, kx)
			c.shifted(dst, room, kx*c.dilW-c.left)
			continue
		}
		for ky := range c.kh {
			c.tap(dst, x[(ky*c.kw+kx)*c.oh*c.ow:], ky, kx)
		}
	}
}

// inImage returns the positions of n, a stride apart and moved by shift, that lie in [0,size).
func inImage(n, stride, shift, size int) (from, to int) {
	if shift < 0 {
		from = (-shift + stride - 1) / stride
	}
	if shift < size {
		to = min(n, (size-1-shift)/stride+1)
	}
	return min(from, to), to
}

// taps adds up in dst, row by row, the columns of taps kx of all rows of the block, which are as wide as the image.
func (c *folding) taps(dst, x []float32, kx int) {
	clear(dst)
	for ky := range c.kh {
		shift := ky*c.dilH - c.top
		from, to := inImage(c.oh, 1, shift, c.h)
		if from < to {
			y := dst[(from+shift)*c.w : (to+shift)*c.w]
			c.level.Binary(kernel.Add, y, y, x[((ky*c.kw+kx)*c.oh+from)*c.w:][:len(y)])
		}
	}
}

// shifted adds the rows of x, moved by shift; what leaves them becomes zero, so that all may be added at a time.
func (c *folding) shifted(dst, x []float32, shift int) {
	from, to := inImage(c.w, 1, shift, c.w)
	if from >= to {
		return
	}
	for i := 0; i < len(x) && to-from < c.w; i += c.w {
		clear(x[i : i+from])
		clear(x[i+to : i+c.w])
	}
	if shift < 0 {
		x, shift = x[-shift:], 0
	}
	y := dst[shift:][:min(len(dst)-shift, len(x))]
	c.level.Binary(kernel.Add, y, y, x[:len(y)])
}

// tap adds the column of one tap.
func (c *folding) tap(dst, x []float32, ky, kx int) {
	down, right := ky*c.dilH-c.top, kx*c.dilW-c.left
	top, bottom := inImage(c.oh, c.strideH, down, c.h)
	from, to := inImage(c.ow, c.strideW, right, c.w)
	if from >= to {
		return
	}
	step := c.strideW
	for i := top; i < bottom; i++ {
		y, at := dst[(i*c.strideH+down)*c.w:][:c.w], from*c.strideW+right
		for _, v := range x[i*c.ow:][from:to] {
			y[at] += v
			at += step
		}
	}
}
