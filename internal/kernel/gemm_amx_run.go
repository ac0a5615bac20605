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
	add       unsafe.Pointer
	ldAdd     int // bytes
	lo        float32
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

// The kernels for up to 16 and 32 rows; tests put Go in their place.
var (
	amxKernels     = [2]func(*amxArgs){gemmAMX16, gemmAMX32}
	amxKernelsBF16 = [2]func(*amxArgs){gemmBF16AMX16, gemmBF16AMX32}
)

// fillsTiles says whether a block of 32 columns is enough work for tiles: vectors
// are faster at shorter sums.
func (s *shape) fillsTiles() bool { return s.taps*s.k*min(s.n, 32) >= 32*48 }

// packTiles writes [32 columns][64 bytes of a row][2 tiles][16 dwords][16 columns].
func packTiles[T int8 | uint16](s *shape, w []T, o Order) []T {
	size := int(unsafe.Sizeof(*new(T)))
	s.lanes, s.per = 16, 4/size
	s.kd = (s.k + s.per - 1) / s.per
	s.tiles = (s.taps*s.kd + 15) / 16
	step, tile, row := 2048/size, 1024/size, 64/size
	blocks := (s.n + 31) / 32
	data := aligned[T](blocks * s.tiles * step)
	s.panels = nil
	for i := range blocks {
		s.panels = append(s.panels, panel{n0: i * 32, n1: min(s.n, i*32+32), nv: 2, off: i * s.tiles * step})
	}
	for _, p := range s.panels {
		for half := p.n0; half < p.n1; half += 16 {
			t := tiles[T]{data[p.off+half%32/16*tile:], step, row, s.per}
			for tap := range s.taps {
				src := w[half*o.N+tap*o.Tap:]
				if o.K == 1 {
					t.columns(tap*s.kd, src, s.k, min(16, p.n1-half), o.N)
				} else {
					t.lines(tap*s.kd, src, s.k, min(16, p.n1-half), o)
				}
			}
		}
	}
	return data
}

// tiles is a column of tiles of 16 columns: lines of [16 columns][per], 16 to a tile.
type tiles[T int8 | uint16] struct {
	data           []T
	step, row, per int // elements from tile to tile and from line to line; elements of a dword
}

func (t *tiles[T]) line(dword int) []T { return t.data[dword/16*t.step+dword%16*t.row:][:t.row] }

// columns writes n columns that lie one after the other, ld apart.
func (t *tiles[T]) columns(dword int, src []T, k, n, ld int) {
	for i := 0; i < k; i += t.per {
		line, most := t.line(dword+i/t.per), min(t.per, k-i)
		for j := range n {
			copy(line[j*t.per:][:t.per], src[j*ld+i:][:most])
		}
	}
}

// lines writes n columns whose elements are o.K apart.
func (t *tiles[T]) lines(dword int, src []T, k, n int, o Order) {
	for i := range k {
		line, from := t.line(dword + i/t.per)[i%t.per:], src[i*o.K:]
		if o.N == 1 {
			for j, v := range from[:n] {
				line[j*t.per] = v
			}
			continue
		}
		for j := range n {
			line[j*t.per] = from[j*o.N]
		}
	}
}

// runAMX multiplies by tiles.
func (p *PackedU8S8) runAMX(s *scratch, a *rows[uint8], pad uint8, out *OutU8S8, r Range) {
	s.pad = grow(s.pad, p.kd*4+64)
	fill(s.pad, pad)
	s.amx.kind, s.amx.hi, s.amx.z, s.amx.qlo, s.amx.qhi, s.amx.flip = s.kind, s.hi, s.z, s.qlo, s.qhi, s.flip
	n0 := 0
	runTiles(s, &p.shape, a, r, amxKernels, func(p0, p1 int) {
		t := &s.amx
		n0 = p.panels[p0].n0
		t.b = unsafe.Pointer(&p.data[p.panels[p0].off])
		t.bias, t.biasStep = amxFactors(out.Bias, n0, &zeros)
		t.scale, t.scaleStep = amxFactors(out.Scale, n0, &zeros)
		t.shift, t.shiftStep = amxFactors(out.Shift, n0, &negZeros)
	}, func(m int) {
		t := &s.amx
		var size int
		t.c, size = out.at(m*out.Ldc + n0)
		t.ldc, t.cStep = out.Ldc*size, 32*size
	})
}

