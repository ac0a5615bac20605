//go:build amd64 && !purego

package kernel

import (
	"sync"
	"unsafe"
)

// blockArgs is the argument of the kernels in _asm/blocks_s8.go, which know its layout.
type blockArgs struct {
	codes  unsafe.Pointer
	scale  unsafe.Pointer
	zero   unsafe.Pointer
	step   int // bytes from block to block of zero points
	a      unsafe.Pointer
	lda    int            // bytes
	init   unsafe.Pointer // what the sums start at
	dst    unsafe.Pointer // rows of one vector
	blocks int
	units  int // of 16 k in a block
}

// blockKernel is one body: so many rows by one vector of columns.
type blockKernel struct {
	mr int
	fn func(*blockArgs)
}

// blocksVNNI and blocksAVX2 hold the bodies by bits, tallest first.
var (
	blocksVNNI = map[int][]blockKernel{
		2: {{8, blocksS8VNNI2x8}, {4, blocksS8VNNI2x4}, {2, blocksS8VNNI2x2}, {1, blocksS8VNNI2x1}},
		4: {{8, blocksS8VNNI4x8}, {4, blocksS8VNNI4x4}, {2, blocksS8VNNI4x2}, {1, blocksS8VNNI4x1}},
		8: {{8, blocksS8VNNI8x8}, {4, blocksS8VNNI8x4}, {2, blocksS8VNNI8x2}, {1, blocksS8VNNI8x1}},
	}
	blocksAVX2 = map[int][]blockKernel{
		2: {{4, blocksS8AVX22x4}, {2, blocksS8AVX22x2}, {1, blocksS8AVX22x1}},
		4: {{4, blocksS8AVX24x4}, {2, blocksS8AVX24x2}, {1, blocksS8AVX24x1}},
		8: {{2, blocksS8AVX28x2}, {1, blocksS8AVX28x1}},
	}
)

// lanesS8 is the width of a panel.
func (l Level) lanesS8() int {
	if l.use(VNNI) || !l.use(AVX2) {
		return 16
	}
	return 8
}

func (p *PackedBlocksS8) kernels() []blockKernel {
	switch {
	case p.level.use(VNNI):
		return blocksVNNI[p.bits]
	case p.level.use(AVX2):
		return blocksAVX2[p.bits]
	}
	return nil
}

// blockScratch is what a run needs beside its arguments.
type blockScratch struct {
	blockArgs
	bias    [16]float32
	tile    [8 * 16]float32
	factors []float32
}

var blockScratches = sync.Pool{New: func() any { return new(blockScratch) }}

func (p *PackedBlocksS8) runFast(a []uint8, out *OutF32, r Range) bool {
	ks := p.kernels()
	if ks == nil {
		return false
	}
	s := blockScratches.Get().(*blockScratch)
	s.factors = grow(s.factors, p.blocks*p.lanes)
	s.blocks, s.units, s.lda, s.dst = p.blocks, p.block/unitS8, p.RowBytes(), unsafe.Pointer(&s.tile)
	for pi := r.P0; pi < r.P1; pi++ {
		p.column(s, pi, out)
		for m := r.M0; m < r.M1; {
			k := ks[0]
			for _, c := range ks {
				if k = c; c.mr <= r.M1-m {
					break
				}
			}
			s.a = unsafe.Pointer(&a[m*s.lda])
			k.fn(&s.blockArgs)
			pn := p.panels[pi]
			for i := range k.mr {
				out.store(s.tile[i*p.lanes:][:pn.n1-pn.n0], m+i, pn.n0)
			}
			m += k.mr
		}
	}
	s.blockArgs = blockArgs{}
	blockScratches.Put(s)
	return true
}

// column points s at what belongs to a panel.
func (p *PackedBlocksS8) column(s *blockScratch, pi int, out *OutF32) {
	pn := p.panels[pi]
	scale := p.scale.part(p.level, s.factors, pi*len(s.factors))
	zero, step := p.zeros(pi)
	s.codes, s.blockArgs.scale, s.step = unsafe.Pointer(&p.codes[pn.off]), unsafe.Pointer(&scale[0]), step
	s.zero = unsafe.Pointer(&zero[0])
	s.init = unsafe.Pointer(&zeros)
	if out.Bias != nil {
		s.init = vectors(out.Bias, pn.n0, pn.n1, p.lanes, s.bias[:])
	}
}
