//go:build amd64 && !purego

package kernel

import "unsafe"

// A left is the left side of a product on tiles. Rows are read where they are:
// those of a matrix, or the pixels of an image without padding, whose taps each
// begin a step of 64 bytes. Else they are copied, their taps side by side. What
// follows a row meets zero weights, which is no harm to integers; bfloat16,
// whose garbage may be no number, is read in place only where nothing follows.
type left[T uint8 | uint16] struct {
	*scratch
	sh    *shape
	rows  *rows[T]
	size  int       // of T
	image *Indirect // where pixels are read in place
	width int       // of a tile of pixels
	most  int       // tiles of rows in a group
}

func newLeft[T uint8 | uint16](s *scratch, sh *shape, a *rows[T]) *left[T] {
	l := &left[T]{scratch: s, sh: sh, rows: a, size: int(unsafe.Sizeof(*new(T)))}
	if a.ix != nil && l.exact() && sh.inPlace(a.ix) {
		l.image = a.ix
		l.width = tilePixels(a.ix.win.OW)
		s.tapBytes = grow(s.tapBytes, sh.taps)
		for i, r := range a.ix.rel {
			s.tapBytes[i] = r * int32(l.size)
		}
	}
	return l
}

// exact says whether the garbage behind a row does no harm.
func (l *left[T]) exact() bool { return l.size == 1 || l.sh.k*l.size%64 == 0 }

// inPlace says whether the taps of the pixels of ix are to be read where they are.
func (s *shape) inPlace(ix *Indirect) bool {
	return ix.inside && s.apart() && s.pixelsPay(ix.win.OH, ix.win.OW)
}

// copiedBlocks is the number of blocks of columns that take the time of copying
// a step of the rows.
const copiedBlocks = 8

// pixelsPay says whether rows of oh by ow pixels fill tiles so well that they
// are faster than copied ones.
func (s *shape) pixelsPay(oh, ow int) bool {
	blocks := (s.n + tileWidth - 1) / tileWidth
	return oh*tilesOf(ow)*blocks <= tilesOf(oh*ow)*(blocks+copiedBlocks)
}

// tilesOf is the number of tiles that hold some rows.
func tilesOf(rows int) int { return (rows + tileHeight - 1) / tileHeight }

// tilePixels divides a row of pixels evenly among tiles.
func tilePixels(ow int) int { return (ow + tilesOf(ow) - 1) / tilesOf(ow) }

// take points at rows from m on, m1 at most, in groups of as many, sets their number,
// and returns that of the tiles of a group. Rows that are copied come in one group.
func (l *left[T]) take(m, m1, groups int) int {
	t := &l.amx
	t.groups, t.groupA = 1, &l.groupA[0]
	if l.image != nil {
		if tiles, ok := l.pixels(m, m1, groups); ok {
			return tiles
		}
	}
	n := m1 - m
	tiles := tilesOf(n)
	if tiles > l.most {
		// As many rows in each group, in whole chunks that are finished together.
		chunks := (tiles + l.most - 1) / l.most * finishRows
		n = (n + chunks - 1) / chunks * finishRows
		tiles = l.most
	}
	height := (n + tiles - 1) / tiles
	for i := range tiles {
		t.part[i] = i * height * tileWidth * 4
	}
	t.rows, t.cfg = n, &tileConfigs[height]
	if l.matrix(m, n, tiles*height) {
		l.moreRows(m, m1, tiles*height, groups)
	}
	for i := range tiles {
		t.tile[i] = i * height * t.lda
	}
	return tiles
}

// moreRows adds groups of rows of a matrix that is read where it is, of which each
// reads all.
func (l *left[T]) moreRows(m, m1, all, groups int) {
	t := &l.amx
	for m += t.rows; t.groups < groups && m+t.rows <= m1 && l.readable(m, all); m += t.rows {
		l.groupA[t.groups] = t.groups * t.rows * t.lda
		t.groups++
	}
}

