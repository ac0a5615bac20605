package engine

import "lowbit/internal/kernel"

// An image gives the sizes of a convolution's operands: images in a batch, elements of one at either
// end, and output pixels.
type image struct{ batch, in, out, rows int }

func imageOf(x, y *value) image {
	b := x.shape[0]
	return image{b, x.elems() / b, y.elems() / b, y.elems() / b / y.shape[1]}
}

// A cut is the part of a product that one thread does: a range of the output of one image.
type cut struct {
	image int
	kernel.Range
}

// A splitter is a packed weight that knows where its output may be cut.
type splitter interface {
	Split(rows, parts int) []kernel.Range
	Columns(panel int) (n0, n1 int)
}

// chunkBytes is how much a product stores before functions that its store lacks go over it: what a
// core's own cache holds.
const chunkBytes = 128 << 10

// chunks returns the number of parts that keep each result in cache until act is done with it.
func (im image) chunks(act *activation) int {
	if act == nil || len(act.then) == 0 && act.slope == nil {
		return 1
	}
	return im.out*4/chunkBytes + 1
}

// cuts divides a product of batch images that takes some nanoseconds and ends in act, which may be nil.
func (lw *lowerer) cuts(w splitter, im image, nanos float64, act *activation) []cut {
	parts := max((lw.partsFor(nanos, 1<<20)+im.batch-1)/im.batch, im.chunks(act))
	var list []cut
	for i := range im.batch {
		for _, r := range w.Split(im.rows, parts) {
			list = append(list, cut{i, r})
		}
	}
	return list
}

// rowCuts divides work on the rows of batch images, in whole steps of grain; act as in [lowerer.cuts].
func (lw *lowerer) rowCuts(im image, grain int, nanos float64, act *activation) []cut {
	lines := im.rows / grain
	parts := max(1, min(lines, max((lw.partsFor(nanos, 1<<20)+im.batch-1)/im.batch, im.chunks(act))))
	var list []cut
	for i := range im.batch {
		for k := range parts {
			list = append(list, cut{i, kernel.Range{M0: lines * k / parts * grain, M1: lines * (k + 1) / parts * grain}})
		}
	}
	return list
}

// tile returns the rows and columns of a cut.
func (c cut) tile(w splitter) tile {
	n0, _ := w.Columns(c.P0)
	_, n1 := w.Columns(c.P1 - 1)
	return tile{c.M0, c.M1, n0, n1}
}

// right moves a tile by some columns.
func (t tile) right(cols int) tile { return tile{t.m0, t.m1, t.n0 + cols, t.n1 + cols} }
