package engine

import (
	"lowbit/internal/tensor"
)

// A copyPlan copies a box of elements between two tensors with any strides. Dimensions that both
// walk without a gap are merged, so most plans copy long runs of bytes.
type copyPlan struct {
	dims     []int
	ds, ss   []int // strides in elements
	to, from int   // where the box begins
	size     int   // bytes of an element
}

// newCopy plans a copy; all lists are by dimension, outermost first.
func newCopy(size int, dims, ds, ss []int, to, from int) *copyPlan {
	c := &copyPlan{to: to, from: from, size: size}
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
	if k := len(c.dims) - 1; k < 0 || c.ds[k] != 1 || c.ss[k] != 1 {
		c.dims, c.ds, c.ss = append(c.dims, 1), append(c.ds, 1), append(c.ss, 1)
	}
	return c
}

// rows is the number of runs to copy.
func (c *copyPlan) rows() int { return tensor.Elements(c.dims[:len(c.dims)-1]) }

// run copies one part of the runs.
func (c *copyPlan) run(dst, src []byte, part, parts int) {
	k := len(c.dims) - 1
	n := c.dims[k] * c.size
	rows := c.rows()
	for i := rows * part / parts; i < rows*(part+1)/parts; i++ {
		d, s := c.to, c.from
		for j, r := k-1, i; j >= 0; j-- {
			at := r % c.dims[j]
			r /= c.dims[j]
			d, s = d+at*c.ds[j], s+at*c.ss[j]
		}
		d, s = d*c.size, s*c.size
		switch n {
		case 4:
			copy(dst[d:d+4], src[s:s+4])
		case 1:
			dst[d] = src[s]
		default:
			copy(dst[d:d+n], src[s:s+n])
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
			c.run(f.vals[dst.id].Raw, f.vals[src[i].id].Raw, part, parts)
		}
		return nil
	}})
}
