//go:build amd64 && !purego

package kernel

import (
	"math"
	"unsafe"
)

// dwKernel is the pair of bodies for one number of vectors: pixel takes any
// pixels one by one, run takes px neighbours at a time inside of the image.
type dwKernel struct {
	px         int
	pixel, run func(*microArgs)
}

var (
	dwF32AVX512 = [5]dwKernel{
		1: {8, dwF32PixelAVX5121, dwF32RunAVX5121},
		2: {8, dwF32PixelAVX5122, dwF32RunAVX5122},
		3: {6, dwF32PixelAVX5123, dwF32RunAVX5123},
		4: {6, dwF32PixelAVX5124, dwF32RunAVX5124},
	}
	dwF32AVX2 = [5]dwKernel{
		1: {8, dwF32PixelAVX21, dwF32RunAVX21},
		2: {5, dwF32PixelAVX22, dwF32RunAVX22},
	}
)

// pack cuts the channels into panels of whole vectors. Only AVX-512 has a body
// for the channels that fill no vector; else they are left to Go.
func (d *DepthwiseF32) pack() {
	switch {
	case d.level.use(AVX512):
		d.lanes = 16
		d.data = aligned[float32](d.cut(func(vectors int) []int {
			if d.n%16 == 0 {
				return widthsZ(vectors)
			}
			return append(widthsZ(vectors-1), 1)
		}))
	case d.level.use(AVX2):
		d.lanes = 8
		whole := d.shape
		whole.n &^= 7
		d.data = aligned[float32](whole.cut(single(2)))
		d.panels = whole.panels
	default:
		return
	}
	packPanels(d.data, d.w, &d.shape, Order{N: 1, Tap: d.n})
}

func (d *DepthwiseF32) runFast(a rows[float32], out *OutF32, m0, m1 int) bool {
	if len(d.panels) == 0 {
		return false
	}
	set := &dwF32AVX2
	if d.lanes == 16 {
		set = &dwF32AVX512
	}
	s := scratches.Get().(*scratch)
	s.zero = unsafe.Pointer(&d.zeros[0])
	s.ldc, s.ldAdd, s.offRow = out.Ldc*4, out.LdAdd*4, d.taps*4
	s.lo, s.hi = out.Min, out.Max
	if out.Min == out.Max {
		s.lo, s.hi = float32(math.Inf(-1)), float32(math.Inf(1))
	}
	for _, pn := range d.panels {
		s.mask = ^uint64(0) >> (64 - (pn.n1 - pn.n0))
		s.bias = unsafe.Pointer(&zeros)
		if out.Bias != nil {
			s.bias = vectors(out.Bias, pn.n0, pn.n1, pn.nv*d.lanes, s.biasF32[:])
		}
		run := dwRun{s, d, &a, out, pn, &set[pn.nv]}
		if pn.n1-pn.n0 < pn.nv*d.lanes {
			run.k = &dwKernel{pixel: dwF32MaskedAVX5121}
			run.pixels(m0, m1)
		} else if a.ix.rel != nil {
			run.image(m0, m1)
		} else {
			run.pixels(m0, m1)
		}
	}
	s.microArgs = microArgs{}
	scratches.Put(s)
	if c0 := d.panels[len(d.panels)-1].n1; c0 < d.n {
		d.runGeneric(a, out, m0, m1, c0)
	}
	return true
}

// dwRun is the work of one panel.
type dwRun struct {
	s   *scratch
	d   *DepthwiseF32
	a   *rows[float32]
	out *OutF32
	pn  panel
	k   *dwKernel
}

// image cuts the pixels m0..m1-1 into runs whose columns lie inside of the
// image, and the rest.
func (r *dwRun) image(m0, m1 int) {
	w := &r.a.ix.win
	x0, x1 := w.inner()
	for m := m0; m < m1; {
		oy, ox := m/w.OW, m%w.OW
		switch {
		case ox < x0:
			n := min(m1-m, x0-ox)
			r.pixels(m, m+n)
			m += n
		case ox < x1:
			n := min(m1-m, x1-ox)
			r.inner(m, n, oy, ox)
			m += n
		default:
			n := min(m1-m, w.OW-ox)
			r.pixels(m, m+n)
			m += n
		}
	}
}

// inner convolves n pixels of output row oy from column ox on, all inside.
// Kernel rows above and below the image are left out.
func (r *dwRun) inner(m, n, oy, ox int) {
	w, s := &r.a.ix.win, r.s
	k0, k1 := w.tapRows(oy)
	whole := n / r.k.px * r.k.px
	if whole > 0 && k0 < k1 {
		first := ((oy*w.StrideH-w.Top+k0*w.DilH)*w.W + ox*w.StrideW - w.Left) * w.Pitch
		s.a = unsafe.Pointer(&r.a.x[first+r.pn.n0])
		s.aStep = w.StrideW * w.Pitch * 4
		s.off, s.taps, s.rows = &r.a.ix.rel[0], (k1-k0)*w.KW, whole
		s.b = unsafe.Pointer(&r.d.data[r.pn.off+k0*w.KW*r.pn.nv*r.d.lanes])
		r.target(m)
		r.k.run(&s.microArgs)
		m, n = m+whole, n-whole
	}
	r.pixels(m, m+n)
}

// dwCall bounds the pixels of one call, which lasts below 100 µs.
const dwCall = 1024

func (r *dwRun) pixels(m0, m1 int) {
	s := r.s
	s.a, s.taps = unsafe.Pointer(&r.a.x[r.pn.n0]), r.d.taps
	s.b = unsafe.Pointer(&r.d.data[r.pn.off])
	for m := m0; m < m1; m += dwCall {
		s.off, s.rows = &r.a.ix.off[m*r.d.taps], min(dwCall, m1-m)
		r.target(m)
		r.k.pixel(&s.microArgs)
	}
}

func (r *dwRun) target(m int) {
	r.s.c = unsafe.Pointer(&r.out.C[m*r.out.Ldc+r.pn.n0])
	r.s.add = nil
	if r.out.Add != nil {
		r.s.add = unsafe.Pointer(&r.out.Add[m*r.out.LdAdd+r.pn.n0])
	}
}
