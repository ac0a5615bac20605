package kernel

import "unsafe"

// Order gives the strides, in elements, of a weight w(n, tap, k): n the output
// column, tap the kernel position, k the input channel.
//
//	matrix (K, N):             Order{N: 1, K: N}
//	matrix (N, K):             Order{N: K, K: 1}
//	convolution (O, KH, KW, I): Order{N: KH*KW*I, Tap: I, K: 1}
//	convolution (O, I, KH, KW): Order{N: I*KH*KW, Tap: 1, K: KH*KW}
type Order struct{ N, Tap, K int }

// Range is a part of an output: the rows M0..M1-1 of the panels P0..P1-1.
// Results do not depend on how an output is cut into ranges.
type Range struct{ M0, M1, P0, P1 int }

// panel is a group of neighbouring columns, packed together.
type panel struct {
	n0, n1 int  // columns
	nv     int  // vectors that hold them
	off    int  // first element in the packed data
	wide   bool // packed in 16 bits
}

// shape is what the packed forms of all element types have in common.
type shape struct {
	n, k, taps int
	lanes      int  // columns in a vector
	kd         int  // steps of one dword along k
	per        int  // elements in a dword
	steps      int  // of 64 bytes in a row of AMX tiles; 0: no tiles
	tapDwords  int  // from tap to tap in it
	pixels     bool // taps are rows of an image that tiles can read in place
	panels     []panel
}

// Holds says whether the weight has n columns and one tap of k rows.
func (s *shape) Holds(n, k int) bool { return s.n == n && s.k == k && s.taps == 1 }

// Panels is the number of column groups that a [Range] may choose from.
func (s *shape) Panels() int { return len(s.panels) }

// N is the number of output columns.
func (s *shape) N() int { return s.n }

// K is the number of input channels of a tap.
func (s *shape) K() int { return s.k }

// Taps is the number of kernel positions: 1 for a matrix.
func (s *shape) Taps() int { return s.taps }

// Columns gives the columns [n0, n1) of a panel.
func (s *shape) Columns(p int) (n0, n1 int) { return s.panels[p].n0, s.panels[p].n1 }

// All is the whole output of m rows.
func (s *shape) All(m int) Range { return Range{0, m, 0, len(s.panels)} }

// rowGrain is a multiple of the heights of all tiles but AMX's, so that cuts there waste no
// part of a tile.
const rowGrain = 24

// Split cuts an output of m rows into at most parts ranges of nearly equal
// work: by rows, or by panels where that comes out more even.
func (s *shape) Split(m, parts int) []Range {
	if parts <= 1 || m <= 0 || s.n == 0 {
		return []Range{s.All(m)}
	}
	byRows, byPanels := s.ByRows(nil, m, parts), s.ByPanels(m, parts)
	if s.largest(byRows) <= s.largest(byPanels) {
		return byRows
	}
	return byPanels
}

// ByRows cuts an output of m rows into at most parts ranges of all panels, where the tiles of a product with the
// pixels of ix, or with a matrix if it is nil, begin.
func (s *shape) ByRows(ix *Indirect, m, parts int) []Range {
	grain := s.grain(ix)
	grains := (m + grain - 1) / grain
	r := make([]Range, max(1, min(parts, grains)))
	for i := range r {
		r[i] = Range{grains * i / len(r) * grain, min(m, grains*(i+1)/len(r)*grain), 0, len(s.panels)}
	}
	return r
}

// ByPanels cuts an output of m rows into at most parts ranges of all rows.
func (s *shape) ByPanels(m, parts int) []Range {
	r := make([]Range, min(parts, len(s.panels)))
	for i := range r {
		r[i] = Range{0, m, len(s.panels) * i / len(r), len(s.panels) * (i + 1) / len(r)}
	}
	return r
}

// largest is the number of outputs in the largest range.
func (s *shape) largest(ranges []Range) int {
	most := 0
	for _, r := range ranges {
		most = max(most, (r.M1-r.M0)*(s.panels[r.P1-1].n1-s.panels[r.P0].n0))
	}
	return most
}

// cut fills in the panels: widths gives the vectors of each panel for a count
// of vectors in all. It returns the number of elements to pack.
func (s *shape) cut(widths func(vectors int) []int) int {
	col, off := 0, 0
	for _, nv := range widths((s.n + s.lanes - 1) / s.lanes) {
		s.panels = append(s.panels, panel{n0: col, n1: min(s.n, col+nv*s.lanes), nv: nv, off: off})
		col += nv * s.lanes
		off += nv * s.lanes * s.taps * s.kd * s.per
	}
	return off
}

