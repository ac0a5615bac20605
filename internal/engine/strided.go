package engine

import (
	"slices"

	"lowbit/internal/tensor"
)

// A copyPlan copies a box of elements between two tensors with any strides. Dimensions that both
// walk without a gap are merged, so most plans copy long runs.
type copyPlan struct {
	dims     []int
	ds, ss   []int // strides in elements
	to, from int   // where the box begins

	words *copyPlan // the same in words of 64 bits, where it begins and ends at such
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
	if slices.Contains(dims, 0) {
		c.dims, c.ds, c.ss = []int{0, 1}, []int{1, 1}, []int{1, 1}
	}
	return c
}

// rows is the number of innermost rows to copy.
func (c *copyPlan) rows() int { return tensor.Elements(c.dims[:len(c.dims)-1]) }

// run copies one part of the rows, whatever the type of the elements.
func (c *copyPlan) run(dst, src *tensor.Tensor, part, parts int) {
	if c.dims[len(c.dims)-1] == 0 {
		return // nothing to copy, wherever it may begin
	}
	if w := c.words; w != nil {
		w.runs(part, parts, func(d, s, rows int) { w.copyWords(dst.Raw, src.Raw, d, s, rows) })
		return
	}
	switch src.DType.Bits() {
	case 8:
		copyAll(c, dst.Raw, src.Raw, part, parts)
	case 16:
		copyAll(c, tensor.Of[uint16](dst), tensor.Of[uint16](src), part, parts)
	case 32:
		copyAll(c, tensor.Of[uint32](dst), tensor.Of[uint32](src), part, parts)
	case 64:
		copyAll(c, tensor.Of[uint64](dst), tensor.Of[uint64](src), part, parts)
	}
}

// runs divides one part of the rows into runs along the last but one dimension: rows from places d and s on.
func (c *copyPlan) runs(part, parts int, each func(d, s, rows int)) {
	k, rows := len(c.dims)-1, c.rows()
	first, last := rows*part/parts, rows*(part+1)/parts
	if k == 0 {
		if first < last {
			each(c.to, c.from, 1)
		}
		return
	}
	for first < last {
		d, s := c.to, c.from
		r := first
		for j := k - 1; j >= 0; j-- {
			i := r % c.dims[j]
			r /= c.dims[j]
			d, s = d+i*c.ds[j], s+i*c.ss[j]
		}
		n := min(last-first, c.dims[k-1]-first%c.dims[k-1])
		each(d, s, n)
		first += n
	}
}

// step is how far the rows of a run lie apart.
func (c *copyPlan) step() (d, s int) {
	if k := len(c.dims) - 2; k >= 0 {
		return c.ds[k], c.ss[k]
	}
	return 0, 0
}

func copyAll[T uint8 | uint16 | uint32 | uint64](c *copyPlan, dst, src []T, part, parts int) {
	k := len(c.dims) - 1
	n, ds, ss := c.dims[k], c.ds[k], c.ss[k]
	dr, sr := c.step()
	c.runs(part, parts, func(d, s, rows int) {
		for range rows {
			copyRow(dst[d:], src, s, n, ds, ss)
			d, s = d+dr, s+sr
		}
	})
}

// copyRow copies n elements, from the one at s on.
func copyRow[T uint8 | uint16 | uint32 | uint64](dst, src []T, s, n, ds, ss int) {
	switch {
	case ds == 1 && ss == 1:
		dst, src = dst[:n], src[s:s+n]
		if n >= 8 {
			copy(dst, src)
			return
		}
		for i := 0; i < n; i++ { // a call costs more than these few
			dst[i] = src[i]
		}
	case ds == 1 && ss == 0:
		fillAll(dst[:n], src[s])
	case ds == 1 && ss > 1:
		src = src[s : s+(n-1)*ss+1]
		for i, j := 0, 0; i < n; i, j = i+1, j+ss {
			dst[i] = src[j]
		}
	default:
		for i := range n {
			dst[i*ds] = src[s+i*ss]
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
		c.words = c.inWords(wordBits / dst.dtype.Bits())
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
