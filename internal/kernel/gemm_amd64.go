//go:build amd64 && !purego

package kernel

import (
	"sync"
	"unsafe"
)

// microArgs is the argument of the micro kernels in _asm/micro.go, which knows
// its layout.
type microArgs struct {
	a       unsafe.Pointer // the element that offset 0 means
	zero    unsafe.Pointer // the row that a negative offset means
	off     *int32         // offsets of the first row by taps
	offRow  int            // bytes from row to row of offsets
	offStep int            // bytes from tile to tile of offsets
	aStep   int            // bytes from tile to tile of a
	taps    int
	kb      int // bytes of a row, a multiple of 4
	b       unsafe.Pointer
	bias    unsafe.Pointer // one vector set, never nil
	c       unsafe.Pointer
	ldc     int    // bytes
	rows    int    // in all
	mask    uint64 // columns to store
	add     unsafe.Pointer
	ldAdd   int // bytes
	lo, hi  float32
	scale   unsafe.Pointer
	shift   unsafe.Pointer
	kind    int
	z       uint32 // output zero point twice in 16 bits
	qlo     uint32 // least code four times
	qhi     uint32
	flip    uint32 // 0x80808080 makes codes signed
	maskV   *[16]int32
	lines   int // the rest is for depthwise kernels: rows of the output
	aSkip   int // bytes from behind a row to the next one
	cSkip   int
	addSkip int
	next    unsafe.Pointer // the panel after this one, to be brought nearer
	nextLen int            // its bytes
	pace    int            // those that each dword brings
	touch   int            // 1 where the lines of results are fetched before they are made
	part    int            // bytes of a row that are in one block of a float32 sum; the rest is for these alone
	more    int            // kb - part
	per     int            // taps of a block
	left    int            // taps behind the first block, or parts of rows
	partial unsafe.Pointer // takes the sums of a tile over the blocks so far; nil where there is but one
}

// microKernel is one body: rows by columns of its tile.
type microKernel struct {
	mr int
	fn func(*microArgs)
}

// microSet holds by number of vectors the bodies, tallest first.
type microSet [5][]microKernel

// tileRows is the height of the scratch for columns past the last.
const tileRows = 48

