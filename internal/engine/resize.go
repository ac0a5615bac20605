package engine

import (
	"context"

	"lowbit/internal/tensor"
)

// A blend says of what two input lines an output line is made: first·(1−weight) + second·weight.
type blend struct {
	first, second int
	weight        float32
}

// lowerLinearResize emits Resize by linear interpolation of the two spatial dimensions.
func lowerLinearResize(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if n.onnx.Str("mode", "nearest") != "linear" || n.onnx.Bool("antialias", false) || n.onnx.Bool("exclude_outside", false) || n.onnx.Has("axes") ||
		n.onnx.Str("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" ||
		!x.is(tensor.Float32) || len(x.shape) != 4 || !sameShape(x.shape[:2], y.shape[:2]) || x.elems() == 0 || y.elems() == 0 {
		return false
	}
	rows, ok1 := lw.blends(n, 2)
	cols, ok2 := lw.blends(n, 3)
	if !ok1 || !ok2 {
		return false
	}
	src, dst := lw.use(x, channelsLast), lw.make(y, channelsLast)
	im, c, w := imageOf(x, y), x.shape[1], x.shape[3]
	cuts := lw.rowCuts(image{im.batch, im.in, im.out, len(rows)}, 1, float64(y.elems())*2, nil)
	lw.emit(&step{node: n, kernel: "f32 linear resize", parts: len(cuts), in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		k := cuts[part]
		in, out := f.f32(src)[k.image*im.in:][:im.in], f.f32(dst)[k.image*im.out:][:im.out]
		for i := k.M0; i < k.M1; i++ {
			r := rows[i]
			top, bottom := in[r.first*w*c:][:w*c], in[r.second*w*c:][:w*c]
			line := out[i*len(cols)*c:][:len(cols)*c]
			for j, b := range cols {
				blendPixel(line[j*c:][:c], top[b.first*c:], top[b.second*c:], bottom[b.first*c:], bottom[b.second*c:], b.weight, r.weight)
			}
		}
		return nil
	}})
	return true
}

// blendPixel mixes four pixels: across by u, then down by v.
func blendPixel(dst, a, b, c, d []float32, u, v float32) {
	n := len(dst)
	a, b, c, d = a[:n], b[:n], c[:n], d[:n]
	for i := range dst {
		top := a[i] + float32((b[i]-a[i])*u)
		bottom := c[i] + float32((d[i]-c[i])*u)
		dst[i] = top + float32((bottom-top)*v)
	}
}

// blends asks the operator's own definition how it makes the lines of one axis: it is evaluated on a
// tensor of one image and one channel that holds the number of each line.
func (lw *lowerer) blends(n *node, axis int) ([]blend, bool) {
	x, y := n.in[0].shape, n.out[0].shape
	probe := tensor.New(tensor.Float32, 1, 1, x[2], x[3])
	for i := range probe.Len() {
		line := i % x[3]
		if axis == 2 {
			line = i / x[3]
		}
		tensor.Of[float32](probe)[i] = float32(line)
	}
	args := []*tensor.Tensor{probe}
	for i, v := range n.in[1:] {
		switch {
		case v == nil:
			args = append(args, nil)
		case v.konst == nil:
			return nil, false
		case i == 2 && v.elems() == 4: // sizes
			args = append(args, tensor.Vector(1, 1, int64(y[2]), int64(y[3])))
		default:
			args = append(args, v.konst)
		}
	}
	e, err := lw.net.evaluator(&node{onnx: n.onnx, version: n.version, out: n.out, kind: n.kind}, 0)
	if err != nil {
		return nil, false
	}
	out, err := e.run(context.Background(), args)
	if err != nil || !sameShape(out[0].Shape, []int{1, 1, y[2], y[3]}) {
		return nil, false
	}
	return blendsOf(tensor.Of[float32](out[0]), y[2:], axis, x[axis]), true
}

func blendsOf(lines []float32, size []int, axis, in int) []blend {
	list := make([]blend, size[axis-2])
	for i := range list {
		at := lines[i]
		if axis == 2 {
			at = lines[i*size[1]]
		}
		first := min(max(int(at), 0), in-1)
		list[i] = blend{first, min(first+1, in-1), at - float32(first)}
	}
	return list
}
