package dataset

import "math"

// raster is an image of 8-bit channels, interleaved: pixel (x,y) begins at pix[(y·w+x)·c].
type raster struct {
	w, h, c int
	pix     []uint8
}

func newRaster(w, h, c int) raster { return raster{w, h, c, make([]uint8, w*h*c)} }

// window is a part of an image: w by h pixels from (x,y).
type window struct{ x, y, w, h int }

// precision is the number of fraction bits of a filter's weights: with 8 bits of pixel and two
// of headroom they fill 32 bits. It is Pillow's, so that the results are Pillow's.
const precision = 32 - 8 - 2

// taps are the weights that make one output pixel from its neighbours, from number first on.
type taps struct {
	first  int
	weight []int32
}

// bilinear returns the taps of output pixels lo to hi-1 when in pixels become out. The triangle
// filter is widened by the shrink factor, so that every input pixel counts (antialiasing).
func bilinear(in, out, lo, hi int) []taps {
	scale := float64(in) / float64(out)
	radius := max(scale, 1)
	list := make([]taps, hi-lo)
	real := make([]float64, 0, 2*int(math.Ceil(radius))+1)
	for i := range list {
		center := float64((float64(lo+i) + 0.5) * scale)
		first := max(int(center-radius+0.5), 0)
		last := min(int(center+radius+0.5), in)
		real = real[:0]
		sum := 0.0
		for x := first; x < last; x++ {
			d := float64((float64(x) - center + 0.5) * (1 / radius))
			w := max(1-math.Abs(d), 0)
			real = append(real, w)
			sum += w
		}
		weight := make([]int32, len(real))
		for k, w := range real {
			weight[k] = int32(float64(w/sum*(1<<precision)) + 0.5)
		}
		list[i] = taps{first, weight}
	}
	return list
}

// resize returns the part win of src scaled to w by h pixels. Each pass rounds to 8 bits, first
// along rows, then along columns; a pass that would change no size is left out.
func resize(src raster, w, h int, win window) raster {
	if src.h != h {
		columns := bilinear(src.h, h, win.y, win.y+win.h)
		top := columns[0].first
		end := columns[len(columns)-1]
		rows := src.rows(top, end.first+len(end.weight))
		return scaleColumns(scaleRows(rows, w, win.x, win.w), columns, top)
	}
	return scaleRows(src.rows(win.y, win.y+win.h), w, win.x, win.w)
}

// rows returns rows lo to hi-1 of r; it shares r's memory.
func (r raster) rows(lo, hi int) raster {
	stride := r.w * r.c
	return raster{r.w, hi - lo, r.c, r.pix[lo*stride : hi*stride]}
}

// scaleRows scales each row to w pixels and returns n of them from number x on.
func scaleRows(src raster, w, x, n int) raster {
	dst := newRaster(n, src.h, src.c)
	if src.w == w {
		for y := range src.h {
			copy(dst.pix[y*n*src.c:(y+1)*n*src.c], src.pix[(y*src.w+x)*src.c:])
		}
		return dst
	}
	list := bilinear(src.w, w, x, x+n)
	for y := range src.h {
		in := src.pix[y*src.w*src.c : (y+1)*src.w*src.c]
		out := dst.pix[y*n*src.c : (y+1)*n*src.c]
		if src.c == 3 {
			scaleRow3(out, in, list)
		} else {
			scaleRow(out, in, list, src.c)
		}
	}
	return dst
}

func scaleRow(out, in []uint8, list []taps, c int) {
	for i, t := range list {
		for ch := range c {
			sum := int32(1) << (precision - 1)
			for k, w := range t.weight {
				sum += int32(in[(t.first+k)*c+ch]) * w
			}
			out[i*c+ch] = clip8(sum)
		}
	}
}

func scaleRow3(out, in []uint8, list []taps) {
	for i, t := range list {
		r, g, b := int32(1)<<(precision-1), int32(1)<<(precision-1), int32(1)<<(precision-1)
		p := in[3*t.first : 3*(t.first+len(t.weight))]
		for _, w := range t.weight {
			r += int32(p[0]) * w
			g += int32(p[1]) * w
			b += int32(p[2]) * w
			p = p[3:]
		}
		o := out[3*i : 3*i+3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
	}
}

// scaleColumns makes one row for each entry of list; row 0 of src has number top.
func scaleColumns(src raster, list []taps, top int) raster {
	dst := newRaster(src.w, len(list), src.c)
	stride := src.w * src.c
	sums := make([]int32, stride)
	for y, t := range list {
		for i := range sums {
			sums[i] = 1 << (precision - 1)
		}
		for k, w := range t.weight {
			row := src.pix[(t.first-top+k)*stride:][:stride]
			for i, p := range row {
				sums[i] += int32(p) * w
			}
		}
		out := dst.pix[y*stride:][:stride]
		for i, s := range sums {
			out[i] = clip8(s)
		}
	}
	return dst
}

func clip8(sum int32) uint8 { return uint8(min(max(sum>>precision, 0), 255)) }
