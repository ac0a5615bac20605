package dataset

import "image"

// fromYCbCr converts to RGB as libjpeg does, and so as Pillow does: halved chroma is interpolated
// with a triangle filter (weights 3/4 and 1/4 along each halved axis) instead of being repeated.
func fromYCbCr(m *image.YCbCr) raster {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	r := newRaster(w, h, 3)
	up := newUpsampler(m)
	cb, cr := make([]uint8, up.width()), make([]uint8, up.width())
	for y := range h {
		up.row(cb, m.Cb, y)
		up.row(cr, m.Cr, y)
		toRGBRow(r.pix[3*y*w:3*(y+1)*w], m.Y[y*m.YStride:][:w], cb, cr)
	}
	return r
}

// toRGBRow converts one row with 16-bit constants (JFIF 1.02; the rounding is libjpeg's).
func toRGBRow(out, luma, blue, red []uint8) {
	const half = 1 << 15
	blue, red = blue[:len(luma)], red[:len(luma)]
	for i, l := range luma {
		y, cb, cr := int32(l), int32(blue[i])-128, int32(red[i])-128
		o := out[3*i : 3*i+3]
		o[0] = clamp(y + (91881*cr+half)>>16)
		o[1] = clamp(y + (-22554*cb-46802*cr+half)>>16)
		o[2] = clamp(y + (116130*cb+half)>>16)
	}
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// upsampler brings rows of chroma to the width of luma.
type upsampler struct {
	cols, rows   int // size of a chroma plane
	stride       int
	w            int
	across, down int // luma samples to one of chroma, along each axis
	sums         []int32
}

func newUpsampler(m *image.YCbCr) *upsampler {
	u := &upsampler{stride: m.CStride, w: m.Rect.Dx(), across: 1, down: 1}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.across = 2
	case image.YCbCrSubsampleRatio420:
		u.across, u.down = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.down = 2
	case image.YCbCrSubsampleRatio411:
		u.across = 4
	case image.YCbCrSubsampleRatio410:
		u.across, u.down = 4, 2
	}
	u.cols = (u.w + u.across - 1) / u.across
	u.rows = (m.Rect.Dy() + u.down - 1) / u.down
	u.sums = make([]int32, u.cols)
	return u
}

// width is the length of the rows that row fills: at least that of luma.
func (u *upsampler) width() int { return u.cols * u.across }

// row fills out with the chroma of luma row y.
func (u *upsampler) row(out, plane []uint8, y int) {
	near := plane[y/u.down*u.stride:][:u.cols]
	far := near
	if u.down == 2 {
		other := min(max(y/2+2*(y%2)-1, 0), u.rows-1)
		far = plane[other*u.stride:][:u.cols]
	}
	switch {
	case u.across == 1 && u.down == 1:
		copy(out, near)
	case u.across == 1:
		blend(out, near, far, int32(1+y%2))
	case u.across == 2 && u.cols <= 2 || u.across == 4:
		repeat(out, near, u.across)
	case u.down == 1:
		widen(out, near)
	default:
		for i, v := range near {
			u.sums[i] = 3*int32(v) + int32(far[i])
		}
		widenSums(out, u.sums)
	}
}

// blend interpolates along columns; the rounding alternates between the two rows of a pair.
func blend(out, near, far []uint8, round int32) {
	for i, v := range near {
		out[i] = uint8((3*int32(v) + int32(far[i]) + round) >> 2)
	}
}

// widen doubles a row; the outermost samples are repeated.
func widen(out, in []uint8) {
	n := len(in)
	for i, v := range in {
		left, right := in[max(i-1, 0)], in[min(i+1, n-1)]
		out[2*i] = uint8((3*int32(v) + int32(left) + 1) >> 2)
		out[2*i+1] = uint8((3*int32(v) + int32(right) + 2) >> 2)
	}
	out[0], out[2*n-1] = in[0], in[n-1]
}

// widenSums doubles a row of column sums, each of weight 4.
func widenSums(out []uint8, sums []int32) {
	n := len(sums)
	for i, v := range sums {
		left, right := sums[max(i-1, 0)], sums[min(i+1, n-1)]
		out[2*i] = uint8((3*v + left + 8) >> 4)
		out[2*i+1] = uint8((3*v + right + 7) >> 4)
	}
}

func repeat(out, in []uint8, n int) {
	for i := range out {
		out[i] = in[i/n]
	}
}
