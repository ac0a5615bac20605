package kernel

// Window is the geometry of a 2-D convolution over one image in NHWC order:
// the pixel (y, x) begins at element (y*W+x)*Pitch. A 1-D convolution has
// H = KH = OH = StrideH = DilH = 1.
type Window struct {
	H, W, Pitch      int // input rows, columns, elements from pixel to pixel
	KH, KW           int // kernel
	StrideH, StrideW int
	DilH, DilW       int
	Top, Left        int // padding before the first row and column
	OH, OW           int // output rows and columns
}

// Indirect lists for every output pixel and tap where the input pixel begins.
// It depends on the geometry alone, so one serves all images and runs. It is
// read-only after its making and may be shared.
type Indirect struct {
	Rows, Taps int
	off        []int32 // [Rows+spareRows][Taps] element offsets; -1: padding
	span       int     // the greatest offset
	win        Window  // KH = 0 where the offsets were given
	rel        []int32 // [KH*KW] offsets from the first tap, inside of the image
	inside     bool    // no tap meets padding
}

// spareRows repeat the last row so that a kernel may read the offsets of a
// whole tile at the end.
const spareRows = 16

// Indirect computes the offsets: row oy*OW+ox, tap ky*KW+kx.
func (w Window) Indirect() *Indirect {
	taps := w.KH * w.KW
	off := make([]int32, 0, (w.OH*w.OW+spareRows)*taps)
	for oy := range w.OH {
		if oy > 0 && w.likeLast(oy) {
			off = appendShifted(off, w.OW*taps, w.StrideH*w.W*w.Pitch)
		} else {
			off = w.appendRow(off, oy)
		}
	}
	ix := &Indirect{Rows: len(off) / taps, Taps: taps, span: w.span(), win: w}
	ix.spare(off)
	ix.inside = w.inside()
	for ky := range w.KH {
		for kx := range w.KW {
			ix.rel = append(ix.rel, int32((ky*w.DilH*w.W+kx*w.DilW)*w.Pitch))
		}
	}
	return ix
}

// span is the greatest offset.
func (w *Window) span() int {
	last := func(outs, stride, pad, taps, dil, size int) int {
		most := -1
		for o := range outs {
			for k := range taps {
				if at := o*stride - pad + k*dil; at >= 0 && at < size {
					most = max(most, at)
				}
			}
		}
		return most
	}
	y, x := last(w.OH, w.StrideH, w.Top, w.KH, w.DilH, w.H), last(w.OW, w.StrideW, w.Left, w.KW, w.DilW, w.W)
	if y < 0 || x < 0 {
		return 0
	}
	return (y*w.W + x) * w.Pitch
}

// inside says whether all taps lie inside of the image.
func (w Window) inside() bool {
	h, wd := w.padded()
	return w.Top == 0 && w.Left == 0 && h <= w.H && wd <= w.W
}

// tapRows gives the kernel rows [k0, k1) that meet the image at output row oy.
func (w *Window) tapRows(oy int) (k0, k1 int) {
	y := oy*w.StrideH - w.Top
	k0, k1 = 0, w.KH
	for k0 < k1 && y+k0*w.DilH < 0 {
		k0++
	}
	for k0 < k1 && y+(k1-1)*w.DilH >= w.H {
		k1--
	}
	return k0, k1
}

// inner gives the output columns [x0, x1) whose taps all lie inside of the
// image's columns.
func (w *Window) inner() (x0, x1 int) {
	x0 = (w.Left + w.StrideW - 1) / w.StrideW
	x1 = w.OW
	if room := w.W - 1 + w.Left - (w.KW-1)*w.DilW; room < 0 {
		x1 = 0
	} else {
		x1 = min(x1, room/w.StrideW+1)
	}
	return min(x0, x1), x1
}

func (w Window) appendPixel(off []int32, oy, ox int) []int32 {
	for ky := range w.KH {
		y := oy*w.StrideH - w.Top + ky*w.DilH
		for kx := range w.KW {
			x := ox*w.StrideW - w.Left + kx*w.DilW
			if y < 0 || y >= w.H || x < 0 || x >= w.W {
				off = append(off, -1)
			} else {
				off = append(off, int32((y*w.W+x)*w.Pitch))
			}
		}
	}
	return off
}

// appendRow appends the pixels of one output row.
func (w *Window) appendRow(off []int32, oy int) []int32 {
	x0, x1 := w.inner()
	for ox := range w.OW {
		if ox > x0 && ox < x1 {
			off = appendShifted(off, w.KH*w.KW, w.StrideW*w.Pitch)
		} else {
			off = w.appendPixel(off, oy, ox)
		}
	}
	return off
}

// likeLast says whether an output row meets padding with the same taps as the one before.
func (w *Window) likeLast(oy int) bool {
	k0, k1 := w.tapRows(oy)
	last0, last1 := w.tapRows(oy - 1)
	return k0 == last0 && k1 == last1
}

// appendShifted appends the last n offsets again, step elements further; padding stays.
func appendShifted(off []int32, n, step int) []int32 {
	from := off[len(off)-n:]
	off = off[:len(off)+n]
	to, by := off[len(off)-n:][:len(from)], int32(step)
	for i, o := range from {
		to[i] = o + by&^(o>>31)
	}
	return off
}

// first is the element of tap (k, 0) of an output pixel.
func (w *Window) first(oy, ox, k int) int {
	return ((oy*w.StrideH-w.Top+k*w.DilH)*w.W + ox*w.StrideW - w.Left) * w.Pitch
}

// block is a rectangle of output pixels: columns ox to ox+n-1 of the rows oy to
// oy+lines-1, whose taps lie inside of the image but for kernel rows outside
// of [k0, k1).
type block struct{ oy, lines, ox, n, k0, k1 int }

