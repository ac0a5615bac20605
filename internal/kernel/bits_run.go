//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// microBits counts the bits of 16 dwords at a time. Rows are no more than the masks that leave
// padding out.
var microBits = microSet{
	4: {{3, bitsAVX5123x64}, {2, bitsAVX5122x64}, {1, bitsAVX5121x64}},
	3: {{4, bitsAVX5124x48}, {2, bitsAVX5122x48}, {1, bitsAVX5121x48}},
	2: {{6, bitsAVX5126x32}, {3, bitsAVX5123x32}, {1, bitsAVX5121x32}},
	1: {{6, bitsAVX5126x16}, {3, bitsAVX5123x16}, {1, bitsAVX5121x16}},
}

var signsAsm = variants[signsFn]{{AVX2, 32, signsAVX2}}

var logCodesAsm = variants[logCodesFn]{{AVX2, 32, logCodesAVX2}}

func (p *PackedBits) pack(w []int8, o Order) {
	switch l := p.level; {
	case p.k == 0:
		p.packGeneric(w, o)
	case l.use(AVX512) && cpu.X86.HasAVX512VPOPCNTDQ:
		p.lanes, p.set = 16, &microBits
		p.packWords(w, o, widthsZ)
	case l.use(AVX2) && fitsLookup(lookupSteps(p.k), p.taps):
		p.look = &lookup{kd: lookupSteps(p.k)}
		p.look.pack(&p.shape, w, o)
	default:
		p.packGeneric(w, o)
	}
}

// packRowFast packs whole dwords of codes and returns how many codes that were.
func (p *PackedBits) packRowFast(row, codes []uint8) int {
	n := len(codes) / 32 * 32
	if n == 0 || !p.level.use(AVX2) {
		return 0
	}
	if p.look != nil {
		signStepsAVX2(&row[0], &codes[0], n)
	} else {
		signBitsAVX2(&row[0], &codes[0], n)
	}
	return n
}

func (p *PackedBits) runFast(a *rows[uint8], out *OutU8S8, r Range) bool {
	if p.set == nil && p.look == nil {
		return false
	}
	s := scratches.Get().(*scratch)
	s.setOutput(out)
	if p.look != nil {
		p.look.run(s, &p.shape, a, out, r, p.tapBase())
	} else {
		p.countBits(s, a, out, r)
	}
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}

// tapBase is what a tap in the image adds to a sum beside what is counted. Tables count the equal signs, those past
// the last channel included.
func (p *PackedBits) tapBase() int32 {
	if p.look == nil {
		return int32(p.k)
	}
	return int32(p.k - 2*lookupGroup*p.look.kd)
}

// bases lists the sums for a count of 0 of the rows of a range, in s.sums.
func (s *scratch) bases(a *rows[uint8], r Range, tap int32) {
	s.sums = grow(s.sums, r.M1-r.M0+spareRows)
	for i := range s.sums {
		s.sums[i] = a.within(min(r.M0+i, r.M1-1)) * tap
	}
}

func (p *PackedBits) countBits(s *scratch, a *rows[uint8], out *OutU8S8, r Range) {
	s.taps, s.kb = p.taps, p.kd*4
	s.pad = grow(s.pad, s.kb)
	s.zero = unsafe.Pointer(&s.pad[0])
	s.bases(a, r, p.tapBase())
	for pi := r.P0; pi < r.P1; pi++ {
		pn, next := p.panels[pi], p.panels[min(pi+1, len(p.panels)-1)]
		s.columns(pn.n1 - pn.n0)
		s.factors(out, pn.n0, pn.n1, pn.nv*16)
		s.b, s.next = unsafe.Pointer(&p.words[pn.off]), unsafe.Pointer(&p.words[next.off])
		s.nextLen = next.nv * 64 * p.taps * p.kd
		s.setPace((r.M1 - r.M0) / p.set[pn.nv][0].mr * p.taps * p.kd)
		_, size := out.at(r.M0*out.Ldc + pn.n0)
		a.alike(r, func(m, n, step int) {
			s.ldc, s.ldAdd = step*out.Ldc*size, step*4
			overSteps(s, a, p.set[pn.nv], m, n, step, func(m int) {
				s.c, _ = out.at(m*out.Ldc + pn.n0)
				s.add = unsafe.Pointer(&s.sums[m-r.M0])
			})
		})
	}
}

// alike gives the rows of a range in stretches of n, step apart from m on, that meet padding at the same taps as far as
// columns of the image go: a tile whose rows all do passes such a tap over.
func (a *rows[T]) alike(r Range, f func(m, n, step int)) {
	if a.ix == nil || a.ix.inside || a.ix.win.KH == 0 {
		f(r.M0, r.M1-r.M0, 1)
		return
	}
	w := &a.ix.win
	w.segments(r.M0, r.M1, f, func(b block) {
		for y := range b.lines {
			f((b.oy+y)*w.OW+b.ox, b.n, 1)
		}
	})
}

// overSteps runs n rows, step apart from m on, through the kernels of one width. No row past them is read.
func overSteps(s *scratch, a *rows[uint8], ks []microKernel, m, n, step int, ready func(m int)) {
	work := max(1, a.taps*s.kb) * ks[0].mr
	chunk := max(1, callBudget/work)
	for n > 0 {
		for ks[0].mr > n {
			ks = ks[1:]
		}
		mr := ks[0].mr
		s.rows = min(chunk, n/mr) * mr
		if a.ix == nil {
			s.setOffsets(a.lda, mr)
		}
		setRows(s, a, m, mr)
		s.offRow *= step
		s.offStep *= step
		ready(m)
		ks[0].fn(&s.microArgs)
		s.fetchOn(s.rows / mr)
		m, n = m+s.rows*step, n-s.rows
	}
}

// fetchOn lets the next call fetch what lies behind what some tiles have fetched.
func (s *scratch) fetchOn(tiles int) {
	if n := tiles * s.taps * s.kb / 4 * s.pace; n < s.nextLen {
		s.next, s.nextLen = unsafe.Add(s.next, n), s.nextLen-n
	}
}
