package kernel

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"
)

// A PackedBlocksS8 is a weight of 2, 4 or 8 bits in blocks, for products with activations of eight
// bits that have a scale for each block too. It is read-only and may be shared.
type PackedBlocksS8 struct {
	shape
	level  Level
	bits   int
	block  int
	blocks int
	codes  []uint8 // [panel][k/16][dword][column] dwords: see put
	scale  *narrow // [panel][block][column]
	zero   []uint8 // the same, or one for all columns of a panel and all blocks
}

// blockMax is the longest block: the sum of its activations fits 16 bits.
const blockMax = 256

// unitS8 is the number of k that the kernels take at a time.
const unitS8 = 16

// PackBlocksS8 arranges a weight whose Codes are whole numbers of bits bits, each less its block's
// zero point in 0…255. It returns nil for blocks that the kernels do not take.
func (l Level) PackBlocksS8(w *BlockWeight, bits int) *PackedBlocksS8 {
	block := w.Block
	for block > blockMax && block%2 == 0 {
		block /= 2
	}
	if block%unitS8 != 0 || block > blockMax || 8%bits != 0 {
		return nil
	}
	p := &PackedBlocksS8{shape: shape{n: w.N, k: w.K, taps: 1, per: 1}, level: l, bits: bits, block: block}
	p.blocks = (w.K + block - 1) / block
	p.lanes = l.lanesS8()
	p.kd = p.blocks * block * bits / 8
	p.codes = aligned[uint8](p.cut(single(1)))
	w.codes(l, p.put)
	p.scale = narrowed(p.spread(w, w.Scale))
	p.zero = make([]uint8, p.lanes)
	if z := w.Zero; len(z) > 0 && slices.Min(z) == slices.Max(z) {
		fill(p.zero, uint8(z[0]))
	} else if z != nil {
		p.zero = wholeBytes(p.spread(w, z))
	}
	return p
}

// zeros returns the zero points of a panel, and how far it is from one block to the next.
func (p *PackedBlocksS8) zeros(pi int) (zero []uint8, step int) {
	if len(p.zero) == p.lanes {
		return p.zero, 0
	}
	return p.zero[pi*p.blocks*p.lanes:], p.lanes
}

func wholeBytes(v []float32) []uint8 {
	b := make([]uint8, len(v))
	for i, x := range v {
		b[i] = uint8(x)
	}
	return b
}

// put puts the codes of a column in place. A dword holds 32/bits neighbouring k of it: byte i the k that are i modulo 4, in
// ascending order.
func (p *PackedBlocksS8) put(j int, codes []uint8) {
	per := 32 / p.bits
	at, step := j/p.lanes*p.lanes*p.kd+j%p.lanes*4, 4*p.lanes
	for ; len(codes) >= per; codes, at = codes[per:], at+step {
		var v uint32
		switch p.bits {
		case 8:
			v = binary.LittleEndian.Uint32(codes)
		case 4:
			v = halvesJoined(codes, 4)
		default:
			v = halvesJoined(codes, 2) | halvesJoined(codes[8:], 2)<<4
		}
		binary.LittleEndian.PutUint32(p.codes[at:], v)
	}
	if len(codes) > 0 {
		v := uint32(0)
		for i, c := range codes {
			v |= uint32(c) << (i%4*8 + i/4*p.bits)
		}
		binary.LittleEndian.PutUint32(p.codes[at:], v)
	}
}

// halvesJoined puts four codes of some bits above the four in front of them.
func halvesJoined(codes []uint8, bits int) uint32 {
	x := binary.LittleEndian.Uint64(codes)
	return uint32(x) | uint32(x>>32)<<bits
}

// place is the byte of the code at column j and k, and its lowest bit there: see put.
func (p *PackedBlocksS8) place(j, k int) (at, shift int) {
	inDword := 32 / p.bits
	dword := k / inDword
	return j/p.lanes*p.lanes*p.kd + (dword*p.lanes+j%p.lanes)*4 + k%4, k % inDword / 4 * p.bits
}

