package main

import "fmt"

// dwInt3x3 emits a body for 3 by 3 kernels and neighbouring pixels, whose
// three rows begin at argA, argZero and argAdd and step by argAStep,
// argOffStep and argLdAdd; columns of taps lie argKB bytes apart. It does so
// for argLines rows of the output, and skips from row to row. With the 32
// registers of AVX-512 the weights and factors stay in registers.
func (f *file) dwInt3x3(isa string, width int) {
	d := &dwInt{f, isa, width, false}
	f.text(fmt.Sprintf("convolves %d channels of neighbouring pixels, 3 by 3.", width), fmt.Sprintf("dwU8S8Run%s%d", isa, width), "t *microArgs", 8*width+8, 8)
	f.p("MOVQ t+0(FP), DI")
	d.factors(argBias, 0)
	d.factors(argScale, 4)
	for _, c := range []struct {
		arg int
		to  string
	}{{argA, "SI"}, {argZero, "R8"}, {argAdd, "R9"}, {argAStep, "AX"}, {argOffStep, "DX"}, {argLdAdd, "R12"}, {argKB, "R10"}, {argC, "R14"}, {argLdc, "R15"}, {argRows, "CX"}, {argB, "BX"}} {
		f.p("MOVQ %d(DI), %s", c.arg, c.to)
	}
	f.p("LEAQ (R10)(R10*1), R11")
	d.constants3x3()
	f.p("MOVQ %d(DI), R13", argLines)
	f.p("PCALIGN $32")
	f.p("pixel:")
	for v := range 4 {
		f.p("VMOVUPS %s, %s", d.local(v), d.r(v))
	}
	for g := range 3 {
		d.group3x3(g)
	}
	d.finish(0, 4, d.held3x3)
	f.p("ADDQ AX, SI")
	f.p("ADDQ DX, R8")
	f.p("ADDQ R12, R9")
	f.p("ADDQ R15, R14")
	f.p("DECQ CX")
	f.p("JNE pixel")
	for _, x := range []string{"SI", "R8", "R9"} {
		f.p("ADDQ %d(DI), %s", argASkip, x)
	}
	f.p("ADDQ %d(DI), R14", argCSkip)
	f.p("MOVQ %d(DI), CX", argRows)
	f.p("DECQ R13")
	f.p("JNE pixel")
	f.ret()
}

// Registers above those of dwInt, where there are 32.
const (
	dwWeights = 16 // three groups of four
	dwHi      = 28
	dwZ       = 29
	dwQLo     = 30
	dwQHi     = 31
	dwFlip    = 15
	dwNought  = 14
)

func (d *dwInt) constants3x3() {
	d.p("VPXOR %s, %s, %s", reg(16, dwNought), reg(16, dwNought), reg(16, dwNought))
	if d.wide() {
		d.p("VPBROADCASTQ lowbytes<>(SB), %s", d.r(13))
	}
	if d.isa != "VNNI" {
		return
	}
	for i := range 12 {
		d.p("VMOVUPS %d(BX), %s", i*d.width, d.r(dwWeights+i))
	}
	for _, c := range []struct{ arg, to int }{{argHi, dwHi}, {argZ, dwZ}, {argQLo, dwQLo}, {argQHi, dwQHi}, {argFlip, dwFlip}} {
		d.p("VPBROADCASTD %d(DI), %s", c.arg, d.r(c.to))
	}
}

// group3x3 adds the taps 4g to 4g+3, of which group 2 has one.
func (d *dwInt) group3x3(g int) {
	for t := 4 * g; t < min(9, 4*g+4); t++ {
		addr := []string{"SI", "R8", "R9"}[t/3]
		d.p("VMOVUPS (%s)%s, %s", addr, []string{"", "(R10*1)", "(R11*1)"}[t%3], d.r(4+t%4))
	}
	if g < 2 {
		d.interleave()
	} else {
		nought := d.r(dwNought)
		d.p("VPUNPCKLBW %s, %s, %s", nought, d.r(4), d.r(8))
		d.p("VPUNPCKHBW %s, %s, %s", nought, d.r(4), d.r(9))
		d.p("VPUNPCKLWD %s, %s, %s", nought, d.r(8), d.r(4))
		d.p("VPUNPCKHWD %s, %s, %s", nought, d.r(8), d.r(5))
		d.p("VPUNPCKLWD %s, %s, %s", nought, d.r(9), d.r(6))
		d.p("VPUNPCKHWD %s, %s, %s", nought, d.r(9), d.r(7))
	}
	for v := range 4 {
		if d.isa == "VNNI" {
			d.p("VPDPBUSD %s, %s, %s", d.r(dwWeights+4*g+v), d.r(4+v), d.r(v))
		} else {
			d.dot(v, g)
		}
	}
}

// held3x3 finds the factors that constants3x3 keeps.
func (d *dwInt) held3x3(arg int) string {
	if d.isa != "VNNI" {
		return d.loaded(arg)
	}
	return d.r(map[int]int{argHi: dwHi, argZ: dwZ, argQLo: dwQLo, argQHi: dwQHi, argFlip: dwFlip}[arg])
}
