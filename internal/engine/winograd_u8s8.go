package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// winogradU8S8 convolves windows of 3×3 in Winograd's form, where that pays and is exact.
func (lw *lowerer) winogradU8S8(n *node, s *intConv) bool {
	if s.deep != nil || s.group != 1 || !lw.level.WinogradPaysU8S8(s.o, s.cg, s.win) {
		return false
	}
	w := packed(lw.packs, packKey{n.out[0].name, "winograd u8s8"}, []*tensor.Tensor{s.weight}, func() *kernel.WinogradU8S8 {
		return lw.level.PackWinogradU8S8(tensor.Of[int8](s.weight), s.o, s.cg, kernel.Order{N: s.cg * 9, Tap: 1, K: 9}, mostCode(n.in[0]))
	})
	if w == nil {
		return false
	}
	x, to, pad := lw.pixelsOf(n.in[0]), s.store(w.ColumnSums()), uint8(s.x.zero)
	win := s.win
	win.Pitch = x.pitch
	tiles := win.TilesU8S8()
	st, io := lw.intConvStep(n, s, to, "Winograd conv "+sizeText(s.win), x)
	im := io.im
	im.rows = tiles.Rows
	cuts := lw.tileCuts(w, im, lw.u8Work(st.macs))
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		c := cuts[part]
		w.Conv(imageAt(f.u8(io.x.slot), io.im.in, c.image, io.x.off), pad, tiles, to.outConv(f, io, c.image, 0), c.Range)
		return nil
	}
	lw.emit(st)
	return true
}

const filterNanos = 0.1 // of the transform of a pixel, for each channel

// tileCuts divides rows of tiles, or panels where repeating the transforms costs less than reading the weights again.
func (lw *lowerer) tileCuts(w *kernel.WinogradU8S8, im image, nanos float64) []cut {
	list := wholeLines(lw.rowCuts(im, 1, nanos, nil), w)
	again := weightNanos * float64(columns(w)*w.K()*w.Taps())
	if parts := min(lw.threads, len(list)/im.batch, w.Panels()); parts > 1 && again > (otherNanos+filterNanos)*float64(im.in) {
		list = list[:0]
		for i := range im.batch {
			for _, r := range rangesOfPanels(w, im.rows, parts) {
				list = append(list, cut{i, r})
			}
		}
	}
	return list
}
