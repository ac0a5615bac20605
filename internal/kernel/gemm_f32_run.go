//go:build amd64 && !purego

package kernel

import (
	"math"
	"unsafe"
)

var microF32AVX512 = microSet{
	4: {{6, gemmF32AVX5126x64}, {4, gemmF32AVX5124x64}, {2, gemmF32AVX5122x64}, {1, gemmF32AVX5121x64}},
	3: {{8, gemmF32AVX5128x48}, {4, gemmF32AVX5124x48}, {2, gemmF32AVX5122x48}, {1, gemmF32AVX5121x48}},
	2: {{12, gemmF32AVX51212x32}, {6, gemmF32AVX5126x32}, {3, gemmF32AVX5123x32}, {1, gemmF32AVX5121x32}},
	1: {{12, gemmF32AVX51212x16}, {6, gemmF32AVX5126x16}, {3, gemmF32AVX5123x16}, {1, gemmF32AVX5121x16}},
}

var microF32AVX2 = microSet{
	2: {{6, gemmF32AVX26x16}, {4, gemmF32AVX24x16}, {2, gemmF32AVX22x16}, {1, gemmF32AVX21x16}},
}

func (l Level) microF32() *microSet {
	switch {
	case l.use(AVX512):
		return &microF32AVX512
	case l.use(AVX2):
		return &microF32AVX2
	}
	return nil
}

// farPanel is the size of a panel of four vectors from which a convolution, whose
// rows all pass by each panel, has panels of two: they stay in a second cache.
const farPanel = 1 << 20

func (l Level) tilingF32(taps, k int) (lanes int, widths func(int) []int) {
	switch {
	case l.use(AVX512) && taps > 1 && taps*k*4*64 > farPanel:
		return 16, single(2)
	case l.use(AVX512):
		return 16, widthsZ
	case l.use(AVX2):
		return 8, widthsY
	}
	return genericLanes, single(1)
}

// widthsZ makes panels of four vectors and leaves no narrow one: 5 = 3 + 2.
func widthsZ(vectors int) []int {
	var r []int
	for vectors > 5 || vectors == 4 {
		r = append(r, 4)
		vectors -= 4
	}
	if vectors == 5 {
		r, vectors = append(r, 3), 2
	}
	if vectors > 0 {
		r = append(r, vectors)
	}
	return r
}

// widthsY makes panels of two vectors, the last one padded.
func widthsY(vectors int) []int {
	r := make([]int, (vectors+1)/2)
	fill(r, 2)
	return r
}

func (p *PackedF32) runFast(a rows[float32], out *OutF32, r Range) bool {
	if p.level.microF32() == nil {
		return false
	}
	s := scratches.Get().(*scratch)
	p.ready(s, out)
	step := blockRows(r.M1-r.M0, p.k*4, len(p.data)*4)
	s.setTouch((r.M1-r.M0)*(s.ldc+s.kb)+len(p.data)*4 > nearBytes)
	copied := a.ix == nil && a.lda*4%aliasPitch == 0 && r.P1-r.P0 >= copyPanels
	for m := r.M0; m < r.M1; m += step {
		end := min(r.M1, m+step)
		from, first := a, 0
		if copied {
			from, first = s.copyRows(&a, m, end), m
		}
		for i := r.P0; i < r.P1; i++ {
			p.comes(s, p.panels[min(i+1, r.P1-1)])
			if i == r.P1-1 && a.ix == nil && end < r.M1 {
				// The last panel brings the next rows nearer.
				s.next, s.nextLen = unsafe.Pointer(&a.x[end*a.lda]), min(step, r.M1-end)*a.lda*4
			}
			p.runPanel(s, &from, first, out, p.panels[i], m, end)
		}
	}
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}

// ready sets what all panels share.
func (p *PackedF32) ready(s *scratch, out *OutF32) {
	s.setSums(p.taps, p.k)
	s.ldc, s.ldAdd = out.Ldc*4, out.LdAdd*4
	s.zero = unsafe.Pointer(unsafe.SliceData(p.zeros))
	s.lo, s.hi = out.bounds()
}

// comes names the panel that is to be brought nearer.
func (p *PackedF32) comes(s *scratch, next panel) {
	s.next = unsafe.Pointer(&p.data[next.off])
	s.nextLen = next.nv * p.lanes * p.taps * p.k * 4
}

// panelFast makes the rows m0 to m1-1 of the columns of pn; it returns false where the level has no assembly.
func (p *PackedF32) panelFast(pn, next panel, a *rows[float32], out *OutF32, m0, m1 int) bool {
	if p.level.microF32() == nil {
		return false
	}
	s := scratches.Get().(*scratch)
	p.ready(s, out)
	p.comes(s, next)
	p.runPanel(s, a, 0, out, pn, m0, m1)
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}

// bounds gives the clamp as assembly wants it: everything where there is none.
func (o *OutF32) bounds() (lo, hi float32) {
	if o.Min == o.Max {
		return float32(math.Inf(-1)), float32(math.Inf(1))
	}
	return o.Min, o.Max
}

// Rows whose addresses differ by whole pages fall on the same lines of the
// first cache, which costs a fifth of the speed. They are copied to another
// pitch where enough panels share the copy.
const (
	aliasPitch = 4096
	copyPanels = 3
)

// copyRows moves the rows m0 to m1-1 apart by one cache line more.
func (s *scratch) copyRows(a *rows[float32], m0, m1 int) rows[float32] {
	pitch := a.k + 16
	s.apart = grow(s.apart, (m1-m0)*pitch)
	for i := m0; i < m1; i++ {
		copy(s.apart[(i-m0)*pitch:], a.x[i*a.lda:][:a.k])
	}
	return rows[float32]{x: s.apart, lda: pitch, k: a.k, taps: 1}
}

// runPanel makes the rows m0 to m1-1 of the columns of pn; the first row of a
// is row first of the output.
func (p *PackedF32) runPanel(s *scratch, a *rows[float32], first int, out *OutF32, pn panel, m0, m1 int) {
	s.columns(pn.n1 - pn.n0)
	s.b = unsafe.Pointer(&p.data[pn.off])
	s.bias = unsafe.Pointer(&zeros)
	if out.Bias != nil {
		s.bias = vectors(out.Bias, pn.n0, pn.n1, pn.nv*p.lanes, s.biasF32[:])
	}
	over(s, a, p.level.microF32()[pn.nv], m0-first, m1-first, func(m int) {
		m += first
		s.c = unsafe.Pointer(&out.C[m*out.Ldc+pn.n0])
		s.add = nil
		if out.Add != nil {
			s.add = unsafe.Pointer(&out.Add[m*out.LdAdd+pn.n0])
		}
	})
}