// matrix points at n rows, of which all are read, where they are, or else copied.
func (l *left[T]) matrix(m, n, all int) (inPlace bool) {
	t, a, length := &l.amx, l.rows, l.sh.steps*64
	t.taps, t.steps, t.off = 1, l.sh.steps, &noOffset
	if l.readable(m, all) {
		t.a, t.lda = unsafe.Pointer(&a.x[m*a.lda]), a.lda*l.size
		return true
	}
	l.block = grow(l.block, all*length+64)
	gather(l.scratch, l.sh, a, m, n)
	t.a, t.lda = unsafe.Pointer(&l.block[0]), length
	return false
}

// readable says whether all rows of a matrix from m on can be read where they are.
func (l *left[T]) readable(m, all int) bool {
	a := l.rows
	return l.exact() && a.ix == nil && (m+all-1)*a.lda*l.size+l.sh.steps*64 <= cap(a.x)*l.size
}

var noOffset int32

// pixels points at rows of pixels, one to a tile, in groups. It fails where a tile
// would read beyond the image.
func (l *left[T]) pixels(m, m1, groups int) (tiles int, ok bool) {
	t, w := &l.amx, &l.image.win
	t.lda, t.taps, t.steps = w.StrideW*w.Pitch*l.size, l.sh.taps, l.sh.steps/l.sh.taps
	t.off = &l.tapBytes[0]
	g := l.group(m, m1)
	if g.end > cap(l.rows.x)*l.size {
		return 0, false
	}
	t.tile, t.part = g.tile, g.part
	t.a, t.rows, t.cfg = unsafe.Pointer(&l.rows.x[g.first/l.size]), g.rows, &tileConfigs[g.height]
	for m += g.rows; t.groups < groups && m < m1; m += g.rows {
		next := l.group(m, m1)
		if next.tiling != g.tiling || next.end > cap(l.rows.x)*l.size {
			break
		}
		l.groupA[t.groups] = next.first - g.first
		t.groups++
	}
	return g.tiles, true
}

// tiling is the shape of some tiles of pixels.
type tiling struct {
	tiles, rows int
	height      int            // of the highest
	tile, part  [mostTiles]int // as in amxArgs
}

// group is some tiles of pixels: bytes from the image to the first pixel, and to behind
// what is read.
type group struct {
	tiling
	first, end int
}

// group takes rows of pixels from row m of the output on.
func (l *left[T]) group(m, m1 int) (g group) {
	t, w := &l.amx, &l.image.win
	g.first = w.first(m/w.OW, m%w.OW, 0) * l.size
	for ; g.tiles < l.most && m+g.rows < m1; g.tiles++ {
		x := (m + g.rows) % w.OW
		at, rows := w.first((m+g.rows)/w.OW, x, 0)*l.size, min(l.width-x%l.width, w.OW-x, m1-m-g.rows)
		g.tile[g.tiles], g.part[g.tiles] = at-g.first, g.rows*tileWidth*4
		g.height, g.rows = max(g.height, rows), g.rows+rows
	}
	g.end = g.first + g.tile[g.tiles-1] + int(l.tapBytes[l.sh.taps-1]) + (g.height-1)*t.lda + t.steps*64
	return g
}

// gather copies n rows from m on to the block, their taps side by side, and
// zeros behind them.
func gather[T uint8 | uint16](s *scratch, sh *shape, a *rows[T], m, n int) {
	s.zero, s.taps, s.kb = unsafe.Pointer(&s.pad[0]), sh.taps, sh.tapDwords*4
	if a.ix == nil {
		s.setOffsets(a.lda, n)
	}
	copyRows, size := gatherAVX512, int(unsafe.Sizeof(*new(T)))
	if size == 2 {
		copyRows = gatherWordsAVX512
	}
	s.mask = ^uint64(0) >> (63 - uint(sh.k*size-1)%64)
	s.ldc = sh.steps * 64
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
