package main

import "fmt"

// planeDots is how four codes of a pixel are multiplied by four weights and added to a sum.
type planeDots struct {
	isa   string
	width int
	tiles []tile
	pairs bool
}

// Where bytes are multiplied as words, the weights of a step are twice as many: those of the even codes and of the odd ones.
var planeDotsOf = []planeDots{
	{isa: "VNNI", width: 64, tiles: planeTiles[64]},
	{isa: "AVXVNNI", width: 32, tiles: planeTiles[32]},
	{isa: "AVX2", width: 32, tiles: []tile{{1, 8}, {2, 3}}, pairs: true},
}

func init() {
	register("planes_u8s8", func(f *file) {
		f.words("lowBytes", 0x00FF00FF00FF00FF)
		for _, d := range planeDotsOf {
			for _, t := range d.tiles {
				f.planesInt(d, t.mr, t.nv)
			}
		}
	})
}

// planesInt multiplies mr rows of weights by the codes of neighbouring pixels, which lie where the offsets say at each step.
func (f *file) planesInt(d planeDots, mr, nv int) {
	width := d.width
	name := fmt.Sprintf("planesU8S8%s%dx%d", d.isa, mr, nv*width/4)
	f.text(fmt.Sprintf("makes %d channels of tiles of %d pixels.", mr, nv*width/4), name, "t *planesArgs", 0, 8)
	acc := func(r, v int) string { return reg(width, r*nv+v) }
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
		f.p("VPBROADCASTD %d(AX), %s", r*4, acc(r, 0))
		for v := 1; v < nv; v++ {
			f.p("%s %s, %s", moveOf(width), acc(r, 0), acc(r, v))
		}
	}
	f.p("MOVQ %d(DI), BX", plOff)
	f.p("MOVQ %d(DI), CX", plK)
	f.p("MOVQ %d(DI), DX", plW)
	step, bytes := f.bytesStep, mr*4
	if d.pairs {
		step, bytes = f.pairsStep, mr*8
		f.p("VPBROADCASTQ lowBytes<>(SB), Y15")
	}
	f.p("PCALIGN $32")
	f.p("loop:")
	f.p("MOVLQSX (BX), AX")
	f.p("ADDQ SI, AX")
	step(width, mr, nv, acc)
	f.p("ADDQ $4, BX")
	f.p("ADDQ $%d, DX", bytes)
	f.p("DECQ CX")
	f.p("JNE loop")
	f.p("MOVQ %d(DI), AX", plScale)
	f.p("MOVQ R8, R11")
	f.p("CMPL %d(DI), $0", plKind)
	f.p("JNE real")
	f.planesCodes(width, mr, nv, acc)
	f.p("ADDQ $%d, R8", nv*width/4)
	f.p("JMP next")
	f.p("real:")
	f.planesReal(width, mr, nv, acc)
	f.p("ADDQ $%d, R8", nv*width)
	f.p("next:")
	f.p("ADDQ $%d, SI", nv*width)
	f.p("DECQ R9")
	f.p("JNE tile")
	f.ret()
}

func moveOf(width int) string { return map[int]string{64: "VMOVDQA64", 32: "VMOVDQA"}[width] }

func loadOf(width int) string { return map[int]string{64: "VMOVDQU64", 32: "VMOVDQU"}[width] }

// bytesStep multiplies bytes.
func (f *file) bytesStep(width, mr, nv int, acc func(r, v int) string) {
	n := map[int]int{64: 32, 32: 16}[width]
	pixels := nv // in registers at a time
	if mr == 1 {
		pixels = min(4, n-mr*nv-1)
	}
	x := func(v int) int { return mr*nv + v%pixels }
	first := mr*nv + pixels
	spare := min(4, n-first)
	for r := range mr {
		w := first + r%spare
		f.p("VPBROADCASTD %d(DX), %s", r*4, reg(width, w))
		for v := range nv {
			if r == 0 {
				f.p("%s %d(AX), %s", loadOf(width), v*width, reg(width, x(v)))
			}
			if width == 64 {
				f.p("VPDPBUSD %s, %s, %s", reg(width, w), reg(width, x(v)), acc(r, v))
			} else {
				f.dpbusdVEX(width, w, x(v), number(acc(r, v)))
			}
		}
	}
}

