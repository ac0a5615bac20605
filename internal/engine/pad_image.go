package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// padSlack is how many elements follow a padded image, so that a kernel may read whole vectors at its end.
const padSlack = 64

// padImage emits the step that pads operand 0 of n for a convolution by rows, and returns its result:
// (N, padded H, padded W, C), the border set to the code pad, or 0 in floats.
func (lw *lowerer) padImage(n *node, w kernel.Window, pad uint8) *slot {
	v := n.in[0]
	batch, padded, lines := v.shape[0], w.PaddedLen(), w.PaddedRows()
	l, _ := lw.natural(v)
	x := lw.use(v, l)
	dst := lw.scratch(v.dtype, batch*padded+padSlack)
	dst.name = "padded " + v.name
	size := v.elems() / batch
	parts := lw.partsFor(float64(padded)*byteNanos, lines)
	level := lw.level
	st := &step{node: n, kernel: "pad", parts: batch * parts, in: []*slot{x}, out: []*slot{dst}}
	st.run = func(f *frame, part int) error {
		i, p := part/parts, part%parts
		from, to := lines*p/parts, lines*(p+1)/parts
		if v.dtype == tensor.Float32 {
			padOne(level, f.f32(dst)[i*padded:][:padded], f.f32(x)[i*size:][:size], w, l, 0, from, to)
		} else {
			padOne(level, f.u8(dst)[i*padded:][:padded], f.u8(x)[i*size:][:size], w, l, pad, from, to)
		}
		return nil
	}
	lw.emit(st)
	return dst
}

// padOne writes the rows from to to-1 of a padded image.
func padOne[T uint8 | float32](level kernel.Level, dst, x []T, w kernel.Window, l layout, pad T, from, to int) {
	if l == channelsLast || w.Pitch == 1 {
		kernel.PadImage(dst, x, w, pad, from, to)
		return
	}
	c := w.Pitch
	wide := (w.OW-1)*w.StrideW + (w.KW-1)*w.DilW + 1
	cols := max(0, min(w.W, wide-w.Left))
	border := w // without rows, so that all of it is padding
	border.H = 0
	plane := w.H * w.W
	for i := from; i < to; i++ {
		y := i - w.Top
		if y < 0 || y >= w.H || cols < wide {
			kernel.PadImage(dst, x, border, pad, i, i+1)
		}
		if y >= 0 && y < w.H {
			kernel.TransposePitch(level, dst[(i*wide+w.Left)*c:][:cols*c], x[y*w.W:], c, cols, c, plane)
		}
	}
}
