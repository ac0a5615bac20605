//go:build amd64 && !purego

package kernel

import "unsafe"

// decodeArgs is the argument of the kernels in _asm/blocks_f32.go, which know its layout.
type decodeArgs struct {
	codes  unsafe.Pointer
	scale  unsafe.Pointer // a panel's width for each block
	zero   unsafe.Pointer
	marks  unsafe.Pointer
	x      unsafe.Pointer // the row
	init   unsafe.Pointer // what its sums start at
	dst    unsafe.Pointer // decoded weights, or the sums that the row's are added to
	blocks int
	units  int // of each block
}

// decoder holds the bodies for one kind: of AVX-512 and AVX2.
type decoder struct{ decode, row variants[func(*decodeArgs)] }

func decoders(decodeZ, decodeY, rowZ, rowY func(*decodeArgs)) decoder {
	return decoder{both(decodeZ, decodeY), both(rowZ, rowY)}
}

// decoderOf holds the bodies by kind, without zero points and with them.
var decoderOf = [numKinds][2]decoder{
	KindMarks4: {
		decoders(decodeMarks4AVX512, decodeMarks4AVX2, rowMarks4AVX512, rowMarks4AVX2),
		decoders(decodeMarks4ZeroAVX512, decodeMarks4ZeroAVX2, rowMarks4ZeroAVX512, rowMarks4ZeroAVX2),
	},
	KindMarks2: {
		decoders(decodeMarks2AVX512, decodeMarks2AVX2, rowMarks2AVX512, rowMarks2AVX2),
		decoders(decodeMarks2ZeroAVX512, decodeMarks2ZeroAVX2, rowMarks2ZeroAVX512, rowMarks2ZeroAVX2),
	},
	KindS8: {
		decoders(decodeS8AVX512, decodeS8AVX2, rowS8AVX512, rowS8AVX2),
		decoders(decodeS8ZeroAVX512, decodeS8ZeroAVX2, rowS8ZeroAVX512, rowS8ZeroAVX2),
	},
	KindE4M3: {decoders(decodeE4M3AVX512, decodeE4M3AVX2, rowE4M3AVX512, rowE4M3AVX2)},
	KindE5M2: {decoders(decodeE5M2AVX512, decodeE5M2AVX2, rowE5M2AVX512, rowE5M2AVX2)},
	KindF16:  {decoders(decodeF16BlocksAVX512, decodeF16BlocksAVX2, rowF16BlocksAVX512, rowF16BlocksAVX2)},
}

// lanesBlocks gives the columns of a vector and of a panel.
func (l Level) lanesBlocks() (lanes, width int) {
	switch {
	case l.use(AVX512):
		return 16, 64
	case l.use(AVX2):
		return 8, 16
	}
	return genericLanes, genericLanes
}

// decodedRows is the number of rows from which decoding a chunk to memory pays.
const decodedRows = 4

// runFast does a chunk of a panel; it returns false where the level has no assembly.
func (p *PackedBlocksF32) runFast(s *blockSums, a *rows[float32], out *OutF32, pi, k int, r Range) bool {
	d := &decoderOf[p.kind][0]
	if p.zero != nil {
		d = &decoderOf[p.kind][1]
	}
	decode, ok := d.decode.pick(p.level)
	if !ok {
		return false
	}
	end := p.chunk(k)
	whole := p.point(s, pi, k, end)
	part := out.part(k, end, p.k)
	if row, _ := d.row.pick(p.level); whole && r.M1-r.M0 < decodedRows {
		for m := r.M0; m < r.M1; m++ {
			s.args.x = unsafe.Pointer(&a.x[m*a.lda+k])
			p.row(s, row, &part, p.panels[pi], m)
		}
		return true
	}
	s.w = grow(s.w, (chunkK+16)*p.width)
	s.args.dst = unsafe.Pointer(&s.w[0])
	decode(&s.args)
	p.multiply(s.w, &rows[float32]{x: a.x[k:], lda: a.lda, k: end - k, taps: 1}, &part, p.panels[pi], r)
	return true
}

// point aims the arguments at a chunk and says whether it has whole units.
func (p *PackedBlocksF32) point(s *blockSums, pi, k, end int) bool {
	row := codeRows[p.kind]
	at := (pi*p.width*p.rows + k*p.width) * row.bits / 8
	if row.bits == 16 {
		s.args.codes = unsafe.Pointer(&p.halves[at/2])
	} else {
		s.args.codes = unsafe.Pointer(&p.codes[at])
	}
	b := k / p.block
	if p.scale != nil {
		s.args.scale = unsafe.Pointer(&s.scale[b*p.width])
	}
	if p.zero != nil {
		s.args.zero = unsafe.Pointer(&s.zero[b*p.width])
	}
	s.args.marks = unsafe.Pointer(&p.marks)
	if p.block >= chunkK || p.block == p.k {
		s.args.blocks, s.args.units = 1, (end-k+row.unit-1)/row.unit
		return (end-k)%row.unit == 0
	}
	s.args.blocks, s.args.units = (end-k+p.block-1)/p.block, p.block/row.unit
	return (end-k)%p.block == 0
}

// row multiplies row m, with the arithmetic of the kernels of gemm_f32.
func (p *PackedBlocksF32) row(s *blockSums, fn func(*decodeArgs), out *OutF32, pn panel, m int) {
	cols := pn.n1 - pn.n0
	s.args.init = unsafe.Pointer(&zeros)
	if out.Bias != nil {
		s.args.init = vectors(out.Bias, pn.n0, pn.n1, p.width, s.bias[:])
	}
	s.args.dst = unsafe.Pointer(&s.sums)
	if s.sums = negZeros; out.Add != nil {
		copy(s.sums[:cols], out.Add[m*out.LdAdd+pn.n0:])
	}
	fn(&s.args)
	c := out.C[m*out.Ldc+pn.n0:][:cols]
	if out.Min == out.Max {
		copy(c, s.sums[:])
		return
	}
	only := OutF32{C: c, Min: out.Min, Max: out.Max}
	only.store(s.sums[:cols], 0, 0)
}

// multiply does rows of a panel with its weights decoded.
func (p *PackedBlocksF32) multiply(w []float32, a *rows[float32], out *OutF32, pn panel, r Range) {
	s := scratches.Get().(*scratch)
	s.setSums(1, a.k)
	s.ldc, s.ldAdd = out.Ldc*4, out.LdAdd*4
	s.lo, s.hi = out.bounds()
	s.columns(pn.n1 - pn.n0)
	s.b, s.next, s.nextLen = unsafe.Pointer(&w[0]), unsafe.Pointer(&w[0]), a.k*p.width*4
	s.zero, s.bias = unsafe.Pointer(&zeros), unsafe.Pointer(&zeros)
	if out.Bias != nil {
		s.bias = vectors(out.Bias, pn.n0, pn.n1, p.width, s.biasF32[:])
	}
	over(s, a, p.level.microF32()[p.width/p.lanes], r.M0, r.M1, func(m int) {
		s.c = unsafe.Pointer(&out.C[m*out.Ldc+pn.n0])
		s.add = nil
		if out.Add != nil {
			s.add = unsafe.Pointer(&out.Add[m*out.LdAdd+pn.n0])
		}
	})
	s.microArgs = microArgs{}
	scratches.Put(s)
}
