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

// lowerLinearResize emits Resize by linear interpolation of one to three spatial dimensions: the last two at once, then the
// depth, whose images are lines of one column.
func lowerLinearResize(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if !x.is(tensor.Float32) {
		return false
	}
	along, ok := lw.net.linearResize(n)
	if !ok {
		return false
	}
	rank := len(x.shape)
	depth, rows, cols := along[len(along)-3], along[len(along)-2], along[len(along)-1]
	src, dst := lw.use(x, channelsLast), lw.make(y, channelsLast)
	c, w := x.shape[1], x.shape[rank-1]
	if rank < 5 {
		lw.blend(n, src, dst, x.shape[0], &blendLines{rows: rows, cols: cols, c: c, w: w, h: x.elems() / (x.shape[0] * c * w)})
		return true
	}
	images, line := x.shape[0]*x.shape[2], len(rows)*len(cols)*c
	flat := lw.scratch(tensor.Float32, images*line)
	lw.blend(n, src, flat, images, &blendLines{rows: rows, cols: cols, c: c, w: w, h: x.shape[3]})
	lw.blend(n, flat, dst, x.shape[0], &blendLines{rows: depth, cols: []blend{{}}, c: line, w: 1, h: x.shape[2]})
	return true
}

// linearResize returns how a Resize by linear interpolation of one to three spatial dimensions makes the lines of each, a depth
// and rows of one line among them where there are none.
func (g *net) linearResize(n *node) ([][]blend, bool) {
	x, y := n.in[0], n.out[0]
	rank := len(x.shape)
	if n.onnx.Str("mode", "nearest") != "linear" || n.onnx.Bool("antialias", false) || n.onnx.Bool("exclude_outside", false) || n.onnx.Has("axes") ||
		n.onnx.Str("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" ||
		rank < 3 || rank > 5 || !sameShape(x.shape[:2], y.shape[:2]) || x.elems() == 0 || y.elems() == 0 {
		return nil, false
	}
	along := [][]blend{{{}}, {{}}}
	for axis := 2; axis < rank; axis++ {
		list, ok := g.blends(n, axis)
		if !ok {
			return nil, false
		}
		along = append(along, list)
	}
	return along, true
}

// blend emits the step that resizes images.
func (lw *lowerer) blend(n *node, src, dst *slot, batch int, m *blendLines) {
	m.level = lw.level
	in, out := m.h*m.w*m.c, len(m.rows)*m.line()
	cuts := lw.rowCuts(image{batch, in, out, len(m.rows)}, 1, float64(batch*out), nil)
	room := lw.scratch(tensor.Float32, len(cuts)*m.room())
	lw.emit(&step{node: n, kernel: "f32 linear resize", parts: len(cuts), in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		k := cuts[part]
		x, y := f.f32(src)[k.image*in:][:in], f.f32(dst)[k.image*out:][:out]
		m.run(func(row int) []float32 { return x[row*m.w*m.c:][:m.w*m.c] }, func(i int) []float32 { return y[i*m.line():][:m.line()] }, nil,
			f.f32(room)[part*m.room():][:m.room()], k.M0, k.M1)
		return nil
	}})
}

// blendLines resizes one image in channels-last order: lines are blended across, and pairs of these down.
type blendLines struct {
	level      kernel.Level
	rows, cols []blend
	c, w, h    int  // channels, columns and rows of the operand
	apart      bool // the lines of the operand do not lie beside each other
}

// straight says whether lines are taken as they are, there being nothing to blend across.
func (m *blendLines) straight() bool { return !m.apart && m.w == 1 && len(m.cols) == 1 }

// room is the number of elements that two lines blended across take.
func (m *blendLines) room() int {
	if m.straight() {
		return 0
	}
	return 2 * m.line()
}

// line is the number of elements of a line of the result.
func (m *blendLines) line() int { return len(m.cols) * m.c }

// run makes the lines r0 to r1-1 of the result from the lines of the operand. Room holds the last two lines that were blended
// across. done is told of each that is made, if it is not nil.
func (m *blendLines) run(from, to func(i int) []float32, done func(i int), room []float32, r0, r1 int) {
	n := m.line()
	have := [2]int{-1, -1}
	across := func(row, other int) []float32 {
		if m.straight() {
			return from(row)
		}
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
		m.across(room[i*n:][:n], from(row))
		return room[i*n:][:n]
	}
	for i := r0; i < r1; i++ {
		r := m.rows[i]
		top := across(r.first, r.second)
		bottom := across(r.second, r.first)
		m.level.Lerp(to(i), top, bottom, r.weight)
		if done != nil {
			done(i)
		}
	}
}

// callLeast is from how many channels on a call for each pixel pays.
const callLeast = 8

// across blends the pixels of a line of the operand.
func (m *blendLines) across(dst, x []float32) {
	for j, b := range m.cols {
		out, u := dst[j*m.c:][:m.c], b.weight
		left, right := x[b.first*m.c:][:len(out)], x[b.second*m.c:][:len(out)]
		if len(out) >= callLeast {
			m.level.Lerp(out, left, right, u)
			continue
		}
		for i := range out {
			out[i] = left[i] + float32((right[i]-left[i])*u)
		}
	}
}

// blends asks the operator's own definition how it makes the lines of one axis: it is evaluated on a
// tensor of one image and one channel that holds the number of each line.
func (g *net) blends(n *node, axis int) ([]blend, bool) {
	x, y := n.in[0].shape, n.out[0].shape
	one := func(shape []int) []int { return append([]int{1, 1}, shape[2:]...) }
	probe := tensor.New(tensor.Float32, one(x)...)
	inner := tensor.Elements(x[axis+1:])
	for i := range probe.Len() {
		tensor.Of[float32](probe)[i] = float32(i / inner % x[axis])
	}
	args := []*tensor.Tensor{probe}
	for i, v := range n.in[1:] {
		switch {
		case v == nil:
			args = append(args, nil)
		case v.konst == nil:
			return nil, false
		case i == 2 && v.elems() == len(x): // sizes
			args = append(args, shapeOf(one(y)))
		default:
			args = append(args, v.konst)
		}
	}
	e, err := g.evaluator(&node{onnx: n.onnx, version: n.version, out: n.out, kind: n.kind}, 0)
	if err != nil {
		return nil, false
	}
	out, err := e.run(context.Background(), args)
	if err != nil || !sameShape(out[0].Shape, one(y)) {
		return nil, false
	}
	inner = tensor.Elements(y[axis+1:])
	list := make([]blend, y[axis])
	for i := range list {
		at := tensor.Of[float32](out[0])[i*inner]
		first := min(max(int(at), 0), x[axis]-1)
		list[i] = blend{first, min(first+1, x[axis]-1), at - float32(first)}
	}
	return list, true
}
