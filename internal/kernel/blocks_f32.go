package kernel

import (
	"encoding/binary"
	"unsafe"
)

// A PackedBlocksF32 is a weight of few bits, for products with float32. It is decoded as it is used, so
// that memory is read in the bits that are stored. It is read-only and may be shared.
type PackedBlocksF32 struct {
	shape
	level  Level
	kind   CodeKind
	block  int // k that share a scale; no more than k
	rows   int // k of a panel as they are stored: each block has whole units
	width  int // columns of a panel
	codes  []uint8
	halves []uint16
	marks  [16]float32
	scale  *narrow // [panel][block][column]; nil: none
	zero   *narrow // the same; nil: none
}

// chunkK is about how many k are decoded at a time: with 64 columns they stay in a core's own cache.
const chunkK = 256

// PackBlocksF32 arranges a weight for products under this level. It returns nil where blocks are no
// whole numbers of the units that the kernels take.
func (l Level) PackBlocksF32(w *BlockWeight) *PackedBlocksF32 {
	row := codeRows[w.Kind]
	p := &PackedBlocksF32{shape: shape{n: w.N, k: w.K, taps: 1, per: 1}, level: l, kind: w.Kind, block: min(w.Block, w.K)}
	if w.K == 0 || p.block < w.K && p.block%row.unit != 0 {
		return nil
	}
	p.lanes, p.width = l.lanesBlocks()
	p.rows = p.blocks() * p.block
	p.rows = (p.rows + row.unit - 1) / row.unit * row.unit
	p.kd = p.rows
	p.cut(single(p.width / p.lanes))
	size := len(p.panels) * p.width * p.rows
	if row.bits == 16 {
		p.halves = aligned[uint16](size)
	} else {
		p.codes = aligned[uint8](size * row.bits / 8)
	}
	p.fill(w)
	for i := range p.marks {
		if len(w.Marks) > 0 {
			p.marks[i] = w.Marks[i%len(w.Marks)]
		}
	}
	if w.Scale != nil {
		scale := w.Scale
		if w.Kind == KindE4M3 { // the kernels read codes as a 256th
			scale = make([]float32, len(w.Scale))
			for i, v := range w.Scale {
				scale[i] = v * 256
			}
		}
		p.scale = narrowed(byPanel(scale, p.n, p.blocks(), p.width))
	}
	if w.Zero != nil {
		p.zero = narrowed(byPanel(w.Zero, p.n, p.blocks(), p.width))
	}
	return p
}

func (p *PackedBlocksF32) blocks() int { return (p.k + p.block - 1) / p.block }

// fill stores the codes: those of eight bits and more as rows of a panel, smaller ones as dwords that hold neighbouring k, the
// first in the low bits.
func (p *PackedBlocksF32) fill(w *BlockWeight) {
	switch bits := codeRows[p.kind].bits; bits {
	case 16:
		for n := 0; n < p.n; n += p.width {
			panel, count := p.halves[n*p.rows:], min(p.width, p.n-n)
			if !w.Turned {
				TransposePitch(p.level, panel, w.Halves[w.at(n, 0):], count, p.k, p.width, w.pitch())
				continue
			}
			for k := range p.k {
				copy(panel[k*p.width:], w.Halves[w.at(n, k):][:count])
			}
		}
	case 8:
		w.codePanels(p.level, p.width, func(n int, codes []uint8) {
			TransposePitch(p.level, p.codes[n*p.rows:], codes, len(codes)/p.k, p.k, p.width, p.k)
		})
	default:
		if p.fillDwords(w, bits) {
			return
		}
		w.codes(p.level, func(n int, codes []uint8) {
			panel := p.codes[n/p.width*p.width*p.rows*bits/8:][n%p.width*4:]
			for ; len(codes) > 0; codes = codes[min(32/bits, len(codes)):] {
				binary.LittleEndian.PutUint32(panel, dwordOf(codes, bits))
				panel = panel[min(len(panel), p.width*4):]
			}
		})
	}
}

