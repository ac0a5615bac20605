//go:build amd64 && !purego

package kernel

import (
	"sync"
	"unsafe"
)

// fastWinogradU8S8 says whether assembly filters k channels.
func (l Level) fastWinogradU8S8(k int) bool {
	return l.use(AVX2) && !l.use(AMX) && k%16 == 0 && k > 0
}

// setLanes makes panels of one width: two vectors where there is assembly, one in plain Go.
func (p *WinogradU8S8) setLanes() (widths func(int) []int) {
	if p.fast = p.level.fastWinogradU8S8(p.k); p.fast {
		p.lanes = genericLanes / 2
		return widthsY
	}
	p.lanes = genericLanes
	return single(1)
}

// filterFast is filter by assembly.
func (p *WinogradU8S8) filterFast(u []int16, w []int8, tap int) {
	var half [3 * winogradReach * 16]int16
	winogradU8S8Weights(&w[:8*tap+p.k][0], &u[0], tap, p.k, &half[0])
}

// winogradU8S8Scratch is what a run needs beside its arguments.
type winogradU8S8Scratch struct {
	scratch
	turn
	pixels   [winogradArea]*uint8
	halfIn   [winogradArea * 16]int16
	halfOut  [winogradSide * winogradReach * 8]int32
	products []int32 // [tile][position][16 columns]
	lines    []int32 // [4 lines][pixel][16 columns]
}

var winogradU8S8Scratches = sync.Pool{New: func() any { return new(winogradU8S8Scratch) }}

// So many tiles at most take part in the products of all panels one after the other: as many as leave
// their pixels in a small second cache, and their sums beside them; but so many in any case, for which weights that
// lie further away are read once.
const (
	turnPixels = 512 << 10
	turnTiles  = 48
	turnLeast  = 16
)

// turnRows is the number of rows of tiles that take part in a turn.
func (p *WinogradU8S8) turnRows(t *TilesU8S8) int {
	return max(1, min(turnTiles, max(turnLeast, turnPixels/(winogradArea*p.k*2)))/t.Cols)
}

func (p *WinogradU8S8) runFast(x []uint8, pad uint8, t *TilesU8S8, out *OutU8S8, r Range) {
	s := winogradU8S8Scratches.Get().(*winogradU8S8Scratch)
	s.setOutput(out)
	s.pad = grow(s.pad, p.k)
	fill(s.pad, pad)
	each := p.turnRows(t)
	for m := r.M0; m < r.M1; m += each {
		s.turn = t.turn(m, min(r.M1, m+each))
		p.transform(s, x, t)
		for pi := r.P0; pi < r.P1; {
			n := p.multiply(s, pi, r.P1)
			for k := range n {
				for i := m; i < s.end; i++ {
					p.finish(s, t, out, pi+k, i, s.products[k*s.tiles()*tileProducts:])
				}
			}
			pi += n
		}
	}
	s.microArgs, s.pixels = microArgs{}, [winogradArea]*uint8{}
	winogradU8S8Scratches.Put(s)
}

// A turn is some rows of tiles in the order in which they are multiplied: those with no more than two lines
// of outputs, whole ones, those with no more than two columns, and the one with both. So the tiles that
// need a position are neighbours: half tiles do without two of the six rows or columns of positions.
type turn struct {
	m, end                   int // rows of tiles
	cols                     int // of tiles that are not narrow
	low, whole, narrow, both int // tiles of each kind
}

// halves says which axes of a tile have no more than two outputs.
func (t *TilesU8S8) halves() (low, narrow bool) {
	most := winogradSide / 2
	return t.oh-(t.Rows-1)*winogradSide <= most, t.ow-(t.Cols-1)*winogradSide <= most
}

func (t *TilesU8S8) turn(m, end int) turn {
	low, narrow := t.halves()
	u := turn{m: m, end: end, cols: t.Cols}
	rows := end - m
	if narrow {
		u.cols--
	}
	if low && end == t.Rows {
		rows--
		u.low, u.both = u.cols, t.Cols-u.cols
	}
	u.whole, u.narrow = rows*u.cols, rows*(t.Cols-u.cols)
	return u
}

func (u *turn) tiles() int { return u.low + u.whole + u.narrow + u.both }

// isLow says whether a row of tiles has no more than two lines.
func (u *turn) isLow(row int) bool { return u.low+u.both > 0 && row == u.end-1 }

