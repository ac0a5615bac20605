package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
)

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
	Panels() int
	Columns(panel int) (n0, n1 int)
	K() int
	Taps() int
	ByRows(ix *kernel.Indirect, m, parts int) []kernel.Range
	ByPanels(m, parts int) []kernel.Range
}

// chunkBytes is how much a product stores before functions that its store lacks go over it: what a
// core's own cache holds.
const chunkBytes = 128 << 10

// chunks returns the number of parts that keep each result in cache until act is done with it.
func (im image) chunks(act *activation) int {
	if act == nil || !act.unstored() {
		return 1
	}
	return im.out*4/chunkBytes + 1
}

// cuts divides the product of st, of batch images, that takes some nanoseconds and ends in act, which may be nil. ix is
// nil for matrices.
func (lw *lowerer) cuts(st *step, w splitter, ix *kernel.Indirect, im image, nanos float64, act *activation) []cut {
	size := st.in[0].dtype.Bits() / 8
	weights, sides := float64(size*elements(w)), float64(size*im.in+st.out[0].dtype.Bits()/8*im.out)
	least, again := lw.weightNanos()
	nanos = max(nanos/float64(im.batch), least*weights)
	ranges := lw.ranges(w, ix, im, nanos, again*weights, otherNanos*sides, lw.partsFor(nanos*float64(im.batch), 1<<20)/im.batch)
	if chunks := im.chunks(act); chunks > len(ranges) {
		ranges = w.ByRows(ix, im.rows, chunks)
	}
	var list []cut
	for i := range im.batch {
		for _, r := range ranges {
			list = append(list, cut{i, r})
		}
	}
	return list
}

const (
	cutNanos   = 400 // what each further part costs
	mostApiece = 4   // parts of a product for each thread

	// otherNanos is what is paid for a byte of either side where the panels are cut: another thread has written the left
	// one, and reads what stands between the lines of the result.
	otherNanos = 0.2

	// shown is how much of such costs counts where a product is held against its uncut form: they rank cuts, but
	// most of them hides behind the arithmetic.
	shown = 1.0 / 6
)

// ranges cuts the product of one image by rows or by panels, whichever lets the last thread be done sooner. byRows and byPanels are what it takes to read all weights, and all of both sides, from elsewhere.
func (lw *lowerer) ranges(w splitter, ix *kernel.Indirect, im image, nanos, byRows, byPanels float64, limit int) []kernel.Range {
	best := w.ByRows(ix, im.rows, 1)
	least := math.Inf(1)
	others := float64(lw.threads-1) / float64(lw.threads)
	consider := func(list []kernel.Range, extra float64) {
		t := nanos*longest(w, list, lw.threads)/float64(im.rows*columns(w)) + float64(len(list))*cutNanos/float64(lw.threads)
		if t+shown*others*extra < nanos && t+others*extra < least {
			best, least = list, t+others*extra
		}
	}
	for parts := lw.threads; limit > 1 && parts <= lw.threads*mostApiece; parts += lw.threads {
		consider(w.ByRows(ix, im.rows, parts), byRows)
		consider(w.ByPanels(im.rows, parts), byPanels)
	}
	return best
}

// weightNanos tells of a byte of the weights the least time that a product takes, and what is paid for it where
// the rows are cut, so that all threads read it. It depends on whether the weights of the model stay in a core's cache, or
// near.
func (lw *lowerer) weightNanos() (least, again float64) {
	switch {
	case lw.weights <= 4<<20:
		return 0.015, 0.1
	case lw.weights <= 32<<20:
		return 0.03, 0.1
	}
	return 0.03, 0.18
}

// elements is the number of weights.
func elements(w splitter) int { return columns(w) * w.K() * w.Taps() }

func columns(w splitter) int {
	_, n := w.Columns(w.Panels() - 1)
	return n
}

// longest returns the elements that the busiest of some threads computes if each takes the next range
// when it is done with one.
func longest(w splitter, list []kernel.Range, threads int) float64 {
	load := make([]int, threads)
	for _, r := range list {
		free := 0
		for i, l := range load {
			if l < load[free] {
				free = i
			}
		}
		n0, _ := w.Columns(r.P0)
		_, n1 := w.Columns(r.P1 - 1)
		load[free] += (r.M1 - r.M0) * (n1 - n0)
	}
	return float64(slices.Max(load))
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
