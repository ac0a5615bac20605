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

// planes multiplies mr rows of weights by neighbouring pixels, which lie where the offsets say at each step.
func (f *file) planes(width, mr, nv int) {
	name := fmt.Sprintf("planesF32%s%dx%d", isaOf(width), mr, nv*width/4)
	f.text(fmt.Sprintf("makes %d channels of tiles of %d pixels.", mr, nv*width/4), name, "t *planesArgs", 0, 8)
	acc := func(r, v int) string { return reg(width, r*nv+v) }
	x := func(v int) string { return reg(width, mr*nv+v) }
	first := mr * nv
	if mr > 1 {
		first += nv
	}
	spare := min(4, width/2-first)
	if spare < 1 {
		panic(name + " needs too many registers")
	}
	w := func(r int) string { return reg(width, first+r%spare) }
	f.p("MOVQ t+0(FP), DI")
	for _, load := range []struct {
		at  int
		reg string
	}{{plX, "SI"}, {plC, "R8"}, {plTiles, "R9"}, {plLdc, "R10"}} {
		f.p("MOVQ %d(DI), %s", load.at, load.reg)
	}
	f.p("tile:")
	f.p("MOVQ %d(DI), AX", plBias)
	for r := range mr {
		f.p("VBROADCASTSS %d(AX), %s", r*4, acc(r, 0))
		for v := 1; v < nv; v++ {
			f.p("VMOVAPS %s, %s", acc(r, 0), acc(r, v))
		}
	}
	f.p("MOVQ %d(DI), BX", plOff)
	f.p("MOVQ %d(DI), R12", plK)
	f.p("MOVQ %d(DI), DX", plW)
	f.p("XORL R13, R13")
	f.p("block:") // R12 is what is left, R13 the sums of the blocks before, 0 where there are none
	f.p("MOVQ %d(DI), CX", plPart)
	f.p("CMPQ CX, R12")
	f.p("CMOVQGT R12, CX")
	f.p("SUBQ CX, R12")
	f.p("PCALIGN $32")
	f.p("loop:")
	f.p("MOVLQSX (BX), AX")
	f.p("ADDQ SI, AX")
	if mr > 1 {
		for v := range nv {
			f.p("VMOVUPS %d(AX), %s", v*width, x(v))
		}
	}
	for r := range mr {
		f.p("VBROADCASTSS %d(DX), %s", r*4, w(r))
		for v := range nv {
			if mr > 1 {
				f.p("VFMADD231PS %s, %s, %s", x(v), w(r), acc(r, v))
			} else {
				f.p("VFMADD231PS %d(AX), %s, %s", v*width, w(r), acc(r, v))
			}
		}
	}
	f.p("ADDQ $4, BX")
	f.p("ADDQ $%d, DX", mr*4)
	f.p("DECQ CX")
	f.p("JNE loop")
	f.p("TESTQ R12, R12")
	f.p("JNE more")
	f.p("TESTQ R13, R13")
	f.p("JNE join")
	f.p("summed:")
	lo, hi := reg(width, mr*nv), reg(width, mr*nv+1)
	f.p("VBROADCASTSS %d(DI), %s", plLo, lo)
	f.p("VBROADCASTSS %d(DI), %s", plHi, hi)
	f.p("MOVQ R8, R11")
	for r := range mr {
		if r > 0 {
			f.p("ADDQ R10, R11")
		}
		for v := range nv {
			a := acc(r, v)
			f.p("VMAXPS %s, %s, %s", a, lo, a) // the bound comes first, so that a NaN in the sum survives
			f.p("VMINPS %s, %s, %s", a, hi, a)
			f.p("VMOVUPS %s, %d(R11)", a, v*width)
		}
	}
	f.p("ADDQ $%d, SI", nv*width)
	f.p("ADDQ $%d, R8", nv*width)
	f.p("DECQ R9")
	f.p("JNE tile")
	f.p("JMP end")
	f.p("more:")
	f.p("TESTQ R13, R13")
	f.p("JEQ first")
	f.partial("R13", width, mr*nv, true, false)
	f.p("first:")
	f.p("MOVQ %d(DI), R13", plPartial)
	f.partial("R13", width, mr*nv, false, true)
	f.empty(mr * nv)
	f.p("JMP block")
	f.p("join:")
	f.partial("R13", width, mr*nv, true, false)
	f.p("JMP summed")
	f.p("end:")
	f.ret()
}
