//go:build amd64 && !purego

package kernel

import "unsafe"

var microVNNI = microSet{
	4: {{6, gemmU8S8VNNI6x64}, {4, gemmU8S8VNNI4x64}, {2, gemmU8S8VNNI2x64}, {1, gemmU8S8VNNI1x64}},
	3: {{8, gemmU8S8VNNI8x48}, {4, gemmU8S8VNNI4x48}, {2, gemmU8S8VNNI2x48}, {1, gemmU8S8VNNI1x48}},
	2: {{12, gemmU8S8VNNI12x32}, {6, gemmU8S8VNNI6x32}, {3, gemmU8S8VNNI3x32}, {1, gemmU8S8VNNI1x32}},
	1: {{12, gemmU8S8VNNI12x16}, {6, gemmU8S8VNNI6x16}, {3, gemmU8S8VNNI3x16}, {1, gemmU8S8VNNI1x16}},
}

var microAVXVNNI = microSet{
	2: {{6, gemmU8S8AVXVNNI6x16}, {4, gemmU8S8AVXVNNI4x16}, {2, gemmU8S8AVXVNNI2x16}, {1, gemmU8S8AVXVNNI1x16}},
}

var microPairs = microSet{
	2: {{6, gemmU16S16AVX26x16}, {4, gemmU16S16AVX24x16}, {2, gemmU16S16AVX22x16}, {1, gemmU16S16AVX21x16}},
}

// microBytes adds pairs of products in 16 bits: only for panels where they
// cannot overflow.
var microBytes = microSet{
	2: {{5, gemmU8S8AVX25x16}, {2, gemmU8S8AVX22x16}, {1, gemmU8S8AVX21x16}},
}

// pack arranges the weight: bytes in fours for VPDPBUSD, int16 in pairs for
// VPMADDWD.
func (p *PackedU8S8) pack(w []int8, o Order) {
	switch l := p.level; {
	case l.use(AMX) && p.fillsTiles():
		p.data = packTiles(&p.shape, w, o)
	case l.use(VNNI):
		p.lanes, p.per, p.kd, p.set = 16, 4, (p.k+3)/4, &microVNNI
		p.data = aligned[int8](p.cut(widthsZ))
		packBytes(p.level, p.data, w, &p.shape, o)
	case l.use(AVXVNNI):
		p.lanes, p.per, p.kd, p.set = 8, 4, (p.k+3)/4, &microAVXVNNI
		p.data = aligned[int8](p.cut(widthsY))
		packBytes(p.level, p.data, w, &p.shape, o)
	case l.use(AVX2):
		p.packAVX2(w, o)
	default:
		p.packGeneric(w, o)
	}
}

// packAVX2 keeps a panel in bytes where no pair of products can overflow 16
// bits, else in 16 bits.
func (p *PackedU8S8) packAVX2(w []int8, o Order) {
	p.lanes, p.per, p.kd, p.set = 8, 4, (p.k+3)/4, &microBytes
	p.data = aligned[int8](p.cut(widthsY))
	packBytes(p.level, p.data, w, &p.shape, o)
	wide := p.shape
	wide.panels = nil
	size := 0
	for i := range p.panels {
		pn := &p.panels[i]
		bytes := p.data[pn.off:][:p.taps*p.kd*pn.nv*p.lanes*4]
		if pn.wide = !pairsFit(bytes); pn.wide {
			pn.off, size = size, size+len(bytes)
			wide.panels = append(wide.panels, *pn)
		}
	}
	if len(wide.panels) == len(p.panels) {
		p.data = nil
	}
	wide.per, wide.kd = 2, 2*p.kd
	p.wide = aligned[int16](size)
	packPanels(p.wide, w, &wide, o)
}

// pairsFit says whether two neighbouring products with any bytes sum to less
// than 2^15: 255 times at most 128 of either sign.
func pairsFit(w []int8) bool {
	for i := 0; i < len(w); i += 2 {
		a, b := int(w[i]), int(w[i+1])
		if max(a, 0)+max(b, 0) > 128 || min(a, 0)+min(b, 0) < -128 {
			return false
		}
	}
	return true
}

func (p *PackedU8S8) runFast(a rows[uint8], pad uint8, out *OutU8S8, r Range) bool {
	if p.set == nil && p.steps == 0 {
		return false
	}
	s := scratches.Get().(*scratch)
	s.setOutput(out)
	if p.steps > 0 {
		p.runAMX(s, &a, pad, out, r)
	} else if len(p.data) > 0 {
		p.runBytes(s, &a, pad, out, r)
	}
	if len(p.wide) > 0 {
		p.runWide(s, &a, pad, out, r)
	}
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}

