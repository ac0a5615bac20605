package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A planePool pools planes, each of one channel, whose rows lie one behind the other: rows are folded to one, of which columns
// are folded, those of all rows of a band by one call, as if the next row went on where one ends. Columns whose window reaches
// beyond their row are made one by one.
type planePool struct {
	level   kernel.Level
	win     kernel.Window
	average bool
	fold    func(p *kernel.Pool, dst, x []float32, r0, r1 int) // rows, which it takes for pixels
	lines   *kernel.Pool
	pair    kernel.Binary // of columns
	x0, x1  int           // the columns whose windows lie within a row
	edges   []edgeColumn
	seen    []float32 // by row, how many rows it sees
	counted []float32 // by pixel, what its sum is divided by; nil: by how many pixels it sees
	half    int       // columns of a row that is split by its stride
	band    int       // rows that are made at a time
}

// An edgeColumn sees some of the columns of the kernel.
type edgeColumn struct{ x, first, step, count int }

const (
	bandElems         = 4096 // about as many are folded at a time
	leastPooledPixels = 1024 // of an image, from which calls and edges cost less than two transpositions
	fewPooled         = 8    // channels that fill no vector, of which images may have fewer pixels
)

// planes returns the pooling by planes, where that is faster for values in row-major order.
func (p poolSpec) planes(l kernel.Level) (*planePool, bool) {
	w := p.win
	if p.deep || w.StrideW > 2 || w.H*w.W < leastPlanesPixels || w.H*w.W < leastPooledPixels && p.pool.C >= fewPooled {
		return nil, false
	}
	q := &planePool{level: l, win: w, fold: l.FoldMaxF32, pair: kernel.Max, average: p.average, counted: p.pool.Divisors}
	if p.average {
		q.fold, q.pair = l.FoldSumF32, kernel.Add
	}
	q.x0, q.x1 = windowsWithin(w.OW, w.StrideW, w.Left, (w.KW-1)*w.DilW, w.W)
	if q.x1-q.x0 < w.OW/2 {
		return nil, false
	}
	for x := range w.OW {
		if x < q.x0 || x >= q.x1 {
			q.edges = append(q.edges, edgeOf(&w, x))
		}
	}
	q.half = (w.W + w.StrideW - 1) / w.StrideW
	q.band = min(w.OH, max(1, bandElems/w.W))
	rows := w
	rows.W, rows.Pitch, rows.KW, rows.StrideW, rows.DilW, rows.Left, rows.OW = 1, w.W, 1, 1, 1, 0, 1
	q.lines = &kernel.Pool{Taps: rows.Indirect(), C: w.W, OutPitch: q.even()}
	for y := range w.OH {
		q.seen = append(q.seen, float32(q.lines.Taps.Seen(y)))
	}
	return q, true
}

// edgeOf says what column x sees.
func edgeOf(w *kernel.Window, x int) edgeColumn {
	e := edgeColumn{x: x, step: w.DilW}
	for k := range w.KW {
		if at := x*w.StrideW - w.Left + k*w.DilW; at >= 0 && at < w.W {
			if e.count == 0 {
				e.first = at
			}
			e.count++
		}
	}
	return e
}

// windowsWithin gives the outputs whose windows, of which the last tap lies so far behind the first, are within size positions.
func windowsWithin(outs, stride, before, last, size int) (from, to int) {
	from = min(outs, (before+stride-1)/stride)
	to = from
	for to < outs && to*stride-before+last < size {
		to++
	}
	return from, to
}

// poolPlanes emits a pooling of planes.
func (lw *lowerer) poolPlanes(n *node, q *planePool) {
	src, dst := lw.use(n.in[0], rowMajor), lw.make(n.out[0], rowMajor)
	w := &q.win
	planes, in, out, bands := n.out[0].elems()/(w.OH*w.OW), w.H*w.W, w.OH*w.OW, (w.OH+q.band-1)/q.band
	units := planes * bands
	parts := lw.partsFor(float64(n.out[0].elems()*(w.KH+w.KW))*poolNanos, units)
	size := q.room()
	room := lw.scratch(tensor.Float32, parts*size)
	name := "f32 max pool of planes"
	if q.average {
		name = "f32 average pool of planes"
	}
	lw.emit(&step{node: n, kernel: name, parts: parts, in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		for u := units * part / parts; u < units*(part+1)/parts; u++ {
			plane, y := u/bands, u%bands*q.band
			q.rows(f.f32(dst)[plane*out:][:out], f.f32(src)[plane*in:][:in], y, min(w.OH, y+q.band), f.f32(room)[part*size:][:size])
		}
		return nil
	}})
}