// spread arranges what belongs to the blocks of w by panels, for blocks that may be shorter.
func (p *PackedBlocksS8) spread(w *BlockWeight, v []float32) []float32 {
	if p.block == w.Block {
		return byPanel(v, p.n, p.blocks, p.lanes)
	}
	full := make([]float32, p.n*p.blocks)
	for j := range p.n {
		for b := range p.blocks {
			full[j*p.blocks+b] = v[j*w.Blocks()+b*p.block/w.Block]
		}
	}
	return byPanel(full, p.n, p.blocks, p.lanes)
}

// RowBytes is what a row of activations takes as QuantizeRow writes it.
func (p *PackedBlocksS8) RowBytes() int { return p.blocks * (p.block + 8) }

// QuantizeRow writes a row of activations: for each block minus the sum of its codes, the codes, and
// their scale, a 127th of the largest magnitude.
func (p *PackedBlocksS8) QuantizeRow(dst []uint8, x []float32) {
	for b := range p.blocks {
		d := dst[b*(p.block+8):][:p.block+8]
		from := x[b*p.block : min((b+1)*p.block, p.k)]
		lo, hi := p.level.MinMax(from)
		scale := max(-lo, hi) / 127
		codes := signed(d[4:][:p.block])
		clear(codes)
		if scale > 0 {
			p.level.QuantizeS8(codes[:len(from)], from, scale, 0)
		}
		sum := int32(0)
		for _, c := range codes {
			sum -= int32(c)
		}
		binary.LittleEndian.PutUint32(d, uint32(sum))
		putFloat(d[4+p.block:], scale)
	}
}

// Gemm multiplies: row i of the output is row i of a times the weight, where a holds rows that
// QuantizeRow wrote. Sums of a block are exact; each is rounded to float32, times the rounded product
// of both scales, and added to the bias, block after block.
func (p *PackedBlocksS8) Gemm(a []uint8, out *OutF32, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	if len(a) < r.M1*p.RowBytes() {
		panic("kernel: input is too short")
	}
	out.check(p.n, r.M1)
	if !p.runFast(a, out, r) {
		p.runGeneric(a, out, r)
	}
}

// runGeneric is the meaning of Gemm.
func (p *PackedBlocksS8) runGeneric(a []uint8, out *OutF32, r Range) {
	buf := make([]float32, p.blocks*p.lanes)
	for pi := r.P0; pi < r.P1; pi++ {
		pn := p.panels[pi]
		scale := p.scale.part(p.level, buf, pi*len(buf))
		zero, step := p.zeros(pi)
		for i := r.M0; i < r.M1; i++ {
			row := a[i*p.RowBytes():][:p.RowBytes()]
			var acc [genericLanes]float32
			if out.Bias != nil {
				copy(acc[:], out.Bias[pn.n0:pn.n1])
			}
			for j := range pn.n1 - pn.n0 {
				for b := range p.blocks {
					sum, s := p.dot(row, pn.n0+j, b, int32(zero[b*step+j]))
					acc[j] += float32(float32(sum) * float32(scale[b*p.lanes+j]*s))
				}
			}
			out.store(acc[:pn.n1-pn.n0], i, pn.n0)
		}
	}
}

// dot is the sum over a block of column j, and the scale of the activations.
func (p *PackedBlocksS8) dot(row []uint8, j, b int, zero int32) (sum int32, scale float32) {
	d := row[b*(p.block+8):][:p.block+8]
	sum = zero * int32(binary.LittleEndian.Uint32(d))
	for i, c := range signed(d[4:][:p.block]) {
		at, shift := p.place(j, b*p.block+i)
		sum += int32(c) * int32(p.codes[at]>>shift&(1<<p.bits-1))
	}
	return sum, getFloat(d[4+p.block:])
}

func putFloat(b []uint8, v float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(v)) }

func getFloat(b []uint8) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// signed views bytes as int8.
func signed(b []uint8) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}
