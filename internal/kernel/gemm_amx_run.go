//go:build amd64 && !purego

package kernel

import "unsafe"

// amxArgs is the argument of the AMX kernels in _asm/amx.go.
type amxArgs struct {
	cfg       *tileConfig
	a         unsafe.Pointer
	off       *int32 // for each tap, the bytes from a to the rows of the first tile
	lda       int    // bytes
	taps      int
	steps     int // of 64 bytes in a tap
	b         unsafe.Pointer
	blocks    int            // of 16 columns, or pairs of them
	sums      unsafe.Pointer // amxSums elements
	bias      unsafe.Pointer
	biasStep  int // bytes from block to block: 64, or 0 where one block stands for all
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
	lo        float32
	tile      [mostTiles]int // bytes from the rows of the first tile to those of each
	part      [mostTiles]int // the same for their sums
	add       unsafe.Pointer
	ldAdd     int            // bytes
	all       int            // 1 where all codes of uint8 are stored as they come
	wait      [mostTiles]int // rows of the last block up to which none is finished behind each product
	share     [mostTiles]int // slotRow times the rows that are finished there, and the number of the product
	bStep     int            // bytes from the tiles of a block of columns to those of the next
	groups    int            // of rows, all with these tiles, that come one after the other
	groupA    *int           // for each group, the bytes from a to its rows
	groupC    int            // bytes from group to group
	groupAdd  int
}

// tileConfig is the operand of LDTILECFG.
type tileConfig struct {
	palette  byte
	_        [15]byte // the start row, which a restart sets, and reserved bytes
	rowBytes [16]uint16
	rows     [16]byte
}

// tileConfigs give the tiles of A and of sums a number of rows, and those of B 16.
var tileConfigs = func() (list [tileHeight + 1]tileConfig) {
	for rows := range list {
		c := &list[rows]
		c.palette = 1
		for i := range 8 {
			c.rowBytes[i], c.rows[i] = 64, byte(rows)
		}
		c.rows[mostTiles+1], c.rows[mostTiles+3] = tileHeight, tileHeight
	}
	return list
}()

const (
	tileHeight = 16
	tileWidth  = 16
	mostTiles  = 4                                            // of sums in a call
	pairTiles  = 2                                            // of rows beside pairs of blocks
	finishRows = 4                                            // that are finished together, at least
	slotRow    = 16                                           // a row in share
	amxSums    = 2*mostTiles*tileHeight*tileWidth + tileWidth // int32 of two turns, and a bias

	// amxBudget bounds the bytes of B that take their turn with all rows: half of
	// a second cache, which one call reads within 100 µs.
	amxBudget = 1 << 20

	// amxHeld bounds the bytes of B that stay in a first cache of 48 KB beside some rows.
	amxHeld = 16 << 10
)

// amxBodies holds kernels: those that take one block of columns in a turn, for one to
// four tiles of rows, and those that take two, for one and two.
type amxBodies [2][]func(*amxArgs)

// amxSet holds the kernels that find B in the first cache beside the rows, those that find it
// in the second and leave the first to the rows, and those that fetch it ahead.
type amxSet struct{ held, near, far amxBodies }

// The kernels of a level; tests put Go in their place.
var (
	amxKernels = amxSet{
		held: amxBodies{{gemmAMXHeld16, gemmAMXHeld32, gemmAMXHeld48, gemmAMXHeld64}, {gemmAMXHeld16x32, gemmAMXHeld32x32}},
		near: amxBodies{{gemmAMX16, gemmAMX32, gemmAMX48, gemmAMX64}, {gemmAMX16x32, gemmAMX32x32}},
		far:  amxBodies{{gemmAMXFar16, gemmAMXFar32, gemmAMXFar48, gemmAMXFar64}, {gemmAMXFar16x32, gemmAMXFar32x32}},
	}
	amxKernelsBF16 = amxSet{
		held: amxBodies{{gemmBF16AMXHeld16, gemmBF16AMXHeld32, gemmBF16AMXHeld48, gemmBF16AMXHeld64}, {gemmBF16AMXHeld16x32, gemmBF16AMXHeld32x32}},
		near: amxBodies{{gemmBF16AMX16, gemmBF16AMX32, gemmBF16AMX48, gemmBF16AMX64}, {gemmBF16AMX16x32, gemmBF16AMX32x32}},
		far:  amxBodies{{gemmBF16AMXFar16, gemmBF16AMXFar32, gemmBF16AMXFar48, gemmBF16AMXFar64}, {gemmBF16AMXFar16x32, gemmBF16AMXFar32x32}},
	}
)

