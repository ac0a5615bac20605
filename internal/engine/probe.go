package engine

import (
	"context"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Some operators move elements in ways that are long to write down and easy to get wrong. Their own
// definition tells where each element comes from: it is evaluated once, at compile time, on a tensor
// that holds element numbers.

// probeLimit bounds the elements that a probe may move: floats number no more exactly.
const probeLimit = 1 << 23

// probes lists operators that move elements of operand 0, all other operands being constant, and when.
var probes = map[string]func(n *node) bool{
	"Resize":         isNearest,
	"Upsample":       isNearest,
	"Pad":            func(*node) bool { return true },
	"Gather":         func(*node) bool { return true },
	"GatherElements": func(*node) bool { return true },
	"GatherND":       func(*node) bool { return true },
	"DepthToSpace":   func(*node) bool { return true },
	"SpaceToDepth":   func(*node) bool { return true },
	"Tile":           func(*node) bool { return true },
	"Trilu":          func(*node) bool { return true },
	"CenterCropPad":  func(*node) bool { return true },
}

// isNearest says whether a Resize chooses elements, and zero outside of the region that it crops.
func isNearest(n *node) bool {
	extrapolates := n.onnx.Str("coordinate_transformation_mode", "") == "tf_crop_and_resize" && n.onnx.Float("extrapolation_value", 0) != 0
	return n.onnx.Str("mode", "nearest") == "nearest" && !extrapolates
}

// Numbers that a probe finds beside element numbers, which count from 1.
const (
	fromZero = 0  // the operator's own zero
	fromPad  = -1 // the value that Pad is given
)

// lowerProbe emits an operator that only moves elements.
func lowerProbe(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	test := probes[n.kind]
	if !test(n) || !movable(x.dtype) || x.konst != nil || x.elems() > probeLimit || y.elems() > probeLimit || y.elems() == 0 {
		return false
	}
	l, _ := lw.natural(x)
	if l == channelsLast && len(y.shape) != len(x.shape) {
		l = rowMajor
	}
	from := lw.probe(n, l)
	if from == nil {
		return false
	}
	long := countMoves(from)*4 <= len(from)
	var src, dst *slot
	var runs []moveRun
	if long && l == channelsLast {
		p, q := lw.pixelsOf(x), lw.pixelsFor(y)
		if m := gridBetween(from, p, q, x.shape[1], l.physical(y.shape)); m != nil {
			lw.emitGrid(n, "move", q.slot, p.slot, m)
			return true
		}
		src, dst, runs = p.slot, q.slot, runsBetween(movesOf(from), p, q, x.shape[1], y.shape[1])
	} else {
		src, dst = lw.use(x, l), lw.make(y, l)
		if m := gridBetween(from, pixels{src, 0, 1}, pixels{dst, 0, 1}, 1, append(slices.Clone(dst.shape), 1)); m != nil {
			lw.emitGrid(n, "move", dst, src, m)
			return true
		}
		if long {
			runs = movesOf(from)
		}
	}
	pad := padValue(n)
	st := &step{node: n, kernel: "move", in: []*slot{src}, out: []*slot{dst}}
	if long {
		parts := lw.partsFor(float64(y.dtype.ByteLen(y.elems()))*moveNanosPerByte+float64(len(runs))*4, len(runs))
		st.parts = parts
		st.run = func(f *frame, part int) error {
			moveRuns(f.vals[dst.id], f.vals[src.id], runs[len(runs)*part/parts:len(runs)*(part+1)/parts], pad)
			return nil
		}
	} else {
		parts := lw.partsFor(float64(len(from)), len(from)/64)
		st.parts = parts
		st.run = func(f *frame, part int) error {
			a, b := span(len(from), part, parts)
			moveEach(f.vals[dst.id], f.vals[src.id], from, a, b, pad)
			return nil
		}
	}
	lw.emit(st)
	return true
}

// probe returns for each element of the result in memory order where it comes from: 1 and more count
// the elements of the operand in memory order.
func (lw *lowerer) probe(n *node, l layout) []int32 {
	x := n.in[0]
	args := make([]*tensor.Tensor, len(n.in))
	for i, v := range n.in {
		if v == nil || i == 0 {
			continue
		}
		if v.konst == nil {
			return nil
		}
		args[i] = v.konst
	}
	args[0] = numbered(lw.level, x.shape, l)
	if n.kind == "Pad" && len(args) > 2 && args[2] != nil {
		args[2] = tensor.Scalar(fromPad)
	}
	e, err := lw.net.evaluator(padded(n), 0)
	if err != nil || e.hosted != nil {
		return nil
	}
	out, err := e.run(context.Background(), args)
	if err != nil || out[0].DType != tensor.Float32 || !sameShape(out[0].Shape, n.out[0].shape) {
		return nil
	}
	res := out[0]
	if l == channelsLast {
		res = toChannelsLast(lw.level, res)
	}
	from := make([]int32, res.Len())
	for i, v := range tensor.Of[float32](res) {
		from[i] = int32(v)
	}
	return from
}

// padded returns a Pad before opset 11, whose value is an attribute, with fromPad in its place, and
// other nodes as they are.
func padded(n *node) *node {
	if n.kind != "Pad" || n.onnx.Float("value", 0) == 0 {
		return n
	}
	c, o := *n, *n.onnx
	o.Attrs = slices.DeleteFunc(slices.Clone(o.Attrs), func(a *graph.Attr) bool { return a.Name == "value" })
	o.SetAttr("value", float32(fromPad))
	c.onnx = &o
	return &c
}

// numbered returns a tensor whose elements are numbered from 1 in memory order.
func numbered(level kernel.Level, shape []int, l layout) *tensor.Tensor {
	t := tensor.New(tensor.Float32, l.physical(shape)...)
	numbers := tensor.Of[float32](t)
	for i := range numbers {
		numbers[i] = float32(i + 1)
	}
	if l == rowMajor || neutral(shape) {
		return t.Reshape(shape...)
	}
	back := tensor.New(tensor.Float32, shape...)
	c, space := shape[1], tensor.Elements(shape[2:])
	kernel.Transpose(level, tensor.Of[float32](back), tensor.Of[float32](t), shape[0], space, c)
	return back
}

// padValue returns the bytes of the element that Pad puts around its operand; nil for zero.
func padValue(n *node) []byte {
	if n.kind != "Pad" {
		return nil
	}
	if v := n.input(2); v != nil && v.konst != nil {
		return v.konst.Raw
	}
	if v := n.onnx.Float("value", 0); v != 0 {
		return slices.Clone(tensor.Scalar(v).Raw)
	}
	return nil
}

// A moveRun copies n elements; a source before the first says what to fill with instead.
type moveRun struct{ dst, src, n int32 }

// follows says whether an element from s can be copied with the one before it, from before.
func follows(before, s int32) bool { return before > 0 && s == before+1 || s <= 0 && s == before }

// countMoves is the number of runs that movesOf makes.
func countMoves(from []int32) int {
	n := 1
	for i, s := range from[1:] {
		if !follows(from[i], s) {
			n++
		}
	}
	return n
}

// movesOf joins the elements whose sources follow each other.
func movesOf(from []int32) []moveRun {
	runs := make([]moveRun, 0, countMoves(from))
	for i, s := range from {
		if i > 0 && follows(from[i-1], s) {
			runs[len(runs)-1].n++
		} else {
			runs = append(runs, moveRun{int32(i), s - 1, 1})
		}
	}
	return runs
}

// gridBetween finds the grid in what a probe tells of pixels of c channels and those of a shape in memory order, if there is
// one.
func gridBetween(from []int32, src, dst pixels, c int, shape []int) *gridMove {
	list := make([]int32, len(from))
	for i, s := range from {
		if s <= 0 {
			return nil
		}
		list[i] = s - 1
	}
	if src.pitch != c {
		for i, s := range list {
			list[i] = src.at(s, c)
		}
	} else if src.off != 0 {
		for i := range list {
			list[i] += int32(src.off)
		}
	}
	last := len(shape) - 1
	to := denseStrides(shape)
	for k := range to[:last] {
		to[k] = to[k] / shape[last] * dst.pitch
	}
	return gridOf(shape, to, dst.off, list)
}

// runsBetween moves runs between pixels of from and to channels that lie side by side to where they do lie.
func runsBetween(runs []moveRun, src, dst pixels, from, to int) []moveRun {
	if src.pitch == from && dst.pitch == to {
		return runs
	}
	var list []moveRun
	for _, r := range runs {
		for r.n > 0 {
			m := moveRun{dst: dst.at(r.dst, to), src: r.src, n: min(r.n, int32(to)-r.dst%int32(to))}
			if r.src >= 0 {
				m.src, m.n = src.at(r.src, from), min(m.n, int32(from)-r.src%int32(from))
				r.src += m.n
			}
			list = append(list, m)
			r.dst, r.n = r.dst+m.n, r.n-m.n
		}
	}
	return list
}

// at is where element i of pixels of c channels lies.
func (p pixels) at(i int32, c int) int32 {
	return int32(p.off + int(i)/c*p.pitch + int(i)%c)
}

func moveRuns(dst, src *tensor.Tensor, runs []moveRun, pad []byte) {
	size := src.DType.Bits() / 8
	d, s := dst.Raw, src.Raw
	for _, r := range runs {
		to := d[int(r.dst)*size : int(r.dst+r.n)*size]
		if r.src >= 0 {
			copy(to, s[int(r.src)*size:])
			continue
		}
		fillWith(to, r.src, pad)
	}
}

// fillWith writes the element that a source before the first means.
func fillWith(to []byte, source int32, pad []byte) {
	if source != fromPad-1 || pad == nil {
		clear(to)
		return
	}
	for i := copy(to, pad); i < len(to); i *= 2 {
		copy(to[i:], to[:i])
	}
}

// moveEach moves the elements [a, b) of the result one by one.
func moveEach(dst, src *tensor.Tensor, from []int32, a, b int, pad []byte) {
	switch src.DType.Bits() {
	case 8:
		moveEachOf(dst.Raw, src.Raw, from, a, b)
	case 16:
		moveEachOf(tensor.Of[uint16](dst), tensor.Of[uint16](src), from, a, b)
	case 32:
		moveEachOf(tensor.Of[uint32](dst), tensor.Of[uint32](src), from, a, b)
	case 64:
		moveEachOf(tensor.Of[uint64](dst), tensor.Of[uint64](src), from, a, b)
	}
	size := src.DType.Bits() / 8
	if pad != nil {
		for i := a; i < b; i++ {
			if from[i] < 0 {
				copy(dst.Raw[i*size:], pad)
			}
		}
	}
}

func moveEachOf[T uint8 | uint16 | uint32 | uint64](dst, src []T, from []int32, a, b int) {
	for i, s := range from[a:b] {
		if s > 0 {
			dst[a+i] = src[s-1]
		} else {
			dst[a+i] = 0
		}
	}
}
