package engine

import (
	"lowbit/internal/tensor"
)

// A copyPlan copies a box of elements between two tensors with any strides. Dimensions that both
// walk without a gap are merged, so most plans copy long runs.
type copyPlan struct {
	dims     []int
	ds, ss   []int // strides in elements
	to, from int   // where the box begins
}

// maxCopyDims bounds the dimensions that a plan may have after merging.
const maxCopyDims = 16

// newCopy plans a copy; all lists are by dimension, outermost first.
func newCopy(dims, ds, ss []int, to, from int) *copyPlan {
	c := &copyPlan{to: to, from: from}
	for i, d := range dims {
		if d == 1 {
			continue
		}
		k := len(c.dims) - 1
		if k >= 0 && c.ds[k] == ds[i]*d && c.ss[k] == ss[i]*d {
			c.dims[k], c.ds[k], c.ss[k] = c.dims[k]*d, ds[i], ss[i]
			continue
		}
		c.dims, c.ds, c.ss = append(c.dims, d), append(c.ds, ds[i]), append(c.ss, ss[i])
	}
	if len(c.dims) == 0 {
		c.dims, c.ds, c.ss = []int{1}, []int{1}, []int{1}
	}
	return c
}

// rows is the number of innermost rows to copy.
func (c *copyPlan) rows() int { return tensor.Elements(c.dims[:len(c.dims)-1]) }

// run copies one part of the rows, whatever the type of the elements.
func (c *copyPlan) run(dst, src *tensor.Tensor, part, parts int) {
	switch src.DType.Bits() {
	case 8:
		copyRows(c, dst.Raw, src.Raw, part, parts)
	case 16:
		copyRows(c, tensor.Of[uint16](dst), tensor.Of[uint16](src), part, parts)
	case 32:
		copyRows(c, tensor.Of[uint32](dst), tensor.Of[uint32](src), part, parts)
	case 64:
		copyRows(c, tensor.Of[uint64](dst), tensor.Of[uint64](src), part, parts)
	}
}

func copyRows[T uint8 | uint16 | uint32 | uint64](c *copyPlan, dst, src []T, part, parts int) {
	k := len(c.dims) - 1
	rows := c.rows()
	first, last := rows*part/parts, rows*(part+1)/parts
	var index [maxCopyDims]int
	d, s := c.to, c.from
	for j, r := k-1, first; j >= 0; j-- {
		index[j] = r % c.dims[j]
		r /= c.dims[j]
		d, s = d+index[j]*c.ds[j], s+index[j]*c.ss[j]
	}
	for range last - first {
		copyRow(dst[d:], src[s:], c.dims[k], c.ds[k], c.ss[k], s, src)
		for j := k - 1; j >= 0; j-- {
			d, s = d+c.ds[j], s+c.ss[j]
			if index[j]++; index[j] < c.dims[j] {
				break
			}
			d, s = d-c.dims[j]*c.ds[j], s-c.dims[j]*c.ss[j]
			index[j] = 0
		}
	}
}

// copyRow copies n elements. A source stride below 1 starts from element at of all.
func copyRow[T uint8 | uint16 | uint32 | uint64](dst, src []T, n, ds, ss, at int, all []T) {
	switch {
	case ds == 1 && ss == 1:
		dst, src = dst[:n], src[:n]
		if n >= 16 {
			copy(dst, src)
			return
		}
		for i := 0; i < n; i++ { // a call costs more than these few
			dst[i] = src[i]
		}
	case ds == 1 && ss == 0:
		v := src[0]
		for i := range dst[:n] {
			dst[i] = v
		}
	case ds == 1 && ss > 1:
		src = src[:(n-1)*ss+1]
		for i, j := 0, 0; i < n; i, j = i+1, j+ss {
			dst[i] = src[j]
		}
	default:
		for i := range n {
			dst[i*ds] = all[at+i*ss]
		}
	}
}

// denseStrides returns the element strides of a dense shape.
func denseStrides(shape []int) []int {
	s := make([]int, len(shape))
	for i, p := len(shape)-1, 1; i >= 0; i-- {
		s[i], p = p, p*shape[i]
	}
	return s
}

// emitCopies adds a step that runs several copies from the slots in src to dst, one after the other.
func (lw *lowerer) emitCopies(n *node, name string, dst *slot, src []*slot, plans []*copyPlan) {
	rows := 1 << 30
	for _, c := range plans {
		rows = min(rows, c.rows())
	}
	parts := lw.partsFor(float64(dst.bytes)*moveNanosPerByte, rows)
	lw.emit(&step{node: n, kernel: name, parts: parts, in: src, out: []*slot{dst}, run: func(f *frame, part int) error {
		for i, c := range plans {
			c.run(f.vals[dst.id], f.vals[src[i].id], part, parts)
		}
		return nil
	}})
}