// index is the place of a tile in the turn.
func (u *turn) index(row, col int) int {
	switch low := u.isLow(row); {
	case low && col < u.cols:
		return col
	case low:
		return u.low + u.whole + u.narrow
	case col < u.cols:
		return u.low + (row-u.m)*u.cols + col
	}
	return u.low + u.whole + row - u.m
}

// need gives the tiles from the first to before the last that need position q.
func (u *turn) need(q int) (first, last int) {
	middle := func(i int) bool { return i == 3 || i == 4 }
	last = u.tiles()
	if middle(q / winogradReach) {
		first, last = u.low, last-u.both
	}
	if middle(q % winogradReach) {
		last = u.low + u.whole
	}
	return first, last
}

// The bodies of half tiles, by whether they are low and whether they are narrow.
var (
	winogradU8S8Ins  = [2][2]func(pixels **uint8, dst *int16, step, n int, half *int16){{winogradU8S8In, winogradU8S8InNarrow}, {winogradU8S8InLow, winogradU8S8InSmall}}
	winogradU8S8Outs = [2][2]func(products, dst *int32, line, tiles int, half *int32){{winogradU8S8Out, winogradU8S8OutNarrow}, {winogradU8S8OutLow, winogradU8S8OutSmall}}
)

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// positionPad keeps the positions of a tile from falling on the same lines of the cache.
const positionPad = 32

// transform writes the pixels of a turn as [position][tile][k].
func (p *WinogradU8S8) transform(s *winogradU8S8Scratch, x []uint8, t *TilesU8S8) {
	size := s.tiles()*p.k + positionPad
	s.wide = grow(s.wide, winogradArea*size)
	for row := s.m; row < s.end; row++ {
		for col := range t.Cols {
			for q, o := range t.off[(row*t.Cols+col)*winogradArea:][:winogradArea] {
				if s.pixels[q] = &s.pad[0]; o >= 0 {
					s.pixels[q] = &x[o]
				}
			}
			in := winogradU8S8Ins[index(s.isLow(row))][index(col >= s.cols)]
			in(&s.pixels[0], &s.wide[s.index(row, col)*p.k], size*2, p.k, &s.halfIn[0])
		}
	}
}

// productsBody multiplies rows by a position of a panel, so many at a time.
type productsBody struct {
	mr int
	fn func(a, b *int16, c *int32, lda, kb, ldc, rows int)
}

// The bodies by weights that are words, without and with AVX-VNNI, and words that hold two columns, tallest first.
var (
	winogradPairs  = []productsBody{{6, winogradPairs6}, {4, winogradPairs4}, {3, winogradPairs3}, {2, winogradPairs2}, {1, winogradPairs1}}
	winogradSums   = []productsBody{{6, winogradSums6}, {4, winogradSums4}, {3, winogradSums3}, {2, winogradSums2}, {1, winogradSums1}}
	winogradJoined = []productsBody{{6, winogradJoined6}, {4, winogradJoined4}, {3, winogradJoined3}, {2, winogradJoined2}, {1, winogradJoined1}}
)

// dotsBody multiplies rows by a position of one or two panels, so many at a time.
type dotsBody struct {
	mr  int
	one func(a, b *int16, c *int32, lda, kb, ldc, rows, panel, other int)
	two func(a, b *int16, c *int32, lda, kb, ldc, rows, panel, other int)
}

// The bodies by words that add in the same instruction, tallest first.
var winogradDots = []dotsBody{{12, winogradDots12x16, winogradDots12x32}, {6, winogradDots6x16, winogradDots6x32}, {4, winogradDots4x16, winogradDots4x32}, {2, winogradDots2x16, winogradDots2x32}, {1, winogradDots1x16, winogradDots1x32}}

const tileProducts = winogradArea * genericLanes // of a tile and a panel

// multiply sums up the products of the panels from pi on, one or two and before end, over k, for each position of each
// tile that needs it. It returns how many panels these were.
func (p *WinogradU8S8) multiply(s *winogradU8S8Scratch, pi, end int) int {
	if p.level.use(VNNI) {
		n := min(2, end-pi)
		p.dots(s, pi, n)
		return n
	}
	p.pairs(s, pi)
	return 1
}

