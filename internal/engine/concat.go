package engine

// lowerConcat copies its operands side by side, in the layout that most of them have.
func lowerConcat(lw *lowerer, n *node) bool {
	y := n.out[0]
	if !movable(y.dtype) || len(y.shape) > maxCopyDims {
		return false
	}
	rank := len(y.shape)
	axis := concatAxis(n)
	l := lw.follow(n.in...)
	for _, v := range n.in {
		if lw.parts[v].slot != nil {
			l = channelsLast
		}
	}
	p := l.axis(axis, rank)
	dst := lw.concatSlot(y, l)
	strides := denseStrides(dst.shape)
	var src []*slot
	var plans []*copyPlan
	at := 0
	for _, v := range n.in {
		if v.elems() > 0 && lw.placed[v].whole != y {
			s, plan := lw.joinPlan(v, l, strides, at*strides[p])
			src, plans = append(src, s), append(plans, plan)
		}
		at += v.shape[axis]
	}
	if len(plans) == 0 {
		return true
	}
	lw.emitCopies(n, "concat", dst, src, plans)
	return true
}

// concatSlot returns the slot of a concatenation, which exists where operands have been written there.
func (lw *lowerer) concatSlot(y *value, l layout) *slot {
	if f := lw.forms[y]; f != nil && f[l] != nil {
		return f[l]
	}
	return lw.make(y, l)
}

// joinPlan returns where operand v of a concatenation lies and how to copy it to a place with some strides.
func (lw *lowerer) joinPlan(v *value, l layout, strides []int, to int) (*slot, *copyPlan) {
	if l == channelsLast && len(v.shape) >= 3 {
		p := lw.pixelsOf(v)
		return p.slot, p.copyTo(l.physical(v.shape), strides, to)
	}
	s := lw.use(v, l)
	return s, newCopy(s.shape, strides, denseStrides(s.shape), to, 0)
}
