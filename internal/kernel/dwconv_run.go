//go:build amd64 && !purego

package kernel

import "unsafe"

// dwKernel holds the bodies for one number of vectors: pixel takes any pixels
// one by one, run some neighbours at a time, the most first.
type dwKernel struct {
	pixel func(*microArgs)
	run   []dwRunKernel
}

type dwRunKernel struct {
	px int
	fn func(*microArgs)
}

var (
	dwF32AVX512 = [5]dwKernel{
		1: {dwF32PixelAVX5121, []dwRunKernel{{6, dwF32Run6AVX5121}, {2, dwF32Run2AVX5121}, {1, dwF32Run1AVX5121}}},
		2: {dwF32PixelAVX5122, []dwRunKernel{{6, dwF32Run6AVX5122}, {2, dwF32Run2AVX5122}, {1, dwF32Run1AVX5122}}},
		3: {dwF32PixelAVX5123, []dwRunKernel{{6, dwF32Run6AVX5123}, {2, dwF32Run2AVX5123}, {1, dwF32Run1AVX5123}}},
		4: {dwF32PixelAVX5124, []dwRunKernel{{6, dwF32Run6AVX5124}, {2, dwF32Run2AVX5124}, {1, dwF32Run1AVX5124}}},
	}
	dwF32AVX2 = [5]dwKernel{
		1: {dwF32PixelAVX21, []dwRunKernel{{6, dwF32Run6AVX21}, {2, dwF32Run2AVX21}, {1, dwF32Run1AVX21}}},
		2: {dwF32PixelAVX22, []dwRunKernel{{6, dwF32Run6AVX22}, {2, dwF32Run2AVX22}, {1, dwF32Run1AVX22}}},
	}
)

var directF32AVX512 = [5]dwKernel{
	1: {directF32PixelAVX5121, []dwRunKernel{{8, directF32Run8AVX5121}, {4, directF32Run4AVX5121}, {2, directF32Run2AVX5121}, {1, directF32Run1AVX5121}}},
	2: {directF32PixelAVX5122, []dwRunKernel{{8, directF32Run8AVX5122}, {4, directF32Run4AVX5122}, {2, directF32Run2AVX5122}, {1, directF32Run1AVX5122}}},
}

// groupF32AVX512 and groupF32AVX2 hold the bodies by the channels of a group.
var (
	groupF32AVX512 = map[int]*[5]dwKernel{
		1: &dwF32AVX512,
		2: {
			1: {group2F32PixelAVX5121, []dwRunKernel{{6, group2F32Run6AVX5121}, {1, group2F32Run1AVX5121}}},
			2: {group2F32PixelAVX5122, []dwRunKernel{{6, group2F32Run6AVX5122}, {1, group2F32Run1AVX5122}}},
		},
		4: {
			1: {group4F32PixelAVX5121, []dwRunKernel{{6, group4F32Run6AVX5121}, {1, group4F32Run1AVX5121}}},
			2: {group4F32PixelAVX5122, []dwRunKernel{{6, group4F32Run6AVX5122}, {1, group4F32Run1AVX5122}}},
		},
		8: {
			1: {group8F32PixelAVX5121, []dwRunKernel{{6, group8F32Run6AVX5121}, {1, group8F32Run1AVX5121}}},
			2: {group8F32PixelAVX5122, []dwRunKernel{{6, group8F32Run6AVX5122}, {1, group8F32Run1AVX5122}}},
		},
		16: {
			1: {group16F32PixelAVX5121, []dwRunKernel{{6, group16F32Run6AVX5121}, {1, group16F32Run1AVX5121}}},
			2: {group16F32PixelAVX5122, []dwRunKernel{{6, group16F32Run6AVX5122}, {1, group16F32Run1AVX5122}}},
		},
	}
	groupF32AVX2 = map[int]*[5]dwKernel{
		1: &dwF32AVX2,
		2: {
			1: {group2F32PixelAVX21, []dwRunKernel{{6, group2F32Run6AVX21}, {1, group2F32Run1AVX21}}},
			2: {group2F32PixelAVX22, []dwRunKernel{{6, group2F32Run6AVX22}, {1, group2F32Run1AVX22}}},
		},
		4: {
			1: {group4F32PixelAVX21, []dwRunKernel{{6, group4F32Run6AVX21}, {1, group4F32Run1AVX21}}},
			2: {group4F32PixelAVX22, []dwRunKernel{{6, group4F32Run6AVX22}, {1, group4F32Run1AVX22}}},
		},
		8: {
			1: {group8F32PixelAVX21, []dwRunKernel{{6, group8F32Run6AVX21}, {1, group8F32Run1AVX21}}},
			2: {group8F32PixelAVX22, []dwRunKernel{{6, group8F32Run6AVX22}, {1, group8F32Run1AVX22}}},
		},
	}
)

