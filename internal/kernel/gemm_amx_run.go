//go:build amd64 && !purego

package kernel

import "unsafe"

// amxArgs is the argument of the AMX kernels in _asm/amx.go.
type amxArgs struct {
	cfg       *tileConfig
	a         unsafe.Pointer
	off       *[2]int32 // for each tap, the bytes from a to the rows of the two tiles
	lda       int       // bytes
	taps      int
	steps     int // of 64 bytes in a tap
	b         unsafe.Pointer
	blocks    int            // of 32 columns
	sums      unsafe.Pointer // amxSums elements
	bias      unsafe.Pointer
	biasStep  int // bytes from block to block: 128, or 0 where one block stands for all
	scale     unsafe.Pointer
	scaleStep int
	shift     unsafe.Pointer
	shiftStep int
	c         unsafe.Pointer
	ldc       int // bytes
	cStep     int // bytes from block to block
	rows      int
	mask      uint64 // columns of the last block
	kind      int
	hi        float32
	z         uint32
	qlo       uint32
	qhi       uint32
	flip      uint32
	second    int // bytes from the sums of the first tile to those of the second
}

// tileConfig is the operand of LDTILECFG.
type tileConfig struct {
	palette  byte
	_        [15]byte // the start row, which a restart sets, and reserved bytes
	rowBytes [16]uint16
	rows     [16]byte
}

// fullTiles makes all eight tiles 16 rows of 64 bytes.
var fullTiles = func() tileConfig {
	c := tileConfig{palette: 1}
	for i := range 8 {
		c.rowBytes[i], c.rows[i] = 64, tileHeight
	}
	return c
}()

const (
	tileHeight = 16
	amxRows    = 2 * tileHeight
	amxSums    = amxRows*32 + 32 // int32 of a block, and its bias

	// amxBudget bounds the bytes of B that take their turn with all rows: half of
	// a second cache, which one call reads within 100 µs.
	amxBudget = 1 << 20
)

// amxKernels multiply up to 16 and 32 rows; tests put Go in their place.
var amxKernels = [2]func(*amxArgs){gemmAMX16, gemmAMX32}

// fillsTiles says whether a block of 32 columns is enough work for tiles: vectors
// are faster at shorter sums.
func (s *shape) fillsTiles() bool { return s.taps*s.k*min(s.n, 32) >= 32*48 }

// packAMX writes [32 columns][64 bytes of a row][2 tiles][16 dwords][16 columns].
func (p *PackedU8S8) packAMX(w []int8, o Order) {
	p.lanes, p.per, p.kd = 16, 4, (p.k+3)/4
	p.tiles = (p.taps*p.kd + 15) / 16
	blocks := (p.n + 31) / 32
	p.data = aligned[int8](blocks * p.tiles * 2048)
	p.panels = nil
	for i := range blocks {
		p.panels = append(p.panels, panel{n0: i * 32, n1: min(p.n, i*32+32), nv: 2, off: i * p.tiles * 2048})
	}
	for j := range p.n {
		column := p.data[j/32*p.tiles*2048+j%32/16*1024+j%16*4:]
		for tap := range p.taps {
			src := w[j*o.N+tap*o.Tap:]
			for k := range p.k {
				dword := tap*p.kd + k/4
				column[dword/16*2048+dword%16*64+k%4] = src[k*o.K]
			}
		}
	}
}

