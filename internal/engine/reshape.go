package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// lowerReshape makes the result share its operand's memory: Reshape, Flatten, Squeeze, Unsqueeze.
func lowerReshape(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if !movable(x.dtype) || x.elems() != y.elems() || !n.decided() {
		return false
	}
	if l, _ := lw.natural(x); l == channelsLast && keepsChannels(x.shape, y.shape) {
		lw.view(y, channelsLast, lw.use(x, channelsLast))
		return true
	}
	lw.view(y, rowMajor, lw.use(x, rowMajor))
	return true
}

// decided says whether all operands but the first are constant, so that nothing found while running, such as
// a wanted shape that the elements do not fill, can make n fail.
func (n *node) decided() bool {
	return !slices.ContainsFunc(n.in[1:], func(v *value) bool { return v != nil && v.konst == nil })
}

// keepsChannels says whether a reshape of a channels-last value leaves batch and channels alone, so
// that the result is channels-last too.
func keepsChannels(x, y []int) bool {
	return len(x) >= 3 && len(y) >= 3 && x[0] == y[0] && x[1] == y[1]
}

// lowerIdentity makes the result share its operand's memory in whatever layout that has.
func lowerIdentity(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if len(n.out) > 1 && n.out[1] != nil || !passing[n.kind](n) || !movable(x.dtype) {
		return false
	}
	l, _ := lw.natural(x)
	lw.view(y, l, lw.use(x, l))
	return true
}

// lowerTranspose emits a permutation of axes, or a view where the order in memory stays.
func lowerTranspose(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if !movable(x.dtype) {
		return false
	}
	rank, perm := len(x.shape), permOf(n)
	from, _ := lw.natural(x)
	src := lw.use(x, from)
	for _, to := range []layout{rowMajor, channelsLast} {
		order := physicalOrder(perm, from, to, rank)
		if inOrder(order, src.shape) && (to == rowMajor || rank >= 3) {
			lw.view(y, to, src)
			return true
		}
	}
	dst := lw.make(y, rowMajor)
	lw.emitPermute(n, dst, src, physicalOrder(perm, from, rowMajor, rank))
	return true
}

// permOf returns the order in which a Transpose takes the axes of its operand.
func permOf(n *node) []int {
	rank := len(n.in[0].shape)
	perm := n.onnx.Ints("perm")
	for i, p := range perm {
		if p < 0 {
			perm[i] += rank
		}
	}
	if perm == nil {
		perm = identity(rank)
		slices.Reverse(perm)
	}
	return perm
}

// physicalOrder turns a permutation of ONNX axes into one of the axes in memory: place i of the result
// is place order[i] of the operand.
func physicalOrder(perm []int, from, to layout, rank int) []int {
	order := make([]int, rank)
	for p := range order {
		order[p] = from.axis(perm[to.logical(p, rank)], rank)
	}
	return order
}

// inOrder says whether a permutation of a shape moves nothing but dimensions of 1.
func inOrder(order, shape []int) bool {
	last := -1
	for _, a := range order {
		if shape[a] == 1 {
			continue
		}
		if a < last {
			return false
		}
		last = a
	}
	return true
}

func (lw *lowerer) emitPermute(n *node, dst, src *slot, order []int) {
	shape, level := slices.Clone(src.shape), lw.level
	strides, dense := make([]int, len(order)), denseStrides(shape)
	for i, a := range order {
		strides[i] = dense[a]
	}
	plan := newCopy(dst.shape, denseStrides(dst.shape), strides, 0, 0)
	if k := len(plan.dims) - 1; plan.ss[k] == 1 && plan.dims[k] > 1 && k < maxCopyDims {
		lw.emitCopies(n, "permute rows", dst, []*slot{src}, []*copyPlan{plan})
		return
	}
	lw.emit(&step{node: n, kernel: "permute", in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, _ int) error {
		permute(level, f.vals[dst.id], f.vals[src.id], shape, order)
		return nil
	}})
}

// permute moves elements of any size.
func permute(l kernel.Level, dst, src *tensor.Tensor, shape, order []int) {
	switch src.DType.Bits() {
	case 8:
		kernel.Permute(l, dst.Raw, src.Raw, shape, order)
	case 16:
		kernel.Permute(l, tensor.Of[uint16](dst), tensor.Of[uint16](src), shape, order)
	case 32:
		kernel.Permute(l, tensor.Of[uint32](dst), tensor.Of[uint32](src), shape, order)
	case 64:
		kernel.Permute(l, tensor.Of[uint64](dst), tensor.Of[uint64](src), shape, order)
	}
}
