package engine

import "slices"

// lowerSlice copies a box: Slice with constant operands.
func lowerSlice(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	start, step, ok := sliceOf(n, x.shape)
	if !ok || !movable(x.dtype) || len(x.shape) > maxCopyDims {
		return false
	}
	for i, d := range y.shape {
		if d <= 1 {
			step[i] = 1 // a step that is not taken may be of any length
		}
	}
	lw.emitBox(n, "slice", x, y, start, step)
	return true
}

// emitBox copies the elements start, start+step, … of each ONNX dimension of x to y. A step of 0 repeats.
func (lw *lowerer) emitBox(n *node, name string, x, y *value, start, step []int) {
	l, _ := lw.natural(x)
	if l == channelsLast && onlyChannels(x.shape, y.shape, step) && !neutral(y.shape) {
		lw.partOf(y, x, start[1])
		return
	}
	src := lw.use(x, l)
	dst := lw.make(y, l)
	rank := len(y.shape)
	dense := denseStrides(src.shape)
	strides, from := make([]int, rank), 0
	for p := range strides {
		a := l.logical(p, rank)
		strides[p] = dense[p] * step[a]
		from += dense[p] * start[a]
	}
	plan := newCopy(dst.shape, denseStrides(dst.shape), strides, 0, from)
	lw.emitCopies(n, name, dst, []*slot{src}, []*copyPlan{plan})
}

// onlyChannels says whether a box of x is all pixels with neighbouring channels.
func onlyChannels(x, y, step []int) bool {
	if len(x) < 3 || step[1] != 1 {
		return false
	}
	for i := range x {
		if i != 1 && (x[i] != y[i] || step[i] != 1) {
			return false
		}
	}
	return true
}

// sliceOf reads the start and step of each dimension: attributes before opset 10, operands since.
func sliceOf(n *node, shape []int) (start, step []int, ok bool) {
	starts, axes, steps := n.onnx.Ints("starts"), n.onnx.Ints("axes"), []int(nil)
	if n.version >= 10 {
		lists := [4][]int{}
		for i, at := range []int{1, 2, 3, 4} {
			if v := n.input(at); v != nil {
				if lists[i], ok = intsOf(v); !ok {
					return nil, nil, false
				}
			}
		}
		starts, axes, steps = lists[0], lists[2], lists[3]
	}
	start, step = make([]int, len(shape)), slices.Repeat([]int{1}, len(shape))
	for i, s := range starts {
		a, by := i, 1
		if axes != nil {
			a = axes[i]
		}
		if a < 0 {
			a += len(shape)
		}
		if steps != nil {
			by = steps[i]
		}
		start[a], step[a] = clampStart(s, by, shape[a]), by
	}
	return start, step, true
}

// clampStart is ONNX's rule for the first index of a slice.
func clampStart(s, step, dim int) int {
	if s < 0 {
		s += dim
	}
	if step < 0 {
		return min(max(s, 0), dim-1)
	}
	return min(max(s, 0), dim)
}

// intsOf returns the elements of a constant integer tensor.
func intsOf(v *value) ([]int, bool) {
	if v == nil || v.konst == nil {
		return nil, false
	}
	list, err := v.konst.Ints()
	if err != nil {
		return nil, false
	}
	out := make([]int, len(list))
	for i, x := range list {
		out[i] = int(x)
	}
	return out, true
}

// lowerSplit copies each part of a tensor that is cut along an axis.
func lowerSplit(lw *lowerer, n *node) bool {
	x := n.in[0]
	if !movable(x.dtype) || len(x.shape) > maxCopyDims {
		return false
	}
	rank := len(x.shape)
	axis := n.onnx.Int("axis", 0)
	if axis < 0 {
		axis += rank
	}
	ones, start := slices.Repeat([]int{1}, rank), make([]int, rank)
	total := 0
	for _, y := range n.out {
		if y == nil {
			return false
		}
		total += y.shape[axis]
	}
	if total != x.shape[axis] || !n.decided() {
		return false
	}
	for _, y := range n.out {
		lw.emitBox(n, "split", x, y, slices.Clone(start), ones)
		start[axis] += y.shape[axis]
	}
	return true
}

// lowerExpand repeats along dimensions of 1.
func lowerExpand(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	rank := len(y.shape)
	if !movable(x.dtype) || len(x.shape) > rank || rank > maxCopyDims || !n.decided() {
		return false
	}
	l := rowMajor
	if len(x.shape) == rank {
		l, _ = lw.natural(x)
	}
	src, dst := lw.use(x, l), lw.make(y, l)
	to, from := denseStrides(dst.shape), repeatStrides(padShape(src.shape, rank), dst.shape)
	if size := y.elems(); size == 0 || size > probeLimit {
		lw.emitCopies(n, "expand", dst, []*slot{src}, []*copyPlan{newCopy(dst.shape, to, from, 0, 0)})
		return true
	}
	lw.emitGrid(n, "expand", dst, src, evenGrid(dst.shape, to, from))
	return true
}