// dots is multiply for n panels, by vectors of 16 sums.
func (p *WinogradU8S8) dots(s *winogradU8S8Scratch, pi, n int) {
	tiles, size := s.tiles(), p.kd*genericLanes*2
	s.products = grow(s.products, n*tiles*tileProducts)
	for q := range winogradArea {
		first, last := s.need(q)
		for _, t := range winogradDots {
			fn := t.two
			if n == 1 {
				fn = t.one
			}
			if rows := (last - first) / t.mr * t.mr; rows > 0 {
				a := &s.wide[q*(tiles*p.k+positionPad)+first*p.k]
				fn(a, &p.data[p.panels[pi].off+q*size], &s.products[first*tileProducts+q*genericLanes], p.k*2, p.k*2, tileProducts*4, rows, winogradArea*size*2, tiles*tileProducts*4)
				first += rows
			}
		}
	}
}

// pairs is multiply for one panel, by vectors of eight sums.
func (p *WinogradU8S8) pairs(s *winogradU8S8Scratch, pi int) {
	const ldc = tileProducts
	tiles, bodies, data, size := s.tiles(), winogradPairs, p.data, p.kd*genericLanes*2
	off := p.panels[pi].off
	switch {
	case p.level.use(AVXVNNI):
		bodies = winogradSums
	case p.words != nil:
		bodies, data, size, off = winogradJoined, p.words, size/2, off/2
	}
	s.products = grow(s.products, tiles*ldc)
	for q := range winogradArea {
		first, last := s.need(q)
		for t := bodies; first < last; t = t[1:] {
			if n := (last - first) / t[0].mr * t[0].mr; n > 0 {
				a := &s.wide[q*(tiles*p.k+positionPad)+first*p.k]
				t[0].fn(a, &data[off+q*size], &s.products[first*ldc+q*genericLanes], p.k*2, p.k*2, ldc*4, n)
				first += n
			}
		}
	}
}

// finish stores the sums of a row of tiles, whose products with a panel are given.
func (p *WinogradU8S8) finish(s *winogradU8S8Scratch, t *TilesU8S8, out *OutU8S8, pi, row int, products []int32) {
	line := t.Cols * winogradSide * genericLanes
	s.lines = grow(s.lines, winogradSide*line)
	part := func(from, to int) {
		if from < to {
			body := winogradU8S8Outs[index(s.isLow(row))][index(from >= s.cols)]
			body(&products[s.index(row, from)*tileProducts], &s.lines[from*winogradSide*genericLanes], line*4, to-from, &s.halfOut[0])
		}
	}
	part(0, s.cols)
	part(s.cols, t.Cols)
	pn := p.panels[pi]
	s.factors(out, pn.n0, pn.n1, genericLanes)
	for y := row * winogradSide; y < min((row+1)*winogradSide, t.oh); y++ {
		src := s.lines[(y-row*winogradSide)*line:]
		if pn.n1-pn.n0 == genericLanes {
			s.store(src, out, y*t.ow, t.ow, pn.n0)
			continue
		}
		for x := 0; x < t.ow; x += tileRows { // whole vectors are stored: the last columns pass through the tile
			s.storePart(src[x*genericLanes:], out, y*t.ow+x, min(tileRows, t.ow-x), pn)
		}
	}
}

// store writes n rows of sums from row m and column c on.
func (s *winogradU8S8Scratch) store(src []int32, out *OutU8S8, m, n, c int) {
	var size int
	s.c, size = out.at(m*out.Ldc + c)
	s.ldc = out.Ldc * size
	s.sumRows(src, n)
}

// storePart writes fewer columns than a vector has.
func (s *winogradU8S8Scratch) storePart(src []int32, out *OutU8S8, m, n int, pn panel) {
	_, size := out.at(m*out.Ldc + pn.n0)
	s.c, s.ldc = unsafe.Pointer(&s.tile), genericLanes*size
	s.sumRows(src, n)
	for i := range n {
		dst, _ := out.at((m+i)*out.Ldc + pn.n0)
		bytes := (pn.n1 - pn.n0) * size
		copy(unsafe.Slice((*byte)(dst), bytes), unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&s.tile), i*s.ldc)), bytes))
	}
}

func (s *winogradU8S8Scratch) sumRows(src []int32, n int) {
	s.a, s.aStep, s.rows = unsafe.Pointer(&src[0]), 4*genericLanes*4, n
	sumsToRows(&s.microArgs)
}
