package engine

import (
	"context"

	"lowbit/internal/kernel"
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
	im, m := imageOf(x, y), &blendLines{level: lw.level, rows: rows, cols: cols, c: x.shape[1], w: x.shape[3]}
	cuts := lw.rowCuts(image{im.batch, im.in, im.out, len(rows)}, 1, float64(y.elems()), nil)
	room := lw.scratch(tensor.Float32, len(cuts)*2*m.line())
	lw.emit(&step{node: n, kernel: "f32 linear resize", parts: len(cuts), in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		k := cuts[part]
		m.run(f.f32(dst)[k.image*im.out:][:im.out], f.f32(src)[k.image*im.in:][:im.in], f.f32(room)[part*2*m.line():][:2*m.line()], k.M0, k.M1)
		return nil
	}})
	return true
}

// blendLines resizes one image in channels-last order: lines are blended across, and pairs of these down.
type blendLines struct {
	level      kernel.Level
	rows, cols []blend
	c, w       int // channels, columns of the operand
}

// line is the number of elements of a line of the result.
func (m *blendLines) line() int { return len(m.cols) * m.c }

// run makes the lines r0 to r1-1. Room holds the last two lines that were blended across.
func (m *blendLines) run(dst, x, room []float32, r0, r1 int) {
	n := m.line()
	have := [2]int{-1, -1}
	across := func(row, other int) []float32 {
		for i, h := range have {
			if h == row {
				return room[i*n:][:n]
			}
		}
		i := 0
		if have[0] == other {
			i = 1
		}
		have[i] = row
		m.across(room[i*n:][:n], x[row*m.w*m.c:][:m.w*m.c])
		return room[i*n:][:n]
	}
	for i := r0; i < r1; i++ {
		r := m.rows[i]
		top := across(r.first, r.second)
		bottom := across(r.second, r.first)
		line := dst[i*n:][:n]
		m.level.Binary(kernel.Sub, line, bottom, top)
		m.level.BinaryScalar(kernel.Mul, line, line, r.weight)
		m.level.Binary(kernel.Add, line, line, top)
	}
}

// across blends the pixels of a line of the operand.
func (m *blendLines) across(dst, x []float32) {
	for j, b := range m.cols {
		out, u := dst[j*m.c:][:m.c], b.weight
		left, right := x[b.first*m.c:][:len(out)], x[b.second*m.c:][:len(out)]
		for i := range out {
			out[i] = left[i] + float32((right[i]-left[i])*u)
		}
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