// fillDwords stores codes whose columns are stored as whole dwords already; false where they are not.
func (p *PackedBlocksF32) fillDwords(w *BlockWeight, bits int) bool {
	per := 32 / bits
	if w.Turned || w.codeBits() != bits || w.K%per != 0 || w.pitch()*bits%8 != 0 {
		return false
	}
	each := w.K / per
	words := make([]uint32, p.width*each)
	lines := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))
	flip := uint32(w.Flip) * ((1<<32 - 1) / (1<<bits - 1))
	for n := 0; n < p.n; n += p.width {
		count := min(p.width, p.n-n)
		for i := range count {
			copy(lines[4*i*each:][:4*each], w.Codes[(n+i)*w.pitch()*bits/8:])
		}
		if flip != 0 {
			for i := range words {
				words[i] ^= flip
			}
		}
		TransposePitch(p.level, dwords(p.codes, 4)[n*p.rows/per:], words, count, each, p.width, each)
	}
	return true
}

// dwordOf is a dword of the first codes of a list.
func dwordOf(codes []uint8, bits int) uint32 {
	if len(codes) < 32/bits {
		codes = append(make([]uint8, 0, 16), codes...)[:32/bits]
	}
	v := joinBits(binary.LittleEndian.Uint64(codes), bits)
	if bits == 2 {
		v |= joinBits(binary.LittleEndian.Uint64(codes[8:]), bits) << 16
	}
	return uint32(v)
}

// chunk is the end of the chunk that begins at k: whole blocks, or a piece of one.
func (p *PackedBlocksF32) chunk(k int) int {
	if p.block >= chunkK {
		return min(k+chunkK, (k/p.block+1)*p.block, p.k)
	}
	return min(k+chunkK/p.block*p.block, p.k)
}

// Gemm multiplies: row i of the output is a[i*lda:][:K] times the weight. Sums are taken over chunks of
// k and then added, with the bias in the first of them.
func (p *PackedBlocksF32) Gemm(a []float32, lda int, out *OutF32, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	in := rows[float32]{x: a, lda: lda, k: p.k, taps: 1}
	in.check(r.M1)
	out.check(p.n, r.M1)
	s := getBlockSums()
	defer s.free()
	for pi := r.P0; pi < r.P1; pi++ {
		s.factors(p, pi)
		for k := 0; k < p.k; k = p.chunk(k) {
			if !p.runFast(s, &in, out, pi, k, r) {
				p.runGeneric(s, &in, out, pi, k, r)
			}
		}
	}
}

// part is the output of the chunk at k: it goes on from what is there.
func (o *OutF32) part(k, end, all int) OutF32 {
	c := *o
	if k > 0 {
		c.Bias, c.Add, c.LdAdd = nil, o.C, o.Ldc
	}
	if end < all {
		c.Min, c.Max = 0, 0
	}
	return c
}

// runGeneric is the meaning of Gemm, for a chunk of a panel.
func (p *PackedBlocksF32) runGeneric(s *blockSums, a *rows[float32], out *OutF32, pi, k int, r Range) {
	pn, end := p.panels[pi], p.chunk(k)
	part := out.part(k, end, p.k)
	w := room(s.w, (end-k)*p.width)
	s.w = w
	for i := range end - k {
		p.decode(w[i*p.width:][:p.width], s, pi, k+i)
	}
	for i := r.M0; i < r.M1; i++ {
		var acc [genericLanes]float32
		if part.Bias != nil {
			copy(acc[:], part.Bias[pn.n0:pn.n1])
		}
		for j, v := range a.x[i*a.lda+k:][:end-k] {
			addScaled(acc[:], v, w[j*p.width:])
		}
		part.store(acc[:pn.n1-pn.n0], i, pn.n0)
	}
}

// decode writes the weights of a panel at one k.
func (p *PackedBlocksF32) decode(w []float32, s *blockSums, pi, k int) {
	b := k / p.block * p.width
	at := pi*p.width*p.rows + k*p.width
	for j := range w {
		switch bits := codeRows[p.kind].bits; bits {
		case 16:
			w[j] = decodeF16(p.halves[at+j])
			continue
		case 8:
			w[j] = p.byteMark(p.codes[at+j])
		default:
			per := 32 / bits
			bit := k % per * bits
			c := p.codes[pi*p.width*p.rows*bits/8+(k/per*p.width+j)*4+bit/8]
			w[j] = p.marks[c>>(bit%8)&(1<<bits-1)]
		}
		if s.zero != nil {
			w[j] -= s.zero[b+j]
		}
		w[j] = float32(w[j] * s.scale[b+j])
	}
}

// byteMark is what a code of eight bits means to the kernels.
func (p *PackedBlocksF32) byteMark(c uint8) float32 {
	switch p.kind {
	case KindE4M3:
		return decodeE4M3(c) / 256
	case KindE5M2:
		return decodeF16(uint16(c) << 8)
	}
	return float32(int8(c))
}