// pack cuts the channels into panels of whole vectors. Only AVX-512 has a body
// for the channels that fill no vector: else the last panel begins so that it
// is full, over channels of the one before, and fewer channels than fill one
// are one panel, whose results are copied.
func (d *GroupedF32) pack() {
	switch {
	case (d.all || d.k > 1) && d.level.use(AVX512) && d.n%16 == 0:
		d.lanes = 16
		d.data = aligned[float32](d.cut(single(2)))
	case d.k == 1 && !d.all && d.level.use(AVX512):
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
		size := whole.cut(single(2))
		d.panels = whole.panels
		if d.n%8 != 0 {
			d.panels = append(d.panels, panel{n0: max(0, d.n-8), n1: d.n, nv: 1, off: size})
			size += 8 * d.taps
		}
		d.data = aligned[float32](size)
	default:
		return
	}
	packPanels(d.data, d.w, &d.shape, Order{N: 1, Tap: d.k * d.n, K: d.n})
}

func (d *GroupedF32) runFast(a rows[float32], out *OutF32, m0, m1 int) bool {
	partial := d.lanes == 8 && d.n%8 != 0
	if len(d.panels) == 0 || partial && out.Add != nil && d.n < 8 {
		return false
	}
	s := scratches.Get().(*scratch)
	s.zero = unsafe.Pointer(&d.zeros[0])
	s.lo, s.hi = out.bounds()
	switch panels := d.panels; {
	case partial && d.n < 8:
		d.runNarrow(s, a, out, m0, m1)
	case partial && out.Add != nil: // sums that lie where they are added to must be made once
		last := len(panels) - 1
		d.runPanels(s, a, out, m0, m1, panels[:last])
		d.runGeneric(a, out, m0, m1, panels[last-1].n1)
	default:
		d.runPanels(s, a, out, m0, m1, panels)
	}
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}

// runNarrow makes rows of 8 channels, of which the output has fewer, and copies those. What lies behind a pixel's channels
// is read as others of them.
func (d *GroupedF32) runNarrow(s *scratch, a rows[float32], out *OutF32, m0, m1 int) {
	if a.ix.span+8 > cap(a.x) {
		s.apart = grow(s.apart, len(a.x)+8)
		copy(s.apart, a.x)
		a.x = s.apart
	}
	rows := len(s.tile) / 8
	for m := m0; m < m1; m += rows {
		end := min(m1, m+rows)
		s.wider = &s.tile
		d.runPanels(s, a, out, m, end, d.panels)
		made := unsafe.Slice((*float32)(unsafe.Pointer(&s.tile)), len(s.tile))
		for i := m; i < end; i++ {
			copy(out.C[i*out.Ldc:][:d.n], made[(i-m)*8:])
		}
	}
	s.wider = nil
}