// setOutput fills in what does not depend on the column.
func (s *scratch) setOutput(out *OutU8S8) {
	s.kind, s.flip, s.hi = 0, 0, 32767
	z, lo, hi := out.Zero, out.Min, out.Max
	switch {
	case out.U8 != nil:
	case out.S8 != nil:
		s.flip = 0x80808080
		z, lo, hi = z+128, lo+128, hi+128
	case out.I32 != nil:
		s.kind = 1
	default:
		s.kind = 2
	}
	s.z = uint32(uint16(z)) * 0x00010001
	s.qlo, s.qhi = uint32(uint8(lo))*0x01010101, uint32(uint8(hi))*0x01010101
}

// at is the address of element i of the output, and the bytes of an element.
func (o *OutU8S8) at(i int) (unsafe.Pointer, int) {
	switch {
	case o.U8 != nil:
		return unsafe.Pointer(&o.U8[i]), 1
	case o.S8 != nil:
		return unsafe.Pointer(&o.S8[i]), 1
	case o.I32 != nil:
		return unsafe.Pointer(&o.I32[i]), 4
	}
	return unsafe.Pointer(&o.F32[i]), 4
}

// runBytes reads the activations where they are.
func (p *PackedU8S8) runBytes(s *scratch, a *rows[uint8], pad uint8, out *OutU8S8, r Range) {
	s.taps, s.kb = p.taps, p.kd*4
	if a.ix != nil {
		s.pad = grow(s.pad, s.kb)
		fill(s.pad, pad)
		s.zero = unsafe.Pointer(&s.pad[0])
	}
	last, safe := s.slack(a, r.M0, r.M1)
	step, far := r.M1-r.M0, out.far(r.M1-r.M0)
	s.setTouch(far)
	if far || len(p.data) > nearBytes {
		step = blockRows(step, p.taps*s.kb, len(p.data))
	}
	for m := r.M0; m < r.M1; m += step {
		end := min(r.M1, m+step)
		for pi := r.P0; pi < r.P1; pi++ {
			if p.panels[pi].wide {
				continue
			}
			p.column(s, pi, out)
			tilesInt(p, s, a, 0, pi, out, m, min(safe, end))
			tilesInt(p, s, &last, safe, pi, out, max(m, safe), end)
		}
	}
}

// far says whether so many rows of results are more than stay near. Codes are not:
// a tile makes whole lines of them, one to a row.
func (o *OutU8S8) far(rows int) bool {
	_, size := o.at(0)
	return size > 1 && rows*o.Ldc*size > nearBytes
}

// slack makes it safe to read whole dwords of the rows m0 to m1-1 where a has
// no spare capacity. The image of a convolution is copied; of a matrix only
// the rows from safe on, to last.
func (s *scratch) slack(a *rows[uint8], m0, m1 int) (last rows[uint8], safe int) {
	if a.ix != nil {
		if a.ix.span+s.kb > cap(a.x) {
			s.block = grow(s.block, len(a.x)+3)
			copy(s.block, a.x)
			a.x = s.block
		}
		return last, m1
	}
	safe = m1
	for safe > m0 && (safe-1)*a.lda+s.kb > cap(a.x) {
		safe--
	}
	if safe == m1 {
		return last, m1
	}
	s.block = grow(s.block, (m1-safe)*s.kb)
	for i := safe; i < m1; i++ {
		copy(s.block[(i-safe)*s.kb:], a.x[i*a.lda:][:a.k])
	}
	return rows[uint8]{x: s.block, lda: s.kb, k: a.k, taps: 1}, safe
}

// column points s at the weights and factors of a panel.
func (p *PackedU8S8) column(s *scratch, pi int, out *OutU8S8) {
	pn := p.panels[pi]
	s.columns(pn.n1 - pn.n0)
	s.b = p.address(pn)
	next := p.panels[min(pi+1, len(p.panels)-1)]
	s.next, s.nextLen = p.address(next), next.nv*p.lanes*p.taps*p.kd*p.per
	s.factors(out, pn.n0, pn.n1, pn.nv*p.lanes)
}

func (p *PackedU8S8) address(pn panel) unsafe.Pointer {
	if pn.wide {
		return unsafe.Pointer(&p.wide[pn.off])
	}
	return unsafe.Pointer(&p.data[pn.off])
}

// factors points s at the factors of the columns n0 to n1-1, in whole vectors
// of width columns in all.
func (s *scratch) factors(out *OutU8S8, n0, n1, width int) {
	s.bias, s.scale, s.shift = unsafe.Pointer(&zeros), unsafe.Pointer(&zeros), unsafe.Pointer(&negZeros)
	if out.Bias != nil {
		s.bias = vectors(out.Bias, n0, n1, width, s.biasI32[:])
	}
	if s.kind != 1 {
		s.scale = vectors(out.Scale, n0, n1, width, s.scaleF32[:])
	}
	if s.kind == 2 && out.Shift != nil {
		s.shift = vectors(out.Shift, n0, n1, width, s.shiftF32[:])
	}
}

