package engine

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A deforming gathers what the taps of a deformable convolution read at an offset of their own for each output pixel, as
// channels of that pixel: group by group, tap by tap (Dai et al., Deformable Convolutional Networks, 2017).
type deforming struct {
	level            kernel.Level
	h, w, c          int // of the operand
	oh, ow           int
	kh, kw           int
	strideH, strideW int
	dilH, dilW       int
	top, left        int
	groups, offsets  int // that channels are cut into, by weights and by offsets
}

// expandDeformed writes DeformConv of images with constant weights as a convolution of what is gathered.
func expandDeformed(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind != "DeformConv" || !n.static() || n.formal < 3 || n.in[1].konst == nil {
			continue
		}
		d, ok := deformingOf(n)
		if !ok {
			continue
		}
		x, w, y := n.in[0], n.in[1], n.out[0]
		taps := d.kh * d.kw
		columns := g.newValue(x, tensor.Float32, []int{y.shape[0], taps * d.c, d.oh, d.ow})
		g.insert(newNode("deformed columns", n, d, []*value{x, n.in[2], n.input(4)}, []*value{columns}), n)
		weights := g.constant(w.name+"·by taps", d.byTaps(w.konst))
		e := &expander{g: g, n: n}
		e.end(e.put("Conv", y.shape, []*graph.Attr{{Name: "group", Value: int64(d.groups)}}, columns, weights, n.input(3)))
	}
	g.sweep()
}

// deformingOf reads a DeformConv node.
func deformingOf(n *node) (*deforming, bool) {
	x, w, offset, y := n.in[0].shape, n.in[1].shape, n.in[2].shape, n.out[0].shape
	for _, v := range append(n.in, n.out...) {
		if v != nil && !v.is(tensor.Float32) {
			return nil, false
		}
	}
	strides, dil, pads := orOnes(n.onnx.Ints("strides"), 2), orOnes(n.onnx.Ints("dilations"), 2), n.onnx.Ints("pads")
	if pads == nil {
		pads = make([]int, 4)
	}
	if len(x) != 4 || len(w) != 4 || len(y) != 4 || len(strides) != 2 || len(dil) != 2 || len(pads) != 4 || tensor.Elements(x) == 0 || tensor.Elements(y) == 0 {
		return nil, false
	}
	d := &deforming{c: x[1], h: x[2], w: x[3], oh: y[2], ow: y[3], kh: w[2], kw: w[3], strideH: strides[0], strideW: strides[1],
		dilH: dil[0], dilW: dil[1], top: pads[0], left: pads[1], groups: n.onnx.Int("group", 1), offsets: n.onnx.Int("offset_group", 1)}
	if min(d.kh, d.kw, d.strideH, d.strideW, d.dilH, d.dilW, d.groups, d.offsets) < 1 || d.c%d.groups != 0 || d.c%d.offsets != 0 || w[0]%d.groups != 0 || d.h*d.w*d.c > math.MaxInt32 {
		return nil, false
	}
	taps := d.kh * d.kw
	if k := n.onnx.Ints("kernel_shape"); k != nil && !sameShape(k, w[2:]) || w[1] != d.c/d.groups || !sameShape(y[:2], []int{x[0], w[0]}) ||
		(d.h+pads[0]+pads[2]-d.dilH*(d.kh-1)-1)/d.strideH+1 != d.oh || (d.w+pads[1]+pads[3]-d.dilW*(d.kw-1)-1)/d.strideW+1 != d.ow {
		return nil, false
	}
	mask, bias := n.input(4), n.input(3)
	return d, sameShape(offset, []int{x[0], d.offsets * taps * 2, d.oh, d.ow}) &&
		(mask == nil || sameShape(mask.shape, []int{x[0], d.offsets * taps, d.oh, d.ow})) && (bias == nil || sameShape(bias.shape, w[:1]))
}