// single makes panels of nv vectors, the last one maybe narrower.
func single(nv int) func(int) []int {
	return func(vectors int) []int {
		var r []int
		for ; vectors > 0; vectors -= nv {
			r = append(r, min(nv, vectors))
		}
		return r
	}
}

// packSpan is the number of k taken at a time from each column: a cache line
// of float32.
const packSpan = 16

// packPanels writes [panel][tap][kd][column][per], zero where the weight has
// no element.
func packPanels[D, T uint8 | int8 | int16 | uint16 | float32](dst []D, w []T, s *shape, o Order) {
	for _, p := range s.panels {
		width := p.nv * s.lanes * s.per
		var at [packSpan]int // where the k of a span go
		for k := range at {
			at[k] = k/s.per*width + k%s.per
		}
		for tap := range s.taps {
			for k := 0; k < s.k; k += packSpan {
				d := dst[p.off+(tap*s.kd+k/s.per)*width:]
				span := at[:min(packSpan, s.k-k)]
				for i := range p.n1 - p.n0 {
					packSpanOf(d[i*s.per:], w[(p.n0+i)*o.N+tap*o.Tap+k*o.K:], span, o.K)
				}
			}
		}
	}
}

func packSpanOf[D, T uint8 | int8 | int16 | uint16 | float32](dst []D, src []T, at []int, step int) {
	if step == 1 && len(at) == packSpan {
		src := (*[packSpan]T)(src)
		for k, to := range (*[packSpan]int)(at) {
			dst[to] = D(src[k])
		}
		return
	}
	for k, to := range at {
		dst[to] = D(src[k*step])
	}
}

// byTaps copies a weight of many taps whose k do not lie side by side, as in
// (O, I, KH, KW), so that they do. Packing reads a copy in order faster than
// the original in strides.
func byTaps[T Elem](l Level, w []T, s *shape, o Order) ([]T, Order) {
	if s.taps == 1 || o.K == 1 {
		return w, o
	}
	r := make([]T, s.n*s.taps*s.k)
	for j := range s.n {
		column := r[j*s.taps*s.k:][:s.taps*s.k]
		if o.Tap == 1 {
			TransposePitch(l, column, w[j*o.N:], s.k, s.taps, s.k, o.K)
			continue
		}
		for k := range s.k {
			src := w[j*o.N+k*o.K:]
			for tap := range s.taps {
				column[tap*s.k+k] = src[tap*o.Tap]
			}
		}
	}
	return r, Order{N: s.taps * s.k, Tap: s.k, K: 1}
}

// byteSpan is the number of k taken at a time where four are a dword: a cache line.
const byteSpan = 4 * packSpan

// packBytes is packPanels for four bytes to a dword: what a panel has of a span is brought into order by columns, whose
// dwords are then transposed. dst is zero where the weight has no element.
func packBytes(l Level, dst, w []int8, s *shape, o Order) {
	if o.K != 1 && o.N != 1 {
		packPanels(dst, w, s, o)
		return
	}
	words := make([]uint32, s.widest()*packSpan)
	lines := unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))
	to := dwords(dst, 4)
	for _, p := range s.panels {
		columns, width := p.n1-p.n0, p.nv*s.lanes
		for tap := range s.taps {
			for k := 0; k < s.k; k += byteSpan {
				span := min(byteSpan, s.k-k)
				if span%4 != 0 {
					clear(words)
				}
				src := w[p.n0*o.N+tap*o.Tap+k*o.K:]
				if o.K == 1 {
					for i := range columns {
						copy(lines[i*byteSpan:][:span], src[i*o.N:])
					}
				} else {
					TransposePitch(l, lines, src, span, columns, byteSpan, o.K)
				}
				TransposePitch(l, to[p.off/4+(tap*s.kd+k/4)*width:], words, columns, (span+3)/4, width, packSpan)
			}
		}
	}
}

// widest is the number of columns of the widest panel.
func (s *shape) widest() int {
	most := 0
	for _, p := range s.panels {
		most = max(most, p.n1-p.n0)
	}
	return most
}

// dwords returns the whole dwords of x, per elements each.
func dwords[T any](x []T, per int) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/per)
}

// grow gives n elements, reusing v.
func grow[T any](v []T, n int) []T {
	if cap(v) < n {
		return aligned[T](n)
	}
	return v[:n]
}
