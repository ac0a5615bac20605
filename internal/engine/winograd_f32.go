package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Where Winograd's form of a convolution pays: the least product of the channels at either end, beside
// which its transforms weigh little; the least tiles, which share the reading of weights that are 16/9 as
// large; and the most bytes of these.
const (
	winogradPairs   = 32 * 64
	winogradTiles   = 16
	winogradWeights = 8 << 20
	winogradNanos   = f32Nanos / 1.6 // of a multiply-add of the sums
)

// winograd says whether a convolution is computed in Winograd's form. What it computes does not depend on
// the level or the threads.
func (s *convSpec) winograd() bool {
	rows, cols := s.win.TilesF32()
	return s.deep == nil && s.group == 1 && s.win.WinogradF32(s.o, s.cg) && s.cg*s.o >= winogradPairs &&
		rows*cols >= winogradTiles && 16*4*s.cg*s.o <= winogradWeights
}

// packWinograd transforms the weight.
func (lw *lowerer) packWinograd(n *node, s *convSpec) *kernel.WinogradF32 {
	return packed(lw.packs, packKey{n.out[0].name, "winograd f32"}, []*tensor.Tensor{s.weight}, func() *kernel.WinogradF32 {
		return lw.level.PackWinogradF32(tensor.Of[float32](s.weight), s.o, s.cg, kernel.Order{N: 9 * s.cg, Tap: 1, K: 9})
	})
}

// winogradF32 convolves by tiles of 2×2 outputs.
func (lw *lowerer) winogradF32(n *node, s *convSpec) {
	w := lw.packWinograd(n, s)
	x, level := lw.pixelsOf(n.in[0]), lw.level
	win := s.win
	win.Pitch = x.pitch
	st, io := lw.convStep(n, s, "f32 Winograd conv 3x3", x)
	rows, cols := win.TilesF32()
	tiles := image{io.im.batch, io.im.in, io.im.out, rows * cols}
	nanos := float64(st.macs) * winogradNanos
	cuts := lw.cuts(st, w, nil, tiles, nanos, nil)
	if s.act.unstored() {
		cuts = wholeLines(lw.rowCuts(tiles, cols, nanos, &s.act), w)
	}
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		w.Conv(imageAt(f.f32(io.x.slot), io.im.in, k.image, io.x.off), &win, s.outF32(f, io, k.image, 0), k.Range)
		lines := tile{k.M0 / cols * 2 * win.OW, min((k.M1+cols-1)/cols*2*win.OW, win.OH*win.OW), 0, s.o}
		s.finish(level, f, io, k.image, 0, lines)
		return nil
	}
	lw.emit(st)
}

// wholeLines makes all columns of what was cut by rows.
func wholeLines(cuts []cut, w splitter) []cut {
	for i := range cuts {
		cuts[i].P1 = w.Panels()
	}
	return cuts
}