// runAMX multiplies by tiles.
func (p *PackedU8S8) runAMX(s *scratch, a *rows[uint8], pad uint8, out *OutU8S8, r Range) {
	s.pad = grow(s.pad, p.kd*4+64)
	fill(s.pad, pad)
	s.amx.all = everyCode(out)
	s.amx.kind, s.amx.hi, s.amx.z, s.amx.qlo, s.amx.qhi, s.amx.flip = s.kind, s.hi, s.z, s.qlo, s.qhi, s.flip
	n0 := 0
	runTiles(s, &p.shape, a, r, &amxKernels, func(p0, p1 int) {
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
		t.ldc, t.cStep = out.Ldc*size, tileWidth*size
	})
}

func everyCode(o *OutU8S8) int {
	if o.U8 != nil && o.Min == 0 && o.Max == 255 {
		return 1
	}
	return 0
}

// runTiles takes some tiles of rows at a time through all columns: the rows
// stay in the first cache, and each result line is written once. columns points
// at the weights and factors of the panels p0 to p1-1; result at row m of the
// output, from the first of their columns on.
func runTiles[T uint8 | uint16](s *scratch, sh *shape, a *rows[T], r Range, kernels *amxSet, columns func(p0, p1 int), result func(m int)) {
	s.sums = grow(s.sums, amxSums)
	t := &s.amx
	t.sums, t.bStep = unsafe.Pointer(&s.sums[0]), sh.steps*tileBytes
	l := newLeft(s, sh, a)
	all := tilesOf(r.M1 - r.M0)
	paired := all <= pairTiles || all > mostTiles
	most := r.P1 - r.P0
	if l.most = mostTiles; paired {
		l.most = pairTiles
	}
	if all > l.most {
		most = max(2, amxBudget/t.bStep&^1)
	}
	for p0 := r.P0; p0 < r.P1; p0 += most {
		p1, from, groups := min(r.P1, p0+most), &kernels.far, 1
		again := &kernels.near
		if (p1-p0)*t.bStep <= amxHeld {
			again = &kernels.held
		}
		for m := r.M0; m < r.M1; m += t.groups * t.rows {
			tiles := l.take(m, r.M1, groups)
			for _, c := range turnsOf(p0, p1, paired) {
				if c.p0 < c.p1 {
					columns(c.p0, c.p1)
					result(m)
					t.turns(sh, c)
					t.pace(tiles, c.width)
					from[c.width-1][tiles-1](t)
				}
			}
			from, groups = again, sh.groupsOf(tiles*(p1-p0))
		}
	}
	s.amx = amxArgs{}
}

// turns are panels that meet the rows in turn, some at a time.
type turns struct{ p0, p1, width int }

// turnsOf cuts panels into pairs and what is left.
func turnsOf(p0, p1 int, paired bool) [2]turns {
	even := p0
	if paired {
		even += (p1 - p0) &^ 1
	}
	return [2]turns{{p0, even, 2}, {even, p1, 1}}
}

// turns sets what depends on the number of blocks and rows.
func (t *amxArgs) turns(sh *shape, c turns) {
	last := sh.panels[c.p1-1]
	t.blocks, t.mask = (c.p1-c.p0)/c.width, 1<<(last.n1-last.n0)-1
	t.groupC, t.groupAdd = t.rows*t.ldc, t.rows*t.ldAdd
}

// A call takes about amxCycles at most, some 50 µs: a product of tiles takes a
// cycle for each row, and what finishes its sums about finishCycles.
const (
	amxCycles    = 100_000
	finishCycles = 64
	mostGroups   = 128
)

// groupsOf is the number of groups of rows in a call, each with so many tiles of sums.
func (s *shape) groupsOf(sums int) int {
	return min(mostGroups, max(1, amxCycles/(sums*(s.steps*tileHeight+finishCycles))))
}

// pace spreads the rows of a turn of width blocks, which are finished while the
// next ones are multiplied, over the products of all its steps.
func (t *amxArgs) pace(tiles, width int) {
	chunk := finishRows
	if t.all != 0 {
		chunk = 2 * finishRows / width
	}
	steps, products := t.taps*t.steps, tiles*width
	chunks := (tiles*tileHeight + chunk*steps - 1) / (chunk * steps)
	for i := range products {
		n := (chunks + products - 1 - i) / products
		t.wait[i], t.share[i] = 0, n*chunk*slotRow+i
		if n == 0 {
			t.wait[i] = tiles * tileHeight
		}
	}
}

// amxFactors points at v from column n0 on, or at what stands for all columns
// where there is no v.
func amxFactors[T any](v []T, n0 int, none *[64]float32) (at unsafe.Pointer, step int) {
	if v == nil {
		return unsafe.Pointer(none), 0
	}
	return unsafe.Pointer(&v[n0]), tileWidth * 4
}
