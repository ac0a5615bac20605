//go:build amd64 && !purego

package kernel

import "unsafe"

var microLookup = []microKernel{{6, lookup6x64}, {2, lookup2x64}, {1, lookup1x64}}

// fitsLookup says whether the counts of some steps fit in 16 bits.
func fitsLookup(kd, taps int) bool { return kd*taps*lookupMost < 1<<16 }

// pack cuts a weight into panels and writes its steps; code gives the bits of one weight.
func (k *lookup) pack(s *shape, w []int8, o Order, code func(w int8) uint8) {
	s.lanes, s.kd, s.per = lookupColumns/2, k.kd, 1
	k.steps = aligned[uint8](s.cut(widthsY))
	bits := 4 / k.group
	for _, pn := range s.panels {
		for tap := range s.taps {
			dst := k.steps[pn.off+tap*k.kd*lookupColumns:]
			for j := range pn.n1 - pn.n0 {
				src := w[(pn.n0+j)*o.N+tap*o.Tap:]
				for i := range s.k {
					dst[i/k.group*lookupColumns+j] |= code(src[i*o.K]) << (i % k.group * bits)
				}
			}
		}
	}
}

// lookupRows is the number of rows whose counts are kept at a time.
const lookupRows = 48

func (k *lookup) run(s *scratch, w *shape, a *rows[uint8], out *OutU8S8, r Range, base func(in int32) int32) {
	s.bases(a, r, base)
	s.pad = grow(s.pad, k.rowBytes())
	for i := 0; i < len(s.pad); i += 2 {
		s.pad[i], s.pad[i+1] = uint8(len(k.tables)-16), uint8((len(k.tables)-16)>>8)
	}
	s.zero = unsafe.Pointer(&s.pad[0])
	s.wide = grow(s.wide, (lookupRows+spareRows)*lookupColumns)
	for pi := r.P0; pi < r.P1; pi++ {
		pn := w.panels[pi]
		for m := r.M0; m < r.M1; m += lookupRows {
			end := min(r.M1, m+lookupRows)
			s.taps, s.kb, s.ldc = w.taps, k.rowBytes(), lookupColumns*2
			s.b, s.scale = unsafe.Pointer(&k.steps[pn.off]), unsafe.Pointer(&k.tables[0])
			over(s, a, microLookup, m, end, func(i int) { s.c = unsafe.Pointer(&s.wide[(i-m)*lookupColumns]) })
			for n0 := pn.n0; n0 < pn.n1; n0 += 16 {
				k.store(s, out, r.M0, m, end, n0, min(n0+16, pn.n1), n0-pn.n0)
			}
		}
	}
}

// store writes the sums of the rows m to end-1 and the columns n0 to n1-1, whose counts begin at
// column c of the scratch. Bases begin at row first.
func (k *lookup) store(s *scratch, out *OutU8S8, first, m, end, n0, n1, c int) {
	s.factors(out, n0, n1, 16)
	s.a, s.aStep, s.taps = unsafe.Pointer(&s.wide[c]), 4*lookupColumns*2, int(k.factor)
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
