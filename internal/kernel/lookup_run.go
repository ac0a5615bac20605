//go:build amd64 && !purego

package kernel

import "unsafe"

// lookupTiles are the bodies by the height of their tiles, tallest first.
var lookupTiles = []microKernel{{6, lookup6x64}, {2, lookup2x64}, {1, lookup1x64}}

// fitsLookup says whether the counts of some steps fit in 16 bits.
func fitsLookup(kd, taps int) bool { return kd*taps*lookupGroup < 1<<16 }

// pack cuts a weight into panels and writes its steps. Past the last panel are steps that fill a round.
func (k *lookup) pack(s *shape, w []int8, o Order) {
	s.lanes, s.kd, s.per = lookupColumns/2, k.kd, 1
	k.steps = aligned[uint8](s.cut(widthsY) + lookupRound*lookupColumns)
	for _, pn := range s.panels {
		for tap := range s.taps {
			dst := k.steps[pn.off+tap*k.kd*lookupColumns:]
			for j := range pn.n1 - pn.n0 {
				src := w[(pn.n0+j)*o.N+tap*o.Tap:]
				for i := range s.k {
					dst[i/lookupGroup*lookupColumns+lookupAt(j)] |= uint8(src[i*o.K]) >> 7 << (i % lookupGroup)
				}
			}
		}
	}
}

// lookupAt is where a column lies in a step: sixteen in the even bytes of a vector, the next in its odd ones.
func lookupAt(column int) int { return column&^31 | column%16*2 | column/16%2 }

// lookupRows is the number of rows whose counts are kept at a time.
const lookupRows = 48

func (k *lookup) run(s *scratch, w *shape, a *rows[uint8], out *OutU8S8, r Range, tapBase int32) {
	s.bases(a, r, tapBase)
	k.setPadding(s, a.taps)
	for m := r.M0; m < r.M1; m += lookupRows {
		end := min(r.M1, m+lookupRows)
		pitch := k.pair(s, a, m, end)
		for _, pn := range w.panels[r.P0:r.P1] {
			k.count(s, pn, end-m, pitch)
			for n0 := pn.n0; n0 < pn.n1; n0 += 16 {
				k.store(s, out, r.M0, m, end, n0, min(n0+16, pn.n1), n0-pn.n0)
			}
		}
	}
}

// setPadding makes the row that is read where there is none, and a list of such rows.
func (k *lookup) setPadding(s *scratch, taps int) {
	s.pad = grow(s.pad, k.rowBytes())
	for i := 0; i < len(s.pad); i += 2 {
		s.pad[i], s.pad[i+1] = 0, lookupPadding*16>>8
	}
	s.none = grow(s.none, taps)
	fill(s.none, -1)
}

// pair lists where the tables of the rows m to end-1 begin, taken in pairs, in whole rounds of steps. It returns the bytes
// from pair to pair.
func (k *lookup) pair(s *scratch, a *rows[uint8], m, end int) (pitch int) {
	const round = 2 * lookupRound
	size := k.rowBytes()
	pitch = (size*a.taps + round - 1) / round * round
	s.block = grow(s.block, lookupRows/2*pitch)
	for i := m; i < end; i += 2 {
		dst := s.block[(i-m)/2*pitch:][:pitch]
		x, first, second := a.pair(s, i, end)
		pairSteps(&dst[0], x, &s.pad[0], first, second, a.taps, size)
		for j := size * a.taps; j < pitch; j += 2 {
			padding := (1 + pairTables) * lookupPadding * 16
			dst[j], dst[j+1] = uint8(padding), uint8(padding>>8)
		}
	}
	return pitch
}

// pair gives the offsets of row i at all taps, from x on, and of the next one, if it comes before end.
func (a *rows[T]) pair(s *scratch, i, end int) (x *T, first, second *int32) {
	second = &s.none[0]
	if a.ix != nil {
		if i+1 < end {
			second = &a.ix.off[(i+1)*a.taps]
		}
		return unsafe.SliceData(a.x), &a.ix.off[i*a.taps], second
	}
	if i+1 < end {
		s.offs[1] = int32(a.lda)
		second = &s.offs[1]
	}
	s.offs[0] = 0
	return &a.x[i*a.lda], &s.offs[0], second
}

// count adds up the counts of some rows, listed pair by pair, and the columns of a panel.
func (k *lookup) count(s *scratch, pn panel, rows, pitch int) {
	s.wide = grow(s.wide, lookupRows*lookupColumns)
	clear(s.wide)
	s.aStep, s.ldc, s.taps = pitch, lookupColumns*2, pitch/(2*lookupRound)
	s.b, s.scale = unsafe.Pointer(&k.steps[pn.off]), unsafe.Pointer(&signTables[0])
	for i, t := 0, lookupTiles; i < rows; i += t[0].mr {
		for t[0].mr > rows-i {
			t = t[1:]
		}
		s.a, s.c = unsafe.Pointer(&s.block[i/2*pitch]), unsafe.Pointer(&s.wide[i*lookupColumns])
		t[0].fn(&s.microArgs)
	}
}

// store writes the sums of the rows m to end-1 and the columns n0 to n1-1, whose counts begin at
// column c of the scratch. Bases begin at row first.
func (k *lookup) store(s *scratch, out *OutU8S8, first, m, end, n0, n1, c int) {
	s.factors(out, n0, n1, 16)
	s.a, s.aStep = unsafe.Pointer(&s.wide[c]), 4*lookupColumns*2
	s.add, s.ldAdd, s.rows = unsafe.Pointer(&s.sums[m-first]), 4, end-m
	var size int
	s.c, size = out.at(m*out.Ldc + n0)
	s.ldc = out.Ldc * size
	if n1-n0 == 16 {
		countsToRows(&s.microArgs)
		return
	}
	// Whole vectors are stored: the last columns pass through the tile.
	s.c, s.ldc = unsafe.Pointer(&s.tile), 16*size
	countsToRows(&s.microArgs)
	for i := m; i < end; i++ {
		dst, _ := out.at(i*out.Ldc + n0)
		n := (n1 - n0) * size
		copy(unsafe.Slice((*byte)(dst), n), unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&s.tile), (i-m)*s.ldc)), n))
	}
}
