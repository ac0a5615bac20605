package kernel

import "math/bits"

// PackedBits is a weight of ±1, arranged for the kernels of one level, to be multiplied by
// activations of ±1. It is read-only and may be shared.
//
// The rows of the left side are packed by [PackedBits.PackRows]: what they look like belongs to
// the level, a row has [PackedBits.RowBytes]. A product of two signs is their exclusive or, so
// with c channels a tap within the image adds c − 2·popcount(x xor w), and padding adds
// nothing (Rastegari et al., XNOR-Net, 2016, section 3.2).
type PackedBits struct {
	shape
	level Level
	words []uint32  // [panel][tap][dword][column]: bit 1 is −1
	set   *microSet // bodies that count bits; nil: others
	look  *lookup   // nil: the level has no use for tables
}

// PackBits arranges the weight w(n, tap, k), all of it 1 or −1, for this level.
func (l Level) PackBits(w []int8, n, k, taps int, o Order) *PackedBits {
	p := &PackedBits{shape: shape{n: n, k: k, taps: taps, kd: (k + 31) / 32, per: 1}, level: l}
	p.pack(w, o)
	return p
}

// bitsChannels is how many channels fill the words of bits well enough to outrun bytes.
const bitsChannels = 64

// Tiles of bytes outrun bits from so many multiply-adds on, unless so few rows share weights that leave a second cache.
const (
	tilesWork    = 1 << 22
	tilesNear    = 2 << 20
	tilesRows    = 16
	tilesRowsFar = 256
)

// FastBits says whether this level multiplies m rows of signs of k channels at some taps by n columns faster by [PackedBits] than by
// [PackedU8S8]. Tiles are the faster ones only where they read all rows in place.
func (l Level) FastBits(m, n, k, taps int, inPlace bool) bool {
	switch {
	case !l.use(AVX2):
		return true
	case k < bitsChannels:
		return false
	}
	rows := tilesRows
	if n*k*taps > tilesNear {
		rows = tilesRowsFar
	}
	return !l.use(AMX) || !inPlace || m < rows || m*n*k*taps < tilesWork
}

// Signs sets dst[i] = 0 where x[i] is below zero, else 2: codes of −1 and 1 whose zero point is 1.
func (l Level) Signs(dst []uint8, x []float32) {
	x = x[:len(dst)]
	f, m := signsAsm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &x[0], m)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = 2
		if x[i] < 0 {
			dst[i] = 0
		}
	}
}

// signsFn is an assembly body of [Level.Signs].
type signsFn func(dst *uint8, x *float32, n int)

// packWords fills in the words of panels of some widths.
func (p *PackedBits) packWords(w []int8, o Order, widths func(int) []int) {
	p.words = aligned[uint32](p.cut(widths))
	for _, pn := range p.panels {
		width := pn.nv * p.lanes
		for tap := range p.taps {
			dst := p.words[pn.off+tap*p.kd*width:]
			for j := range pn.n1 - pn.n0 {
				src := w[(pn.n0+j)*o.N+tap*o.Tap:]
				for k := range p.k {
					dst[k/32*width+j] |= uint32(uint8(src[k*o.K])>>7) << (k % 32)
				}
			}
		}
	}
}

// RowBytes is the number of bytes of a packed row.
func (p *PackedBits) RowBytes() int {
	if p.look != nil {
		return p.look.rowBytes()
	}
	return p.kd * 4
}

// PackRows packs rows of k codes that lie pitch apart, 0 for −1 and any other code for 1.
func (p *PackedBits) PackRows(dst, x []uint8, pitch, rows int) {
	size := p.RowBytes()
	if pitch == p.k && p.k%32 == 0 && p.level.use(AVX2) { // rows leave no gap, before or after
		dst, x = dst[:rows*size], x[:rows*p.k]
		spans(rows, max(1, callMax/p.k), func(i, n int) { p.packRowFast(dst[i*size:], x[i*p.k:][:n*p.k]) })
		return
	}
	for i := range rows {
		row, codes := dst[i*size:][:size], x[i*pitch:][:p.k]
		done := p.packRowFast(row, codes)
		if p.look != nil {
			p.look.packSigns(row, codes, done)
			continue
		}
		clear(row[done/8:])
		for k := done; k < p.k; k++ {
			if codes[k] == 0 {
				row[k/8] |= 1 << (k % 8)
			}
		}
	}
}

// Gemm multiplies packed rows, one behind the other, by the weight, which has one tap.
func (p *PackedBits) Gemm(a []uint8, out *OutU8S8, r Range) {
	p.run(rows[uint8]{x: a, lda: p.RowBytes(), k: p.RowBytes(), taps: 1}, out, r)
}

// Conv convolves one image of packed pixels, whose geometry ix has the pitch RowBytes.
func (p *PackedBits) Conv(x []uint8, ix *Indirect, out *OutU8S8, r Range) {
	p.run(rows[uint8]{x: x, ix: ix, k: p.RowBytes(), taps: p.taps}, out, r)
}

func (p *PackedBits) run(a rows[uint8], out *OutU8S8, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	a.check(r.M1)
	out.check(p.n, r.M1)
	if !p.runFast(&a, out, r) {
		p.runGeneric(a, out, r)
	}
}

// runGeneric is the meaning of Gemm and Conv.
func (p *PackedBits) runGeneric(a rows[uint8], out *OutU8S8, r Range) {
	for _, pn := range p.panels[r.P0:r.P1] {
		for i := r.M0; i < r.M1; i++ {
			var acc [genericLanes]int32
			if out.Bias != nil {
				copy(acc[:], out.Bias[pn.n0:pn.n1])
			}
			for tap := range p.taps {
				if a.padded(i, tap) {
					continue
				}
				x, w := a.row(i, tap), p.words[pn.off+tap*p.kd*genericLanes:]
				for j := range acc {
					acc[j] += int32(p.k - 2*p.differences(x, w[j:]))
				}
			}
			out.store(acc[:pn.n1-pn.n0], i, pn.n0)
		}
	}
}

// differences counts the signs of a row and a column that differ.
func (p *PackedBits) differences(x []uint8, w []uint32) (n int) {
	for d := range p.kd {
		v := uint32(x[d*4]) | uint32(x[d*4+1])<<8 | uint32(x[d*4+2])<<16 | uint32(x[d*4+3])<<24
		n += bits.OnesCount32(v ^ w[d*genericLanes])
	}
	return n
}

// packGeneric keeps one word after the other.
func (p *PackedBits) packGeneric(w []int8, o Order) {
	p.lanes = genericLanes
	p.packWords(w, o, single(1))
}

// padded says whether row i reads padding at a tap.
func (a *rows[T]) padded(i, tap int) bool { return a.ix != nil && a.ix.off[i*a.taps+tap] < 0 }

// within counts the taps of a row that lie in the image.
func (a *rows[T]) within(i int) int32 {
	n := int32(a.taps)
	if a.ix != nil && !a.ix.inside {
		for _, o := range a.ix.off[i*a.taps:][:a.taps] {
			n += o >> 31 // -1 below 0
		}
	}
	return n
}