// scratch is what a run needs beside its arguments. It is pooled: asm through
// a function value would move it to the heap at each call.
type scratch struct {
	microArgs
	offs     [spareRows]int32
	masks    [16]int32
	biasF32  [64]float32 // of the last columns
	biasI32  [64]int32
	scaleF32 [64]float32
	shiftF32 [64]float32
	tile     [tileRows * 16]int32
	wider    *[tileRows * 16]int32 // where rows go that are wider than the output; nil: they are not
	amx      amxArgs
	tapBytes []int32         // from the first tap to each
	groupA   [mostGroups]int // bytes from the first group of rows to each
	sums     []int32
	pad      []uint8
	none     []int32 // offsets below 0
	wide     []int16
	block    []uint8
	apart    []float32
	partials []float32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// zeros stand for a missing bias.
var zeros [64]float32

// callBudget bounds the bytes of A that one call of a micro kernel reads, so
// that it returns within 100 µs and the scheduler gets its turn: a dword takes
// four multiplications of vectors, two cycles at best.
const callBudget = 1 << 18

// setRows points the micro kernel at row m of a. elem is the size of T.
func setRows[T any](s *scratch, a *rows[T], m, mr int) {
	size := int(unsafe.Sizeof(*new(T)))
	if a.ix != nil {
		s.a = unsafe.Pointer(unsafe.SliceData(a.x))
		s.off, s.offRow, s.offStep, s.aStep = &a.ix.off[m*a.taps], a.taps*4, mr*a.taps*4, 0
		return
	}
	s.a = unsafe.Pointer(&a.x[m*a.lda])
	s.off, s.offRow, s.offStep, s.aStep = &s.offs[0], 4, 0, mr*a.lda*size
}

// tileSums is how many sums the largest tile of float32 has.
const tileSums = 24 * 16

// setSums says what the sums of float32 run over.
func (s *scratch) setSums(taps, k int) {
	per, part := sumBlocks(taps, k)
	s.taps, s.kb, s.per, s.part, s.more = taps, k*4, per, part*4, (k-part)*4
	s.left, s.partial = taps*ceilDiv(k, part)-per, nil
	if s.left > 0 {
		s.partials = grow(s.partials, tileSums)
		s.partial = unsafe.Pointer(&s.partials[0])
	}
}

// setOffsets lists the rows of one tile of a matrix. Rows past the last repeat
// it, so that nothing behind it is read.
func (s *scratch) setOffsets(lda, rows int) {
	for i := range s.offs {
		s.offs[i] = int32(min(i, rows-1) * lda)
	}
}

// over runs the rows m0..m1-1 through the kernels of one width.
func over[T any](s *scratch, a *rows[T], ks []microKernel, m0, m1 int, ready func(m int)) {
	main := ks[0]
	work := max(1, a.taps*s.kb) * main.mr
	chunk := max(1, callBudget/work) * main.mr
	s.setPace((m1 - m0) / main.mr * a.taps * s.kb / 4)
	for m := m0; m < m1; {
		k, n := main, min(chunk, (m1-m)/main.mr*main.mr)
		if n == 0 {
			n = m1 - m
			for _, c := range ks {
				if c.mr >= n {
					k = c
				}
			}
		}
		if a.ix == nil {
			s.setOffsets(a.lda, min(n, k.mr))
		}
		setRows(s, a, m, k.mr)
		s.rows = n
		ready(m)
		k.fn(&s.microArgs)
		m += n
	}
}

// setPace spreads the next panel over the first half of so many dwords.
func (s *scratch) setPace(dwords int) { s.pace = min(64, 2*s.nextLen/max(1, dwords)+1) }

// touchBytes is the length of a row from which a tile takes long enough for its
// results to be fetched meanwhile: in shorter time they would jam what it reads.
const touchBytes = 512

// setTouch chooses whether the lines of results are fetched before they are made:
// where they are far, being more than stay near, alone or with the operands.
func (s *scratch) setTouch(far bool) {
	s.touch = 0
	if far && s.taps*s.kb >= touchBytes {
		s.touch = 1
	}
}

// A block of rows takes its turn with all panels. turnBytes is about how much of
// A it has: less than half of a small second cache. Where all of B, nearBytes at most, stays
// there too, it is what the first cache holds, nearRows: results are then written
// line by line, not panel by panel over many pages.
const (
	turnBytes = 384 << 10
	nearBytes = 1 << 20
	nearRows  = 32 << 10
)

// blockRows cuts m rows into blocks of nearly that size, for a B of some bytes.
func blockRows(m, rowBytes, right int) int {
	if right <= nearBytes {
		return max(rowGrain, nearRows/rowBytes/rowGrain*rowGrain)
	}
	blocks := max(1, (m*rowBytes+turnBytes/2)/turnBytes)
	grains := (m + rowGrain - 1) / rowGrain
	return (grains + blocks - 1) / blocks * rowGrain
}

// grain is the number of rows that cuts of an output are multiples of, so that tiles are filled: pairs of those of
// AMX; where they read the pixels of ix, which is nil for a matrix, rows of these: what begins elsewhere does not come
// in groups.
func (s *shape) grain(ix *Indirect) int {
	switch {
	case s.steps == 0 && s.lanes == 8:
		return rowGrain / 2 // six rows at most
	case s.steps == 0:
		return rowGrain
	case ix != nil && s.inPlace(ix):
		return ix.win.OW
	}
	return pairTiles * tileHeight
}

// columns prepares the masks of a panel.
func (s *scratch) columns(cols int) {
	s.mask = ^uint64(0) >> (64 - cols)
	for i := range s.masks {
		s.masks[i] = 0
		if i < cols {
			s.masks[i] = -1
		}
	}
	s.maskV = &s.masks
}

// vectors gives a pointer to whole vectors of v from n0 on: v itself, or its
// last elements copied to buf.
func vectors[T any](v []T, n0, n1, width int, buf []T) unsafe.Pointer {
	if n0+width <= len(v) {
		return unsafe.Pointer(&v[n0])
	}
	copy(buf, v[n0:n1])
	return unsafe.Pointer(&buf[0])
}

// aligned makes a slice that begins on a cache line.
func aligned[T any](n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	b := make([]T, n+64/size)
	inLargePages(unsafe.Pointer(&b[0]), len(b)*size)
	skip := int(-uintptr(unsafe.Pointer(&b[0]))&63) / size
	return b[skip:][:n:n]
}
