package kernel

// PackedNarrow is an int8 weight whose products with codes from 0 to some number are summed up in
// 16 bits over a few dwords before they are widened: for weights of few bits, on levels that have no
// instruction for the dot product of bytes. Results are those of [PackedU8S8].
type PackedNarrow struct {
	*PackedU8S8
	whole *PackedU8S8 // for the panels that do not fit; nil: all do
	fits  []bool      // by panel
}

// narrowSpans lists over how many dwords sums may stay in 16 bits, the fastest first.
var narrowSpans = []int{8, 2}

// PackNarrow arranges a weight as [Level.PackU8S8] does, for codes up to most. It returns nil where
// that form is the faster one: the level has better instructions, or sums would not fit.
func (l Level) PackNarrow(w []int8, n, k, taps int, o Order, most uint8) *PackedNarrow {
	for _, span := range narrowSpans {
		if (k+3)/4%span != 0 || k == 0 {
			continue
		}
		p := l.packSpan(w, n, k, taps, o, span)
		if p == nil {
			return nil
		}
		wide := 0
		for i := range p.fits {
			if p.fits[i] = p.panelFits(i, span, int(most)); !p.fits[i] {
				wide++
			}
		}
		if wide*4 > len(p.fits) || wide > 0 && span > 2 {
			continue
		}
		if wide > 0 {
			p.whole = l.PackU8S8(w, n, k, taps, o)
		}
		return p
	}
	return nil
}

// panelFits says whether no sum over span dwords leaves 16 bits: in each half of a dword two weights.
func (p *PackedNarrow) panelFits(i, span, most int) bool {
	pn := p.panels[i]
	width := pn.nv * p.lanes * 4
	data := p.data[pn.off:][:p.taps*p.kd*width]
	for ; len(data) > 0; data = data[span*width:] {
		for at := 0; at < width; at += 2 {
			above, below := 0, 0
			for d := range span {
				for _, v := range data[d*width+at:][:2] {
					above, below = above+max(int(v), 0), below+min(int(v), 0)
				}
			}
			if above*most > 1<<15-1 || below*most < -1<<15 {
				return false
			}
		}
	}
	return true
}

// Gemm is [PackedU8S8.Gemm].
func (p *PackedNarrow) Gemm(a []uint8, lda int, out *OutU8S8, r Range) {
	p.each(r, func(w *PackedU8S8, r Range) { w.Gemm(a, lda, out, r) })
}

// Conv is [PackedU8S8.Conv].
func (p *PackedNarrow) Conv(x []uint8, pad uint8, ix *Indirect, out *OutU8S8, r Range) {
	p.each(r, func(w *PackedU8S8, r Range) { w.Conv(x, pad, ix, out, r) })
}

// each calls f for neighbouring panels that share a form.
func (p *PackedNarrow) each(r Range, f func(w *PackedU8S8, r Range)) {
	for r.P0 < r.P1 {
		part := r
		for part.P1 = r.P0 + 1; part.P1 < r.P1 && p.fits[part.P1] == p.fits[r.P0]; part.P1++ {
		}
		if p.fits[r.P0] {
			f(p.PackedU8S8, part)
		} else {
			f(p.whole, part)
		}
		r.P0 = part.P1
	}
}