// even is the columns of a row with those that make it a multiple of the stride.
func (q *planePool) even() int { return q.half * q.win.StrideW }

// room is how many elements rows needs beside: the folded rows, these split, and what columns are folded to.
func (q *planePool) room() int { return q.band * (2*q.even() + q.half) }

// rows makes the rows from y0 to y1-1 of a plane.
func (q *planePool) rows(dst, x []float32, y0, y1 int, room []float32) {
	n := q.band * q.even()
	folded, split, sums := room[:n], room[n:2*n], room[2*n:]
	q.fold(q.lines, folded, x, y0, y1)
	q.foldColumns(dst, folded, split, sums, y0, y1)
	for _, e := range q.edges {
		if q.average {
			q.addEdge(dst, folded, e, y0, y1)
		} else {
			q.maxEdge(dst, folded, e, y0, y1)
		}
	}
}

// foldColumns makes the columns whose windows lie within a row of the output rows from y0 to y1-1.
func (q *planePool) foldColumns(dst, folded, split, sums []float32, y0, y1 int) {
	w, rows, from := &q.win, y1-y0, folded
	if w.StrideW == 2 {
		kernel.Transpose(q.level, split[:rows*q.even()], folded[:rows*q.even()], 1, rows*q.half, 2)
		from = split
	}
	direct := q.half == w.OW
	to := sums
	if direct {
		to = dst[y0*w.OW+q.x0:]
	}
	size := (rows-1)*q.half + q.x1 - q.x0
	to = to[:size]
	at := func(k int) []float32 {
		c := q.x0*w.StrideW - w.Left + k*w.DilW
		return from[c%w.StrideW*rows*q.half+c/w.StrideW:][:size]
	}
	if w.KW == 1 {
		copy(to, at(0))
	} else {
		q.level.Binary(q.pair, to, at(1), at(0))
	}
	for k := 2; k < w.KW; k++ {
		q.level.Binary(q.pair, to, at(k), to)
	}
	if q.average {
		q.divideRows(to, y0, y1)
	}
	if !direct {
		for r := range rows {
			copy(dst[(y0+r)*w.OW+q.x0:][:q.x1-q.x0], to[r*q.half:])
		}
	}
}

// divideRows divides the sums of rows, all that have the same divisor by one call.
func (q *planePool) divideRows(sums []float32, y0, y1 int) {
	for y := y0; y < y1; {
		d, end := q.divisor(y, q.x0, q.win.KW), y+1
		for end < y1 && q.divisor(end, q.x0, q.win.KW) == d {
			end++
		}
		part := sums[(y-y0)*q.half : min(len(sums), (end-y0)*q.half)]
		q.level.BinaryScalar(kernel.Div, part, part, d)
		y = end
	}
}

// divisor is that of output pixel (y, x), which sees so many columns.
func (q *planePool) divisor(y, x, columns int) float32 {
	if q.counted != nil {
		return q.counted[y*q.win.OW+x]
	}
	return q.seen[y] * float32(columns)
}

// addEdge makes the averages of a column of the output rows from y0 to y1-1 from the rows that they are folded to.
func (q *planePool) addEdge(dst, folded []float32, e edgeColumn, y0, y1 int) {
	for y := y0; y < y1; y++ {
		var sum float32
		at := (y-y0)*q.even() + e.first
		for range e.count {
			sum += folded[at]
			at += e.step
		}
		dst[y*q.win.OW+e.x] = sum / q.divisor(y, e.x, e.count)
	}
}

// maxEdge makes the maxima of such a column.
func (q *planePool) maxEdge(dst, folded []float32, e edgeColumn, y0, y1 int) {
	for y := y0; y < y1; y++ {
		most := float32(math.Inf(-1))
		at := (y-y0)*q.even() + e.first
		for range e.count {
			if v := folded[at]; v > most || v != v {
				most = v
			}
			at += e.step
		}
		dst[y*q.win.OW+e.x] = most
	}
}