// runTiles takes 32 rows at a time through all columns: the rows stay in the
// first cache, and each result line is written once. columns points at the
// weights and factors of the panels p0 to p1-1; result at row m of the output.
func runTiles[T uint8 | uint16](s *scratch, sh *shape, a *rows[T], r Range, kernels [2]func(*amxArgs), columns func(p0, p1 int), result func(m int)) {
	s.sums = grow(s.sums, amxSums)
	s.block = grow(s.block, amxRows*sh.tiles*64+64)
	t := &s.amx
	t.sums = unsafe.Pointer(&s.sums[0])
	t.taps, t.steps, t.off = 1, sh.tiles, &s.pair
	most := r.P1 - r.P0
	if r.M1-r.M0 > 2*amxRows {
		most = max(1, amxBudget/(sh.tiles*2048))
	}
	for p0 := r.P0; p0 < r.P1; p0 += most {
		p1 := min(r.P1, p0+most)
		columns(p0, p1)
		t.blocks = p1 - p0
		t.mask = 1<<(sh.panels[p1-1].n1-sh.panels[p1-1].n0) - 1
		for m := r.M0; m < r.M1; m += amxRows {
			n := min(amxRows, r.M1-m)
			left(s, sh, a, m, n)
			result(m)
			s.setTiles(min(n, tileHeight), max(0, n-tileHeight))
			kernels[(n-1)/tileHeight](t)
		}
	}
	s.amx = amxArgs{}
}

// amxFactors points at v from column n0 on, or at what stands for all columns
// where there is no v.
func amxFactors[T any](v []T, n0 int, none *[64]float32) (at unsafe.Pointer, step int) {
	if v == nil {
		return unsafe.Pointer(none), 0
	}
	return unsafe.Pointer(&v[n0]), 128
}

// setTiles gives the tiles of A and the sums their rows.
func (s *scratch) setTiles(first, second int) {
	c, t := &s.cfg, &s.amx
	*c = fullTiles
	c.rows[0], c.rows[1], c.rows[4] = byte(first), byte(first), byte(first)
	if second > 0 {
		c.rows[2], c.rows[3], c.rows[5] = byte(second), byte(second), byte(second)
	}
	t.cfg, t.rows, t.second = c, first+second, first*128
}

// left points at n rows from m on: where they are, or copied. What follows a row
// meets zero weights, which is no harm to integers.
func left[T uint8 | uint16](s *scratch, sh *shape, a *rows[T], m, n int) {
	t, size := &s.amx, int(unsafe.Sizeof(*new(T)))
	length := sh.tiles * 64
	whole := size == 1 || sh.k*size == length
	if whole && a.ix == nil && (m+n-1)*a.lda*size+length <= cap(a.x)*size {
		t.a, t.lda = unsafe.Pointer(&a.x[m*a.lda]), a.lda*size
	} else {
		gather(s, sh, a, m, n)
		t.a, t.lda = unsafe.Pointer(&s.block[0]), length
	}
	s.pair = [2]int32{0, int32(tileHeight * t.lda)}
}

// gather copies n rows from m on to the block, their taps side by side, and
// zeros behind them.
func gather[T uint8 | uint16](s *scratch, sh *shape, a *rows[T], m, n int) {
	s.zero, s.taps, s.kb = unsafe.Pointer(&s.pad[0]), sh.taps, sh.kd*4
	if a.ix == nil {
		s.setOffsets(a.lda, n)
	}
	copyRows, size := gatherAVX512, int(unsafe.Sizeof(*new(T)))
	if size == 2 {
		copyRows = gatherWordsAVX512
	}
	s.mask = ^uint64(0) >> (63 - uint(sh.k*size-1)%64)
	s.ldc = sh.tiles * 64
	for i := range n {
		clear(s.block[(i+1)*s.ldc-64:][:64])
	}
	for i := 0; i < n; i += spareRows {
		setRows(s, a, m+i, 1)
		s.rows = min(spareRows, n-i)
		s.microArgs.c = unsafe.Pointer(&s.block[i*s.ldc])
		copyRows(&s.microArgs)
	}
}
