package main

import "fmt"

// The argument of the kernels over planes is a *planesArgs, whose fields are at these offsets:
const (
	plX       = 0
	plOff     = 8
	plK       = 16
	plW       = 24
	plBias    = 32
	plC       = 40
	plLdc     = 48
	plTiles   = 56
	plLo      = 64
	plHi      = 68
	plScale   = 72
	plShift   = 80
	plKind    = 88
	plZero    = 92
	plQLo     = 96
	plQHi     = 100
	plPart    = 104
	plPartial = 112
)

// planeTiles are rows of weights by vectors of pixels: accumulators enough to hide what an addition takes, and for
// each step as few loads as there is room for.
var planeTiles = map[int][]tile{
	64: {{1, 8}, {2, 6}, {3, 6}, {4, 6}, {6, 4}, {8, 3}},
	32: {{1, 8}, {2, 4}, {3, 3}, {4, 3}},
}

func init() {
	register("planes_f32", func(f *file) {
		for _, width := range []int{64, 32} {
			for _, t := range planeTiles[width] {
				f.planes(width, t.mr, t.nv)
			}
		}
	})
}

// A planesTile is the body of one tile, in registers of some bytes.
type planesTile struct {
	*file
	width, mr, nv int
}

func (p *planesTile) acc(r, v int) string { return reg(p.width, r*p.nv+v) }
func (p *planesTile) x(v int) string      { return reg(p.width, p.mr*p.nv+v) }

// w rotates over the registers that are left.
func (p *planesTile) w(r int) string {
	first := p.mr * p.nv
	if p.mr > 1 {
		first += p.nv
	}
	spare := min(4, p.width/2-first)
	if spare < 1 {
		panic(fmt.Sprintf("planes of %d by %d need too many registers", p.mr, p.nv))
	}
	return reg(p.width, first+r%spare)
}

// planes multiplies mr rows of weights by neighbouring pixels, which lie where the offsets say at each step.
func (f *file) planes(width, mr, nv int) {
	p := &planesTile{f, width, mr, nv}
	name := fmt.Sprintf("planesF32%s%dx%d", isaOf(width), mr, nv*width/4)
	f.text(fmt.Sprintf("makes %d channels of tiles of %d pixels.", mr, nv*width/4), name, "t *planesArgs", 0, 8)
	f.p("MOVQ t+0(FP), DI")
	for _, load := range []struct {
		at  int
		reg string
	}{{plX, "SI"}, {plC, "R8"}, {plTiles, "R9"}, {plLdc, "R10"}} {
		f.p("MOVQ %d(DI), %s", load.at, load.reg)
	}
	f.p("tile:")
	p.start()
	p.block()
	p.store()
	f.p("ADDQ $%d, SI", nv*width)
	f.p("ADDQ $%d, R8", nv*width)
	f.p("DECQ R9")
	f.p("JNE tile")
	f.p("JMP end")
	p.between()
	f.p("end:")
	f.ret()
}

// start loads the bias, and where the tile begins.
func (p *planesTile) start() {
	p.p("MOVQ %d(DI), AX", plBias)
	for r := range p.mr {
		p.p("VBROADCASTSS %d(AX), %s", r*4, p.acc(r, 0))
		for v := 1; v < p.nv; v++ {
			p.p("VMOVAPS %s, %s", p.acc(r, 0), p.acc(r, v))
		}
	}
	p.p("MOVQ %d(DI), BX", plOff)
	p.p("MOVQ %d(DI), R12", plK)
	p.p("MOVQ %d(DI), DX", plW)
	p.p("XORL R13, R13")
}

// block adds up a block of products. R12 is what is left, R13 the sums of the blocks before, 0 where there are none.
func (p *planesTile) block() {
	p.p("block:")
	p.p("MOVQ %d(DI), CX", plPart)
	p.p("CMPQ CX, R12")
	p.p("CMOVQGT R12, CX")
	p.p("SUBQ CX, R12")
	p.p("PCALIGN $32")
	p.p("loop:")
	p.p("MOVLQSX (BX), AX")
	p.p("ADDQ SI, AX")
	if p.mr > 1 {
		for v := range p.nv {
			p.p("VMOVUPS %d(AX), %s", v*p.width, p.x(v))
		}
	}
	for r := range p.mr {
		p.p("VBROADCASTSS %d(DX), %s", r*4, p.w(r))
		for v := range p.nv {
			if p.mr > 1 {
				p.p("VFMADD231PS %s, %s, %s", p.x(v), p.w(r), p.acc(r, v))
			} else {
				p.p("VFMADD231PS %d(AX), %s, %s", v*p.width, p.w(r), p.acc(r, v))
			}
		}
	}
	p.p("ADDQ $4, BX")
	p.p("ADDQ $%d, DX", p.mr*4)
	p.p("DECQ CX")
	p.p("JNE loop")
	p.p("TESTQ R12, R12")
	p.p("JNE more")
	p.p("TESTQ R13, R13")
	p.p("JNE join")
	p.p("summed:")
}

// store clamps the sums and writes them.
func (p *planesTile) store() {
	lo, hi := reg(p.width, p.mr*p.nv), reg(p.width, p.mr*p.nv+1)
	p.p("VBROADCASTSS %d(DI), %s", plLo, lo)
	p.p("VBROADCASTSS %d(DI), %s", plHi, hi)
	p.p("MOVQ R8, R11")
	for r := range p.mr {
		if r > 0 {
			p.p("ADDQ R10, R11")
		}
		for v := range p.nv {
			a := p.acc(r, v)
			p.p("VMAXPS %s, %s, %s", a, lo, a) // the bound comes first, so that a NaN in the sum survives
			p.p("VMINPS %s, %s, %s", a, hi, a)
			p.p("VMOVUPS %s, %d(R11)", a, v*p.width)
		}
	}
}

// between is what stands between blocks, out of the way of sums that have but one.
func (p *planesTile) between() {
	all := p.mr * p.nv
	p.p("more:")
	p.p("TESTQ R13, R13")
	p.p("JEQ first")
	p.partial("R13", p.width, all, true, false)
	p.p("first:")
	p.p("MOVQ %d(DI), R13", plPartial)
	p.partial("R13", p.width, all, false, true)
	p.empty(all)
	p.p("JMP block")
	p.p("join:")
	p.partial("R13", p.width, all, true, false)
	p.p("JMP summed")
}
