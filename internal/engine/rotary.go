package engine

import (
	"lowbit/internal/tensor"
)

// A rotary turns pairs of features by angles whose cosines and sines lie in tables (positions,half): neighbours if
// interleaved, else features half the width apart.
type rotary struct {
	cos, sin    []float32
	rows, half  int
	interleaved bool
}

func newRotary(cos, sin *tensor.Tensor, interleaved bool) (*rotary, bool) {
	c, ok := f32Of(cos)
	s, ok2 := f32Of(sin)
	if !ok || !ok2 || len(cos.Shape) != 2 || !sameShape(cos.Shape, sin.Shape) {
		return nil, false
	}
	return &rotary{c, s, cos.Shape[0], cos.Shape[1], interleaved}, true
}

// turn sets the first features of dst to those of x turned by the angles of a position, and copies the others.
func (r *rotary) turn(dst, x []float32, position int) {
	cos, sin := r.cos[position*r.half:][:r.half], r.sin[position*r.half:][:r.half]
	if r.interleaved {
		for i, c := range cos {
			a, b := x[2*i], x[2*i+1]
			dst[2*i], dst[2*i+1] = a*c-b*sin[i], b*c+a*sin[i]
		}
	} else {
		a, b, lo, hi := x[:r.half], x[r.half:2*r.half], dst[:r.half], dst[r.half:2*r.half]
		for i, c := range cos {
			u, v, s := a[i], b[i], sin[i]
			lo[i], hi[i] = u*c-v*s, v*c+u*s
		}
	}
	copy(dst[2*r.half:], x[2*r.half:])
}

// holds says whether the tables have the positions of all rows.
func (r *rotary) holds(at func(n, row int) int, batch, rows int) bool {
	for n := range batch {
		for i := range rows {
			if p := at(n, i); p < 0 || p >= r.rows {
				return false
			}
		}
	}
	return true
}

// positionsOf reads the positions of rows (N,rows), or (1) that of each sample's first row.
func positionsOf(t *tensor.Tensor, batch, rows int) (func(n, row int) int, bool) {
	ids, err := t.Ints()
	switch {
	case err != nil:
		return nil, false
	case sameShape(t.Shape, []int{1}):
		return func(_, row int) int { return int(ids[0]) + row }, true
	case !sameShape(t.Shape, []int{batch, rows}):
		return nil, false
	}
	return func(n, row int) int { return int(ids[n*rows+row]) }, true
}
