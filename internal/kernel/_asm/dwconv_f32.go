package main

import "fmt"

// Depthwise convolution in float32: vectors of channels, taps by a list of
// offsets. The argument is a *microArgs with one row per pixel; argB holds
// [tap][nv vectors].

func init() {
	register("dwconv_f32", func(f *file) {
		for nv := 1; nv <= 4; nv++ {
			f.dwF32(64, 1, nv, true, false)
			for _, px := range []int{6, 2, 1} {
				f.dwF32(64, px, nv, false, false)
			}
		}
		f.dwF32(64, 1, 1, true, true)
		for nv := 1; nv <= 2; nv++ {
			f.dwF32(32, 1, nv, true, false)
			for _, px := range []int{6, 2, 1} {
				f.dwF32(32, px, nv, false, false)
			}
		}
	})
}

type dwF32 struct {
	*file
	width, px, nv int
	masked        bool
}

func (d *dwF32) acc(p, v int) string { return reg(d.width, p*d.nv+v) }
func (d *dwF32) wv(v int) string     { return reg(d.width, d.px*d.nv+v) }
func (d *dwF32) mask(v int) string {
	if d.masked {
		return fmt.Sprintf("K%d, ", v+1)
	}
	return ""
}

// curLines counts the rows of the output that are left.
const curLines = "lines-48(SP)"

// dwPixels are the registers that hold the addresses of neighbouring pixels.
var dwPixels = []string{"SI", "R8", "R9", "R10", "R11", "R12", "R13", "DX"}

// dwF32 emits a kernel of px pixels at a time. Indirect ones have offsets for
// each pixel; direct ones share the offsets of the taps, and pixels lie
// argAStep bytes apart; they do argLines rows of the output, and skip from row
// to row. argRows must be a multiple of px. Masked ones touch only the
// channels of argMask.
func (f *file) dwF32(width, px, nv int, indirect, masked bool) {
	d := &dwF32{f, width, px, nv, masked}
	isa, kind := "AVX512", fmt.Sprintf("Run%d", px)
	if width == 32 {
		isa = "AVX2"
	}
	if indirect {
		kind = "Pixel"
	}
	if masked {
		kind = "Masked"
	}
	f.text(fmt.Sprintf("convolves %d channels of pixels, %d at a time.", nv*width/4, px),
		fmt.Sprintf("dwF32%s%s%d", kind, isa, nv), "t *microArgs", 48, 8)
	d.open()
	f.p("pixel:")
	d.start(indirect)
	f.p("PCALIGN $32")
	f.p("taps:")
	d.tap(indirect)
	f.p("DECQ CX")
	f.p("JNE taps")
	d.finish()
	d.advance(indirect)
	f.ret()
}

func (d *dwF32) open() {
	d.p("MOVQ t+0(FP), DI")
	for _, c := range []struct {
		arg int
		cur string
	}{{argOff, curOff}, {argA, curA}, {argC, curC}, {argAdd, curAdd}, {argRows, curRows}, {argLines, curLines}} {
		d.p("MOVQ %d(DI), AX", c.arg)
		d.p("MOVQ AX, %s", c.cur)
	}
	if d.masked {
		d.p("MOVQ %d(DI), AX", argMask)
		for v := range d.nv {
			d.p("KMOVW AX, K%d", v+1)
			d.p("SHRQ $16, AX")
		}
	}
}

func (d *dwF32) start(indirect bool) {
	d.p("MOVQ %d(DI), AX", argBias)
	for v := range d.nv {
		d.p("VMOVUPS %d(AX), %s", v*d.width, d.acc(0, v))
	}
	for p := 1; p < d.px; p++ {
		for v := range d.nv {
			d.p("VMOVAPS %s, %s", d.acc(0, v), d.acc(p, v))
		}
	}
	d.p("MOVQ %s, SI", curA)
	if indirect {
		d.p("MOVQ %d(DI), DX", argZero)
	}
	for p := 1; p < d.px; p++ {
		d.p("MOVQ %s, %s", dwPixels[p-1], dwPixels[p])
		d.p("ADDQ %d(DI), %s", argAStep, dwPixels[p])
	}
	d.p("MOVQ %d(DI), BX", argB)
	d.p("MOVQ %s, R15", curOff)
	d.p("MOVQ %d(DI), CX", argTaps)
}

func (d *dwF32) tap(indirect bool) {
	d.p("MOVLQSX (R15), AX")
	if indirect {
		d.p("TESTQ AX, AX")
		d.p("LEAQ (SI)(AX*4), AX")
		d.p("CMOVQLT DX, AX")
	}
	d.p("ADDQ $4, R15")
	for v := range d.nv {
		d.p("VMOVUPS %d(BX), %s", v*d.width, d.wv(v))
	}
	for p := range d.px {
		addr := fmt.Sprintf("(%s)(AX*4)", dwPixels[p])
		if indirect {
			addr = "(AX)"
		}
		for v := range d.nv {
			d.p("VFMADD231PS %d%s, %s, %s%s", v*d.width, addr, d.wv(v), d.mask(v), d.acc(p, v))
		}
	}
	d.p("ADDQ $%d, BX", d.nv*d.width)
}

func (d *dwF32) finish() {
	d.p("MOVQ %s, SI", curAdd)
	d.p("TESTQ SI, SI")
	d.p("JEQ added")
	for p := range d.px {
		for v := range d.nv {
			d.p("VADDPS %d(SI), %s, %s%s", v*d.width, d.acc(p, v), d.mask(v), d.acc(p, v))
		}
		d.p("ADDQ %d(DI), SI", argLdAdd)
	}
	d.p("MOVQ SI, %s", curAdd)
	d.p("added:")
	lo, hi := reg(d.width, d.px*d.nv), reg(d.width, d.px*d.nv+1)
	d.p("VBROADCASTSS %d(DI), %s", argLo, lo)
	d.p("VBROADCASTSS %d(DI), %s", argHi, hi)
	d.p("MOVQ %s, SI", curC)
	for p := range d.px {
		for v := range d.nv {
			a := d.acc(p, v)
			d.p("VMAXPS %s, %s, %s", a, lo, a)
			d.p("VMINPS %s, %s, %s", a, hi, a)
			d.p("VMOVUPS %s, %s%d(SI)", a, d.mask(v), v*d.width)
		}
		d.p("ADDQ %d(DI), SI", argLdc)
	}
	d.p("MOVQ SI, %s", curC)
}

func (d *dwF32) advance(indirect bool) {
	if indirect {
		d.p("MOVQ %d(DI), AX", argOffRow)
		d.p("ADDQ AX, %s", curOff)
	} else {
		d.p("MOVQ %d(DI), AX", argAStep)
		d.p("IMULQ $%d, AX", d.px)
		d.p("ADDQ AX, %s", curA)
	}
	d.p("SUBQ $%d, %s", d.px, curRows)
	d.p("JG pixel")
	if indirect {
		return
	}
	d.p("DECQ %s", curLines)
	d.p("JEQ end")
	for _, c := range []struct {
		arg int
		cur string
	}{{argASkip, curA}, {argCSkip, curC}, {argAddSkip, curAdd}, {argRows, curRows}} {
		d.p("MOVQ %d(DI), AX", c.arg)
		d.p("ADDQ AX, %s", c.cur)
	}
	d.p("JMP pixel")
	d.p("end:")
}
