package engine

// lowerConcat copies its operands side by side, in the layout that most of them have.
func lowerConcat(lw *lowerer, n *node) bool {
	y := n.out[0]
	if !movable(y.dtype) || len(y.shape) > maxCopyDims {
		return false
	}
	rank := len(y.shape)
	axis := n.onnx.Int("axis", 1)
	if axis < 0 {
		axis += rank
	}
	l := lw.follow(n.in...)
	p := l.axis(axis, rank)
	dst := lw.make(y, l)
	strides := denseStrides(dst.shape)
	var src []*slot
	var plans []*copyPlan
	at := 0
	for _, v := range n.in {
		if v.elems() == 0 {
			continue
		}
		s := lw.use(v, l)
		src = append(src, s)
		plans = append(plans, newCopy(s.shape, strides, denseStrides(s.shape), at*strides[p], 0))
		at += v.shape[axis]
	}
	lw.emitCopies(n, "concat", dst, src, plans)
	return true
}
