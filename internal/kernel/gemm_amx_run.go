//go:build amd64 && !purego

package kernel

import "unsafe"

// amxArgs is the argument of the AMX kernels in _asm/amx.go.
type amxArgs struct {
	cfg    *tileConfig
	a      unsafe.Pointer
	lda    int // bytes
	b      unsafe.Pointer
	c      unsafe.Pointer
	ldc    int // bytes
	blocks int // of 32 columns
	kb     int // steps of 64 bytes
}

// tileConfig is the operand of LDTILECFG.
type tileConfig struct {
	palette  byte
	_        [15]byte // the start row, which a restart sets, and reserved bytes
	rowBytes [16]uint16
	rows     [16]byte
}

// fullTiles makes all eight tiles 16 rows of 64 bytes.
var fullTiles = func() *tileConfig {
	c := &tileConfig{palette: 1}
	for i := range 8 {
		c.rowBytes[i], c.rows[i] = 64, 16
	}
	return c
}()

// amx32 and amx16 multiply 32 or 16 rows; tests put Go in their place.
var amx32, amx16 = gemmAMX32, gemmAMX16

const (
	amxRows    = 32
	amxColumns = 512 // of sums kept at a time, 64 KiB
)

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
	s.sums = grow(s.sums, amxRows*amxColumns)
	s.pad = grow(s.pad, p.kd*4+64)
	fill(s.pad, pad)
	for m := r.M0; m < r.M1; m += amxRows {
		n := min(amxRows, r.M1-m)
		s.amx = amxArgs{cfg: fullTiles, lda: length, ldc: amxColumns * 4, kb: p.tiles, c: unsafe.Pointer(&s.sums[0])}
		if a.ix == nil && n == amxRows && (m+n-1)*a.lda+length <= cap(a.x) {
			s.amx.a, s.amx.lda = unsafe.Pointer(&a.x[m*a.lda]), a.lda
		} else {
			p.gather(s, a, m, n)
			s.amx.a = unsafe.Pointer(&s.block[0])
		}
		for p0 := r.P0; p0 < r.P1; p0 += amxColumns / 32 {
			p.amxColumns(s, out, m, n, p0, min(r.P1, p0+amxColumns/32))
		}
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
		s.c = unsafe.Pointer(&s.block[i*s.ldc])
		gatherAVX512(&s.microArgs)
	}
}

// amxColumns makes the sums of the panels p0 to p1-1 and writes them out.
func (p *PackedU8S8) amxColumns(s *scratch, out *OutU8S8, m, n, p0, p1 int) {
	s.amx.b, s.amx.blocks = unsafe.Pointer(&p.data[p.panels[p0].off]), p1-p0
	if n > amxRows/2 {
		amx32(&s.amx)
	} else {
		amx16(&s.amx)
	}
	first, end := p.panels[p0].n0, p.panels[p1-1].n1
	for n0 := first; n0 < end; n0 += 64 {
		n1 := min(end, n0+64)
		s.columns(n1 - n0)
		s.factors(out, n0, n1, 64)
		s.a, s.aStep, s.rows = unsafe.Pointer(&s.sums[n0-first]), 4*amxColumns*4, n
		var size int
		s.c, size = out.at(m*out.Ldc + n0)
		s.ldc = out.Ldc * size
		sumsToRows(&s.microArgs)
	}
}