// runPanels makes the rows m0 to m1-1 of some panels.
func (d *GroupedF32) runPanels(s *scratch, a rows[float32], out *OutF32, m0, m1 int, panels []panel) {
	set := groupF32AVX2[d.k]
	switch {
	case d.all:
		set = &directF32AVX512
		s.kb = d.k * 4
	case d.lanes == 16:
		set = groupF32AVX512[d.k]
	}
	for _, pn := range panels {
		s.mask = ^uint64(0) >> (64 - (pn.n1 - pn.n0))
		s.bias = unsafe.Pointer(&zeros)
		if out.Bias != nil {
			s.bias = vectors(out.Bias, pn.n0, pn.n1, pn.nv*d.lanes, s.biasF32[:])
		}
		run := dwRun{s, d, &a, out, pn, &set[pn.nv], m0}
		if pn.n1-pn.n0 < pn.nv*d.lanes && d.lanes == 16 {
			run.k = &dwKernel{pixel: dwF32MaskedAVX5121}
			run.pixels(m0, m1-m0, 1)
		} else if a.ix.rel != nil {
			a.ix.win.segments(m0, m1, run.pixels, run.inner)
		} else {
			run.pixels(m0, m1-m0, 1)
		}
	}
}

// dwRun is the work of one panel.
type dwRun struct {
	s   *scratch
	d   *GroupedF32
	a   *rows[float32]
	out *OutF32
	pn  panel
	k   *dwKernel

	first int // output row that is the first of rows made wider than the output
}

// inner takes a block. Kernel rows above and below the image are left out.
func (r *dwRun) inner(b block) {
	w, s := &r.a.ix.win, r.s
	if b.k0 >= b.k1 {
		for i := range b.lines {
			r.pixels((b.oy+i)*w.OW+b.ox, b.n, 1)
		}
		return
	}
	step := w.StrideW * w.Pitch * 4
	s.aStep, s.off, s.taps, s.lines = step, &r.a.ix.rel[0], (b.k1-b.k0)*w.KW, b.lines
	s.b = unsafe.Pointer(&r.d.data[r.pn.off+b.k0*w.KW*r.d.k*r.pn.nv*r.d.lanes])
	s.ldc, s.ldAdd = r.pitch(), r.out.LdAdd*4
	ox, left := b.ox, b.n
	for _, k := range r.k.run {
		n := left / k.px * k.px
		if n == 0 {
			continue
		}
		s.a = unsafe.Pointer(&r.a.x[w.first(b.oy, ox, b.k0)+r.pn.n0])
		s.rows = n
		s.aSkip, s.cSkip = w.StrideH*w.W*w.Pitch*4-n*step, (w.OW-n)*s.ldc
		s.addSkip = 0
		if r.out.Add != nil {
			s.addSkip = (w.OW - n) * s.ldAdd
		}
		r.target(b.oy*w.OW + ox)
		k.fn(&s.microArgs)
		ox, left = ox+n, left-n
	}
}

// pixels takes any pixels through the list of offsets: n from m on, step apart.
func (r *dwRun) pixels(m, n, step int) {
	s, taps := r.s, r.d.taps
	s.a, s.taps = unsafe.Pointer(&r.a.x[r.pn.n0]), taps
	s.b = unsafe.Pointer(&r.d.data[r.pn.off])
	s.offRow, s.ldc, s.ldAdd = step*taps*4, step*r.pitch(), step*r.out.LdAdd*4
	for end := m + n*step; m < end; m += blockPixels * step {
		s.off, s.rows = &r.a.ix.off[m*taps], min(blockPixels, (end-m)/step)
		r.target(m)
		r.k.pixel(&s.microArgs)
	}
}

// pitch is the bytes from row to row of the output.
func (r *dwRun) pitch() int {
	if r.s.wider != nil {
		return 8 * 4
	}
	return r.out.Ldc * 4
}

func (r *dwRun) target(m int) {
	r.s.add = nil
	if r.s.wider != nil {
		r.s.c = unsafe.Add(unsafe.Pointer(r.s.wider), (m-r.first)*r.pitch())
		return
	}
	r.s.c = unsafe.Pointer(&r.out.C[m*r.out.Ldc+r.pn.n0])
	if r.out.Add != nil {
		r.s.add = unsafe.Pointer(&r.out.Add[m*r.out.LdAdd+r.pn.n0])
	}
}
