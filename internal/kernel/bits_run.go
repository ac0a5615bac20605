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
	s.ldAdd = 4
	for pi := r.P0; pi < r.P1; pi++ {
		pn, next := p.panels[pi], p.panels[min(pi+1, len(p.panels)-1)]
		s.columns(pn.n1 - pn.n0)
		s.factors(out, pn.n0, pn.n1, pn.nv*16)
		s.b, s.next = unsafe.Pointer(&p.words[pn.off]), unsafe.Pointer(&p.words[next.off])
		s.nextLen = next.nv * 64 * p.taps * p.kd
		_, size := out.at(r.M0*out.Ldc + pn.n0)
		s.ldc = out.Ldc * size
		over(s, a, p.set[pn.nv], r.M0, r.M1, func(m int) {
			s.c, _ = out.at(m*out.Ldc + pn.n0)
			s.add = unsafe.Pointer(&s.sums[m-r.M0])
		})
	}
}