// byTaps puts the channels of each tap of weights beside each other.
func (d *deforming) byTaps(w *tensor.Tensor) *tensor.Tensor {
	taps, c := d.kh*d.kw, d.c/d.groups
	t := tensor.New(tensor.Float32, w.Shape[0], taps*c, 1, 1)
	to, from := tensor.Of[float32](t), tensor.Of[float32](w)
	for i := range to {
		filter, tap, channel := i/(taps*c), i/c%taps, i%c
		to[i] = from[(filter*c+channel)*taps+tap]
	}
	return t
}

// lowerDeformedColumns emits what taps read, pixel by pixel.
func lowerDeformedColumns(lw *lowerer, n *node) bool {
	d := n.spec.(*deforming)
	d.level = lw.level
	x, y := n.in[0], n.out[0]
	src, offset, dst := lw.use(x, channelsLast), lw.use(n.in[1], rowMajor), lw.make(y, channelsLast)
	in := []*slot{src, offset}
	var mask *slot
	if n.in[2] != nil {
		mask = lw.use(n.in[2], rowMajor)
		in = append(in, mask)
	}
	pixels, taps := d.oh*d.ow, d.kh*d.kw
	count, each := x.shape[0]*pixels, taps*d.c
	parts := lw.partsFor(float64(y.elems()), count)
	lw.emit(&step{node: n, kernel: "f32 deformed columns", parts: parts, in: in, out: []*slot{dst}, run: func(f *frame, part int) error {
		for i := count * part / parts; i < count*(part+1)/parts; i++ {
			image, pixel := i/pixels, i%pixels
			to, from := f.f32(dst)[i*each:][:each], f.f32(src)[image*d.h*d.w*d.c:][:d.h*d.w*d.c]
			at := f.f32(offset)[image*d.offsets*taps*2*pixels+pixel:]
			var shares []float32
			if mask != nil {
				shares = f.f32(mask)[image*d.offsets*taps*pixels+pixel:]
			}
			d.pixel(to, from, at, shares, pixel/d.ow*d.strideH-d.top, pixel%d.ow*d.strideW-d.left)
		}
		return nil
	}})
	return true
}

// pixel gathers the columns of the output pixel whose window begins at a row and a column. Its offsets, and the shares of
// what is read, lie a plane of pixels apart.
func (d *deforming) pixel(dst, x, offset, shares []float32, row, col int) {
	var off [4]int32
	var weights [4]float32
	plane, taps, wide, apart := d.oh*d.ow, d.kh*d.kw, d.c/d.groups, d.c/d.offsets
	for k := range d.offsets * taps {
		tap, from := k%taps, k/taps*apart
		down := float64(row+tap/d.kw*d.dilH) + float64(offset[2*k*plane])
		right := float64(col+tap%d.kw*d.dilW) + float64(offset[(2*k+1)*plane])
		share := float32(1)
		if shares != nil {
			share = shares[k*plane]
		}
		n := d.corners(&off, &weights, down, right, share)
		for c := from; c < from+apart; {
			group := c / wide
			end := min(from+apart, (group+1)*wide)
			to := dst[(group*taps+tap)*wide+c-group*wide:][:end-c]
			d.level.SumRows(to, x[c:], off[:n], weights[:n])
			c = end
		}
	}
}

// corners finds the pixels around a position that lie in the image, and their weights in linear interpolation times share.
func (d *deforming) corners(off *[4]int32, weights *[4]float32, down, right float64, share float32) (n int) {
	if !(down > -1 && down < float64(d.h) && right > -1 && right < float64(d.w)) {
		return 0
	}
	y, x := int(math.Floor(down)), int(math.Floor(right))
	u, v := down-float64(y), right-float64(x)
	for i, f := range [4]float64{(1 - u) * (1 - v), (1 - u) * v, u * (1 - v), u * v} {
		r, c := y+i/2, x+i%2
		if f > 0 && r >= 0 && r < d.h && c >= 0 && c < d.w {
			off[n], weights[n] = int32((r*d.w+c)*d.c), float32(f)*share
			n++
		}
	}
	return n
}