// runAMX takes 32 rows at a time through all columns: the rows stay in the
// first cache, and each result line is written once.
func (p *PackedU8S8) runAMX(s *scratch, a *rows[uint8], pad uint8, out *OutU8S8, r Range) {
	length := p.tiles * 64
	s.block = grow(s.block, amxRows*length+64)
	s.pad = grow(s.pad, p.kd*4+64)
	fill(s.pad, pad)
	s.amxOutput()
	t := &s.amx
	t.taps, t.steps, t.off = 1, p.tiles, &s.taps2
	most := r.P1 - r.P0
	if r.M1-r.M0 > 2*amxRows {
		most = max(1, amxBudget/(p.tiles*2048))
	}
	for p0 := r.P0; p0 < r.P1; p0 += most {
		p1 := min(r.P1, p0+most)
		p.amxColumns(s, out, p0, p1)
		for m := r.M0; m < r.M1; m += amxRows {
			n := min(amxRows, r.M1-m)
			if a.ix == nil && (m+n-1)*a.lda+length <= cap(a.x) {
				t.a, t.lda = unsafe.Pointer(&a.x[m*a.lda]), a.lda
			} else {
				p.gather(s, a, m, n)
				t.a, t.lda = unsafe.Pointer(&s.block[0]), length
			}
			s.taps2 = [2]int32{0, int32(tileHeight * t.lda)}
			s.amxRows(out, m, p.panels[p0].n0, min(n, tileHeight), max(0, n-tileHeight))
		}
	}
	s.amx = amxArgs{}
}

// amxOutput fills in what does not depend on rows and columns.
func (s *scratch) amxOutput() {
	s.sums = grow(s.sums, amxSums)
	s.amx = amxArgs{sums: unsafe.Pointer(&s.sums[0]), kind: s.kind, hi: s.hi, z: s.z, qlo: s.qlo, qhi: s.qhi, flip: s.flip}
}

// amxColumns points at the weights and factors of the panels p0 to p1-1.
func (p *PackedU8S8) amxColumns(s *scratch, out *OutU8S8, p0, p1 int) {
	t, n0 := &s.amx, p.panels[p0].n0
	t.b, t.blocks = unsafe.Pointer(&p.data[p.panels[p0].off]), p1-p0
	t.mask = 1<<(p.panels[p1-1].n1-p.panels[p1-1].n0) - 1
	t.bias, t.biasStep = amxFactors(out.Bias, n0, &zeros)
	t.scale, t.scaleStep = amxFactors(out.Scale, n0, &zeros)
	t.shift, t.shiftStep = amxFactors(out.Shift, n0, &negZeros)
}

// amxFactors points at v from column n0 on, or at what stands for all columns
// where there is no v.
func amxFactors[T any](v []T, n0 int, none *[64]float32) (at unsafe.Pointer, step int) {
	if v == nil {
		return unsafe.Pointer(none), 0
	}
	return unsafe.Pointer(&v[n0]), 128
}

// amxRows makes the output rows from m on, of the columns from n0 on: as many
// as the two tiles have.
func (s *scratch) amxRows(out *OutU8S8, m, n0, first, second int) {
	t := &s.amx
	var size int
	t.c, size = out.at(m*out.Ldc + n0)
	t.ldc, t.cStep = out.Ldc*size, 32*size
	t.rows, t.second = first+second, first*128
	s.setTiles(first, second)
	t.cfg = &s.cfg
	amxKernels[min(second, 1)](t)
}

// setTiles gives the tiles of A and the sums their rows.
func (s *scratch) setTiles(first, second int) {
	c := &s.cfg
	*c = fullTiles
	c.rows[0], c.rows[1], c.rows[4] = byte(first), byte(first), byte(first)
	if second > 0 {
		c.rows[2], c.rows[3], c.rows[5] = byte(second), byte(second), byte(second)
	}
}

// gather copies n rows from m on to the block, their taps side by side.
func (p *PackedU8S8) gather(s *scratch, a *rows[uint8], m, n int) {
	s.zero, s.taps, s.kb = unsafe.Pointer(&s.pad[0]), p.taps, p.kd*4
	if a.ix == nil {
		s.setOffsets(a.lda, n)
	}
	s.mask = ^uint64(0) >> (63 - uint(p.k-1)%64)
	s.ldc = p.tiles * 64
	for i := 0; i < n; i += spareRows {
		setRows(s, a, m+i, 1)
		s.rows = min(spareRows, n-i)
		s.microArgs.c = unsafe.Pointer(&s.block[i*s.ldc])
		gatherAVX512(&s.microArgs)
	}
}
