package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// winogradU8S8 convolves windows of 3×3 in Winograd's form, where that pays and is exact.
func (lw *lowerer) winogradU8S8(n *node, s *intConv) bool {
	w := lw.packWinogradU8S8(n, &s.convShape, s.weight)
	if w == nil {
		return false
	}
	x, to, pad := lw.pixelsOf(n.in[0]), s.store(w.ColumnSums()), uint8(s.x.zero)
	tiles := tilesAt(s.win, x.pitch)
	st, io := lw.intConvStep(n, s, to, "Winograd conv "+sizeText(s.win), x)
	im := io.im
	im.rows = tiles.Rows
	cuts := lw.tileCuts(w, im, lw.u8Work(st.macs), nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		w.Conv(imageAt(f.u8(io.x.slot), io.im.in, c.image, io.x.off), pad, tiles, to.outConv(f, io, c.image, 0), c.Range)
		return nil
	}
	lw.emit(st)
	return true
}

// dynamicWinograd does so with codes whose zero point is known in the run.
func (lw *lowerer) dynamicWinograd(n *node, s *dynamicConv) bool {
	w := lw.packWinogradU8S8(n, &s.convShape, s.weight)
	if w == nil {
		return false
	}
	x, im, level := lw.use(n.in[0], channelsLast), imageOf(n.in[0], n.out[0]), lw.level
	tiles := tilesAt(s.win, s.win.Pitch)
	to := lw.dynamicOut(n, &s.dynamicScale, w.ColumnSums(), im, channelsLast)
	st := to.step(n, "Winograd conv "+sizeText(s.win), s.macs(n.out[0]), x)
	rows := im
	rows.rows = tiles.Rows
	cuts := lw.tileCuts(w, rows, lw.u8Work(st.macs), &s.act)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		w.Conv(f.u8(x)[c.image*im.in:][:im.in], f.u8(to.zero)[0], tiles, to.out(f, c.image, 0), c.Range)
		t := c.tile(w)
		t.m0, t.m1 = tiles.Pixels(c.M0), tiles.Pixels(c.M1)
		to.finish(level, f, c.image, t)
		return nil
	}
	lw.emit(st)
	return true
}

// packWinogradU8S8 returns nil where the form does not pay or is not exact.
func (lw *lowerer) packWinogradU8S8(n *node, s *convShape, weight *tensor.Tensor) *kernel.WinogradU8S8 {
	if s.deep != nil || s.group != 1 || !lw.level.WinogradPaysU8S8(s.o, s.cg, s.win) {
		return nil
	}
	return packed(lw.packs, packKey{n.out[0].name, "winograd u8s8"}, []*tensor.Tensor{weight}, func() *kernel.WinogradU8S8 {
		return lw.level.PackWinogradU8S8(tensor.Of[int8](weight), s.o, s.cg, kernel.Order{N: s.cg * 9, Tap: 1, K: 9}, mostCode(n.in[0]))
	})
}

// tilesAt are the tiles of images whose pixels lie pitch apart.
func tilesAt(win kernel.Window, pitch int) *kernel.TilesU8S8 {
	win.Pitch = pitch
	return win.TilesU8S8()
}

const filterNanos = 0.1 // of the transform of a pixel, for each channel

// tileCuts divides rows of tiles, or panels where repeating the transforms costs less than reading the weights again; act
// as in [lowerer.cuts].
func (lw *lowerer) tileCuts(w *kernel.WinogradU8S8, im image, nanos float64, act *activation) []cut {
	list := wholeLines(lw.rowCuts(im, 1, nanos, act), w)
	_, again := lw.weightNanos()
	again *= float64(elements(w))
	if parts := min(lw.threads, len(list)/im.batch, w.Panels()); parts > 1 && again > otherNanos*float64(im.in+im.out)+filterNanos*float64(im.in) {
		list = list[:0]
		for i := range im.batch {
			for _, r := range w.ByPanels(im.rows, parts) {
				list = append(list, cut{i, r})
			}
		}
	}
	return list
}