// tilesInt runs the rows m0..m1-1 of a panel; row m0 of the output is row m0-base
// of a.
func tilesInt[T any](p *PackedU8S8, s *scratch, a *rows[T], base, pi int, out *OutU8S8, m0, m1 int) {
	if m0 >= m1 {
		return
	}
	pn := p.panels[pi]
	ks := p.set[pn.nv]
	if pn.wide {
		ks = microPairs[pn.nv]
	}
	_, size := out.at(m0*out.Ldc + pn.n0)
	if p.lanes == 16 || pn.n1-pn.n0 == 16 {
		s.ldc = out.Ldc * size
		over(s, a, ks, m0-base, m1-base, func(m int) {
			s.c, _ = out.at((m+base)*out.Ldc + pn.n0)
		})
		return
	}
	// The kernels of 256 bits store whole vectors only.
	s.ldc = 16 * size
	for m := m0; m < m1; m += tileRows {
		end := min(m1, m+tileRows)
		over(s, a, ks, m-base, end-base, func(i int) {
			s.c = unsafe.Add(unsafe.Pointer(&s.tile), (i+base-m)*s.ldc)
		})
		for i := m; i < end; i++ {
			dst, _ := out.at(i*out.Ldc + pn.n0)
			n := (pn.n1 - pn.n0) * size
			copy(unsafe.Slice((*byte)(dst), n), unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&s.tile), (i-m)*s.ldc)), n))
		}
	}
}

// wideRows is the number of rows widened at a time: their products with all
// panels follow while they are in the cache.
const wideRows = 48

// runWide does the panels in 16 bits, with activations widened to them: the part of an image that the rows read, where
// that is less than what they read of it, else row by row.
func (p *PackedU8S8) runWide(s *scratch, a *rows[uint8], pad uint8, out *OutU8S8, r Range) {
	if a.ix != nil {
		lo, hi := a.ix.reach(r.M0, r.M1)
		if hi = min(hi+p.k, len(a.x)); hi-lo < (r.M1-r.M0)*p.taps*p.k {
			p.runWideImage(s, a, pad, out, r, lo, hi)
			return
		}
	}
	length := p.taps * p.kd * 4
	s.wide = grow(s.wide, wideRows*length)
	s.pad = grow(s.pad, p.k)
	fill(s.pad, pad)
	w := rows[int16]{x: s.wide, lda: length, k: length, taps: 1}
	for m := r.M0; m < r.M1; m += wideRows {
		end := min(r.M1, m+wideRows)
		p.widen(s, a, m, end)
		s.taps, s.kb = 1, length*2
		p.widePanels(s, &w, m, out, m, end, r)
	}
}

// runWideImage widens the elements lo to hi-1 of an image, and convolves them in place.
func (p *PackedU8S8) runWideImage(s *scratch, a *rows[uint8], pad uint8, out *OutU8S8, r Range, lo, hi int) {
	tap := p.kd * 4
	s.wide = grow(s.wide, hi+2*tap)
	padding := s.wide[hi+tap:]
	fill(padding, int16(pad))
	for at := lo; at < hi; at += callBudget {
		n := min(callBudget, hi-at)
		s.a, s.c, s.rows, s.taps, s.kb = unsafe.Pointer(&a.x[at]), unsafe.Pointer(&s.wide[at]), 1, 1, n
		s.setOffsets(0, 1)
		s.off, s.offRow = &s.offs[0], 4
		widenAVX2(&s.microArgs)
	}
	w := rows[int16]{x: s.wide, ix: a.ix, k: p.k, taps: p.taps}
	s.zero, s.taps, s.kb = unsafe.Pointer(&padding[0]), p.taps, tap*2
	step := blockRows(r.M1-r.M0, p.taps*s.kb, len(p.wide)*2)
	for m := r.M0; m < r.M1; m += step {
		p.widePanels(s, &w, 0, out, m, min(r.M1, m+step), r)
	}
}

// widePanels multiplies the rows m to end-1, of which row m is row m-base of w, by the panels in 16 bits.
func (p *PackedU8S8) widePanels(s *scratch, w *rows[int16], base int, out *OutU8S8, m, end int, r Range) {
	for pi := r.P0; pi < r.P1; pi++ {
		if p.panels[pi].wide {
			p.column(s, pi, out)
			tilesInt(p, s, w, base, pi, out, m, end)
		}
	}
}

// widen copies the rows m to end-1 of a to the wide block. Where k is no
// multiple of four, what lies between the taps meets zero weights.
func (p *PackedU8S8) widen(s *scratch, a *rows[uint8], m, end int) {
	s.zero, s.taps, s.kb = unsafe.Pointer(&s.pad[0]), p.taps, p.k
	s.ldc, s.cSkip = p.taps*p.kd*8, p.kd*8
	for i := m; i < end; i += spareRows {
		s.rows = min(spareRows, end-i)
		if a.ix == nil {
			s.setOffsets(a.lda, s.rows)
		}
		setRows(s, a, i, 1)
		s.c = unsafe.Pointer(&s.wide[(i-m)*p.taps*p.kd*4])
		widenAVX2(&s.microArgs)
	}
}