// blockPixels bounds a block, so that a kernel is done with it soon.
const blockPixels = 1024

// segments cuts the output pixels m0..m1-1 into blocks for inner, and pixels
// that meet padding on the left or right for edge: n pixels from m on, step
// apart.
func (w *Window) segments(m0, m1 int, edge func(m, n, step int), inner func(block)) {
	x0, x1 := w.inner()
	if x0 >= x1 {
		edge(m0, m1-m0, 1)
		return
	}
	for m := m0; m < m1; {
		oy, ox := m/w.OW, m%w.OW
		if lines := (m1 - m) / w.OW; ox == 0 && lines > 0 {
			for x := range w.OW {
				if x < x0 || x >= x1 {
					edge(m+x, lines, w.OW)
				}
			}
			w.lines(oy, oy+lines, x0, x1, inner)
			m += lines * w.OW
			continue
		}
		end := min(w.OW, ox+m1-m)
		if n := min(x0, end) - ox; n > 0 {
			edge(m, n, 1)
		}
		if from, to := max(ox, x0), min(x1, end); from < to {
			w.lines(oy, oy+1, from, to, inner)
		}
		if from := max(ox, x1); from < end {
			edge(oy*w.OW+from, end-from, 1)
		}
		m += end - ox
	}
}

// lines makes blocks of the rows oy to end-1: those that meet all kernel rows
// go together.
func (w *Window) lines(oy, end, ox, x1 int, inner func(block)) {
	most := max(1, blockPixels/(x1-ox))
	for oy < end {
		k0, k1 := w.tapRows(oy)
		b := block{oy, 1, ox, x1 - ox, k0, k1}
		for whole := k1-k0 == w.KH; whole && b.lines < most && oy+b.lines < end; b.lines++ {
			if k0, k1 = w.tapRows(oy + b.lines); k1-k0 < w.KH {
				break
			}
		}
		inner(b)
		oy += b.lines
	}
}

// NewIndirect takes offsets in any order of pixels, [rows][taps]; a negative
// one reads padding. It keeps off.
func NewIndirect(off []int32, taps int) *Indirect {
	ix := &Indirect{Rows: len(off) / taps, Taps: taps}
	for _, o := range off {
		ix.span = max(ix.span, int(o))
	}
	ix.spare(off)
	return ix
}

// At returns where the input pixel of a row and tap begins, negative for padding.
func (ix *Indirect) At(row, tap int) int { return int(ix.off[row*ix.Taps+tap]) }

// reach bounds the offsets of the rows m0 to m1-1 from below and above.
func (ix *Indirect) reach(m0, m1 int) (lo, hi int) {
	if w := &ix.win; w.KH > 0 {
		first, last := m0/w.OW*w.StrideH-w.Top, (m1-1)/w.OW*w.StrideH-w.Top+(w.KH-1)*w.DilH
		hi = max(0, min(ix.span, ((last+1)*w.W-1)*w.Pitch))
		return min(hi, max(0, first)*w.W*w.Pitch), hi
	}
	lo, hi = ix.span, 0
	for _, o := range ix.off[m0*ix.Taps : m1*ix.Taps] {
		if o >= 0 {
			lo, hi = min(lo, int(o)), max(hi, int(o))
		}
	}
	return min(lo, hi), hi
}

// spare keeps the offsets with the last row repeated.
func (ix *Indirect) spare(off []int32) {
	if len(off) > 0 {
		last := off[len(off)-ix.Taps:]
		for range spareRows {
			off = append(off, last...)
		}
	}
	ix.off = off
}

// RowTaps is the geometry that makes each kernel row one tap of KW*Pitch
// elements, over an image that [PadImage] has padded: the way to run a first
// layer, whose three channels fill no vector. It needs DilW = 1. Pack the
// weights (O, KH, KW, C) with k = KW*C, taps = KH.
func (w Window) RowTaps() *Indirect {
	h, wd := w.padded()
	return Window{
		H: h, W: wd, Pitch: w.Pitch, KH: w.KH, KW: 1,
		StrideH: w.StrideH, StrideW: w.StrideW, DilH: w.DilH, DilW: 1, OH: w.OH, OW: w.OW,
	}.Indirect()
}

// padded gives the rows and columns that the window touches.
func (w Window) padded() (h, wd int) {
	return (w.OH-1)*w.StrideH + (w.KH-1)*w.DilH + 1, (w.OW-1)*w.StrideW + (w.KW-1)*w.DilW + 1
}

// PaddedLen is the number of elements of the image that [PadImage] writes.
func (w Window) PaddedLen() int {
	h, wd := w.padded()
	return h * wd * w.Pitch
}

// PaddedRows is the number of rows of that image.
func (w Window) PaddedRows() int {
	h, _ := w.padded()
	return h
}

// PadImage copies the image x, (H, W, Pitch), to dst with its padding set to
// pad, as [Window.RowTaps] reads it: the rows from to to-1 of the result.
func PadImage[T uint8 | int8 | float32](dst, x []T, w Window, pad T, from, to int) {
	_, wd := w.padded()
	lead := w.Left * w.Pitch
	copied := max(0, min(w.W, wd-w.Left)) * w.Pitch
	for i := from; i < to; i++ {
		row := dst[i*wd*w.Pitch:][:wd*w.Pitch]
		y := i - w.Top
		if y < 0 || y >= w.H {
			fill(row, pad)
			continue
		}
		fill(row[:lead], pad)
		copy(row[lead:lead+copied], x[y*w.W*w.Pitch:])
		fill(row[lead+copied:], pad)
	}
}

func fill[T any](s []T, v T) {
	if len(s) == 0 {
		return
	}
	s[0] = v
	for n := 1; n < len(s); n *= 2 {
		copy(s[n:], s[:n])
	}
}
