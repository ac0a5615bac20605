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

// take points at rows from m on, m1 at most, sets their number, and returns that of tiles.
func (l *left[T]) take(m, m1 int) int {
	if l.image != nil {
		if tiles, ok := l.pixels(m, m1); ok {
			return tiles
		}
	}
	tiles := tilesOf(m1 - m)
	if tiles > mostTiles {
		tiles = l.sh.tilesApiece()
	}
	n := min(m1-m, tiles*tileHeight)
	height := (n + tiles - 1) / tiles
	l.matrix(m, n, tiles*height)
	t := &l.amx
	for i := range tiles {
		t.tile[i], t.part[i] = i*height*t.lda, i*height*tileWidth*4
	}
	t.rows, t.cfg = n, &tileConfigs[height]
	return tiles
}

// matrix points at n rows, of which all are read, where they are or copied.
func (l *left[T]) matrix(m, n, all int) {
	t, a, length := &l.amx, l.rows, l.sh.steps*64
	t.taps, t.steps, t.off = 1, l.sh.steps, &noOffset
	if l.exact() && a.ix == nil && (m+all-1)*a.lda*l.size+length <= cap(a.x)*l.size {
		t.a, t.lda = unsafe.Pointer(&a.x[m*a.lda]), a.lda*l.size
		return
	}
	l.block = grow(l.block, all*length+64)
	gather(l.scratch, l.sh, a, m, n)
	t.a, t.lda = unsafe.Pointer(&l.block[0]), length
}

// nearTiles is what rows may take of the first cache, which they share with
// what passes by.
const nearTiles = 36 << 10

// tilesApiece is the number of tiles of a call where more follow: long rows
// leave the first cache before all columns have met them.
func (s *shape) tilesApiece() int {
	if manyTiles*tileHeight*s.steps*64 > nearTiles {
		return manyTiles - 1
	}
	return manyTiles
}

var noOffset int32

// pixels points at rows of pixels, one to a tile. It fails where a tile would
// read beyond the image.
func (l *left[T]) pixels(m, m1 int) (tiles int, ok bool) {
	t, w := &l.amx, &l.image.win
	steps := l.sh.steps / l.sh.taps
	t.lda, t.taps, t.steps = w.StrideW*w.Pitch*l.size, l.sh.taps, steps
	t.off = &l.tapBytes[0]
	first := w.first(m/w.OW, m%w.OW, 0) * l.size
	height, n := 0, 0
	for ; tiles < mostTiles && m+n < m1; tiles++ {
		if tiles == manyTiles && m1-m-n > l.width {
			break
		}
		x := (m + n) % w.OW
		at, rows := w.first((m+n)/w.OW, x, 0)*l.size, min(l.width-x%l.width, w.OW-x, m1-m-n)
		t.tile[tiles], t.part[tiles] = at-first, n*tileWidth*4
		height, n = max(height, rows), n+rows
	}
	last := first + t.tile[tiles-1] + int(l.tapBytes[l.sh.taps-1]) + (height-1)*t.lda + steps*64
	if last > cap(l.rows.x)*l.size {
		return 0, false
	}
	t.a, t.rows, t.cfg = unsafe.Pointer(&l.rows.x[first/l.size]), n, &tileConfigs[height]
	return tiles, true
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
