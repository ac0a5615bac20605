package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// padImage emits the step that pads operand 0 of n for a convolution by rows, and returns its result:
// (N, padded H, padded W, C), the border set to the code pad, or 0 in floats.
func (lw *lowerer) padImage(n *node, w kernel.Window, pad uint8) *slot {
	v := n.in[0]
	batch, padded := v.shape[0], w.PaddedLen()
	l, _ := lw.natural(v)
	x := lw.use(v, l)
	dst := lw.scratch(v.dtype, batch*padded)
	dst.name = "padded " + v.name
	size := v.elems() / batch
	level := lw.level
	st := &step{node: n, kernel: "pad", parts: batch, in: []*slot{x}, out: []*slot{dst}}
	st.run = func(f *frame, i int) error {
		if v.dtype == tensor.Float32 {
			padOne(level, f.f32(dst)[i*padded:][:padded], f.f32(x)[i*size:][:size], w, l, 0)
		} else {
			padOne(level, f.u8(dst)[i*padded:][:padded], f.u8(x)[i*size:][:size], w, l, pad)
		}
		return nil
	}
	lw.emit(st)
	return dst
}

func padOne[T uint8 | float32](level kernel.Level, dst, x []T, w kernel.Window, l layout, pad T) {
	if l == channelsLast || w.Pitch == 1 {
		kernel.PadImage(dst, x, w, pad)
		return
	}
	c := w.Pitch
	wide := (w.OW-1)*w.StrideW + (w.KW-1)*w.DilW + 1
	cols := max(0, min(w.W, wide-w.Left))
	if w.Top+w.Left > 0 || len(dst) > w.H*w.W*c || cols < w.W {
		for i := range dst {
			dst[i] = pad
		}
	}
	plane := w.H * w.W
	for y := range w.H {
		at := ((y+w.Top)*wide + w.Left) * c
		if at+cols*c > len(dst) {
			return
		}
		row := dst[at : at+cols*c]
		kernel.TransposePitch(level, row, x[y*w.W:], c, cols, c, plane)
	}
}
