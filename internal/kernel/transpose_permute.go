package kernel

// Permute sets dst to src with its axes in a new order: axis i of dst, of shape[perm[i]], is axis
// perm[i] of src. perm holds each axis once. dst must not overlap src.
func Permute[T Elem](l Level, dst, src []T, shape, perm []int) {
	dims, strides := mergeAxes(shape, perm)
	n := len(dims)
	if n == 0 {
		copy(dst[:1], src[:1])
		return
	}
	for _, d := range dims {
		if d == 0 {
			return
		}
	}
	if n == 1 {
		copy(dst[:dims[0]], src[:dims[0]])
		return
	}
	if strides[n-1] == 1 {
		walk(dims[:n-1], strides[:n-1], func(i, from int) {
			copy(dst[i*dims[n-1]:][:dims[n-1]], src[from:])
		})
		return
	}
	permuteInner(l, dst, src, dims, strides)
}

// permuteInner handles a last axis that is not contiguous in src: the axis k that is makes a
// matrix with the last one, and these matrices are transposed.
func permuteInner[T Elem](l Level, dst, src []T, dims, strides []int) {
	n, k := len(dims), 0
	for strides[k] != 1 {
		k++
	}
	pitch := 1 // of axis k in dst
	for _, d := range dims[k+1:] {
		pitch *= d
	}
	outer, from := append([]int(nil), dims[:n-1]...), append([]int(nil), strides[:n-1]...)
	outer[k] = 1
	to := make([]int, n-1)
	for i, p := n-2, dims[n-1]; i >= 0; i-- {
		to[i], p = p, p*dims[i]
	}
	walk2(outer, from, to, func(s, d int) {
		TransposePitch(l, dst[d:], src[s:], dims[n-1], dims[k], pitch, strides[n-1])
	})
}

// mergeAxes gives the dimensions of the result with the strides in the source, without axes of
// length 1 and with axes that stay neighbours merged.
func mergeAxes(shape, perm []int) (dims, strides []int) {
	step := make([]int, len(shape))
	for i, p := len(shape)-1, 1; i >= 0; i-- {
		step[i], p = p, p*shape[i]
	}
	for _, a := range perm {
		d, s, last := shape[a], step[a], len(dims)-1
		switch {
		case d == 1:
		case last >= 0 && strides[last] == d*s:
			dims[last], strides[last] = dims[last]*d, s
		default:
			dims, strides = append(dims, d), append(strides, s)
		}
	}
	return dims, strides
}

// walk calls f with the running number and the source offset of each index of dims.
func walk(dims, strides []int, f func(i, from int)) {
	to := make([]int, len(dims))
	for i, p := len(dims)-1, 1; i >= 0; i-- {
		to[i], p = p, p*dims[i]
	}
	walk2(dims, strides, to, func(from, i int) { f(i, from) })
}

// walk2 calls f with two offsets of each index of dims.
func walk2(dims, a, b []int, f func(a, b int)) {
	if len(dims) == 0 {
		f(0, 0)
		return
	}
	for i := range dims[0] {
		walk2(dims[1:], a[1:], b[1:], func(x, y int) { f(x+i*a[0], y+i*b[0]) })
	}
}