// pairsStep multiplies the even bytes as words, and the odd ones.
func (f *file) pairsStep(width, mr, nv int, acc func(r, v int) string) {
	w := func(r, odd int) string { return reg(width, mr*nv+2*r+odd) }
	first := mr*nv + 2*mr
	x, product := [2]string{reg(width, first), reg(width, first+1)}, reg(width, first+2)
	for r := range mr {
		for odd := range 2 {
			f.p("VPBROADCASTD %d(DX), %s", r*8+odd*4, w(r, odd))
		}
	}
	for v := range nv {
		f.p("VMOVDQU %d(AX), %s", v*width, x[0])
		f.p("VPSRLW $8, %s, %s", x[0], x[1])
		f.p("VPAND Y15, %s, %s", x[0], x[0])
		for r := range mr {
			for odd := range 2 {
				f.p("VPMADDWD %s, %s, %s", w(r, odd), x[odd], product)
				f.p("VPADDD %s, %s, %s", product, acc(r, v), acc(r, v))
			}
		}
	}
}

// planesCodes requantizes the sums and stores their codes, a byte each.
func (f *file) planesCodes(width, mr, nv int, acc func(r, v int) string) {
	c := func(i int) string { return reg(width, mr*nv+i) }
	f.p("VBROADCASTSS %d(DI), %s", plLo, c(1))
	f.p("VBROADCASTSS %d(DI), %s", plHi, c(2))
	for r := range mr {
		f.p("VBROADCASTSS %d(AX), %s", r*4, c(0))
		for v := range nv {
			a := acc(r, v)
			f.p("VCVTDQ2PS %s, %s", a, a)
			f.p("VMULPS %s, %s, %s", c(0), a, a)
			f.p("VMAXPS %s, %s, %s", c(1), a, a)
			f.p("VMINPS %s, %s, %s", c(2), a, a)
			f.p("VCVTPS2DQ %s, %s", a, a)
		}
	}
	f.p("VPBROADCASTD %d(DI), %s", plZero, c(0))
	f.p("VPBROADCASTD %d(DI), %s", plQLo, c(1))
	f.p("VPBROADCASTD %d(DI), %s", plQHi, c(2))
	for r := range mr {
		if r > 0 {
			f.p("ADDQ R10, R11")
		}
		for v := range nv {
			a := acc(r, v)
			f.p("VPADDD %s, %s, %s", c(0), a, a)
			f.p("VPMAXSD %s, %s, %s", c(1), a, a)
			f.p("VPMINSD %s, %s, %s", c(2), a, a)
			if width == 64 {
				f.p("VPMOVDB %s, %d(R11)", a, v*16)
				continue
			}
			f.p("VPACKUSDW %s, %s, %s", a, a, a)
			f.p("VPACKUSWB %s, %s, %s", a, a, a)
			low := reg(16, number(a))
			f.p("VMOVD %s, %d(R11)", low, v*8)
			f.p("VEXTRACTI128 $1, %s, %s", a, low)
			f.p("VMOVD %s, %d(R11)", low, v*8+4)
		}
	}
}

// planesReal dequantizes the sums and stores them.
func (f *file) planesReal(width, mr, nv int, acc func(r, v int) string) {
	scale, shift := reg(width, mr*nv), reg(width, mr*nv+1)
	f.p("MOVQ %d(DI), BX", plShift)
	for r := range mr {
		if r > 0 {
			f.p("ADDQ R10, R11")
		}
		f.p("VBROADCASTSS %d(AX), %s", r*4, scale)
		f.p("VBROADCASTSS %d(BX), %s", r*4, shift)
		for v := range nv {
			a := acc(r, v)
			f.p("VCVTDQ2PS %s, %s", a, a)
			f.p("VMULPS %s, %s, %s", scale, a, a)
			f.p("VADDPS %s, %s, %s", shift, a, a)
			f.p("%s %s, %d(R11)", loadOf(width), a, v*width)
		}
	}
}
