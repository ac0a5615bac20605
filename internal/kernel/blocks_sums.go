package kernel

import "sync"

// blockSums is what products with decoded weights need for a short time.
type blockSums struct {
	w           []float32 // decoded weights
	scale, zero []float32 // of a panel
	scaleBuf    []float32
	zeroBuf     []float32
	sums        [64]float32 // of one row
	bias        [64]float32
	args        decodeArgs
}

var blockSumsPool = sync.Pool{New: func() any { return new(blockSums) }}

func getBlockSums() *blockSums { return blockSumsPool.Get().(*blockSums) }

func (s *blockSums) free() {
	s.args, s.scale, s.zero = decodeArgs{}, nil, nil
	blockSumsPool.Put(s)
}

// factors reads the scales and zero points of a panel.
func (s *blockSums) factors(p *PackedBlocksF32, pi int) {
	n := p.blocks() * p.width
	s.scaleBuf, s.zeroBuf = room(s.scaleBuf, n), room(s.zeroBuf, n)
	if p.scale != nil {
		s.scale = p.scale.part(p.level, s.scaleBuf, pi*n)
	}
	if s.zero = nil; p.zero != nil {
		s.zero = p.zero.part(p.level, s.zeroBuf, pi*n)
	}
}

// room gives n floats, reusing v.
func room(v []float32, n int) []float32 {
	if cap(v) < n {
		return aligned[float32](n)
	}
	return v[:n]
}
