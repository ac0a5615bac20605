package main

import "fmt"

// Convolution in float32 whose channels see only themselves, or a group of 2, 4, 8 or 16: vectors of channels, taps by a
// list of offsets. The argument is a *microArgs with one row per pixel; argB holds [tap][channel of a group][nv vectors].

func init() {
	register("dwconv_f32", func(f *file) {
		for nv := 1; nv <= 4; nv++ {
			f.dwF32(dwF32{width: 64, px: 1, nv: nv, group: 1}, true)
			for _, px := range []int{6, 2, 1} {
				f.dwF32(dwF32{width: 64, px: px, nv: nv, group: 1}, false)
			}
		}
		f.dwF32(dwF32{width: 64, px: 1, nv: 1, group: 1, masked: true}, true)
		for nv := 1; nv <= 2; nv++ {
			f.dwF32(dwF32{width: 32, px: 1, nv: nv, group: 1}, true)
			for _, px := range []int{6, 2, 1} {
				f.dwF32(dwF32{width: 32, px: px, nv: nv, group: 1}, false)
			}
		}
		for nv := 1; nv <= 2; nv++ {
			f.dwF32(dwF32{width: 64, px: 1, nv: nv}, true)
			for _, px := range []int{8, 4, 2, 1} {
				f.dwF32(dwF32{width: 64, px: px, nv: nv}, false)
			}
		}
		f.words("octets", 0, 0, 0, 0, 8|8<<32, 8|8<<32, 8|8<<32, 8|8<<32)
		for _, width := range []int{64, 32} {
			for _, group := range []int{2, 4, 8, 16} {
				if group*4 > width { // dense products are faster
					continue
				}
				for nv := 1; nv <= 2; nv++ {
					f.dwF32(dwF32{width: width, px: 1, nv: nv, group: group}, true)
					f.dwF32(dwF32{width: width, px: 6, nv: nv, group: group}, false)
					f.dwF32(dwF32{width: width, px: 1, nv: nv, group: group}, false)
				}
			}
		}
	})
}

type dwF32 struct {
	*file
	width, px, nv int
	group         int // channels of the input that each of the output sees; 0: all, argKB bytes
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
func (f *file) dwF32(d dwF32, indirect bool) {
	d.file = f
	isa, kind := "AVX512", fmt.Sprintf("Run%d", d.px)
	if d.width == 32 {
		isa = "AVX2"
	}
	if indirect {
		kind = "Pixel"
	}
	if d.masked {
		kind = "Masked"
	}
	name, doc := "dwF32", fmt.Sprintf("convolves %d channels of pixels, %d at a time.", d.nv*d.width/4, d.px)
	switch {
	case d.group == 0:
		name, doc = "directF32", fmt.Sprintf("convolves to %d channels of pixels, %d at a time, from any number.", d.nv*d.width/4, d.px)
	case d.group > 1:
		name, doc = fmt.Sprintf("group%dF32", d.group), fmt.Sprintf("convolves %d channels of pixels, %d at a time, in groups of %d.", d.nv*d.width/4, d.px, d.group)
	}
	f.text(doc, fmt.Sprintf("%s%s%s%d", name, kind, isa, d.nv), "t *microArgs", 48, 8)
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
	if d.octets() {
		d.p("VMOVDQU32 octets<>(SB), %s", d.lane(0))
		d.p("VPTERNLOGD $255, %[1]s, %[1]s, %[1]s", d.lane(7))
		for i := 1; i < 8; i++ {
			d.p("VPSUBD %s, %s, %s", d.lane(7), d.lane(i-1), d.lane(i))
		}
	}
}

// octets says whether indices spread the channels of a group over its lanes: lane holds those of one.
func (d *dwF32) octets() bool      { return d.group == 8 && d.width == 64 }
func (d *dwF32) lane(i int) string { return reg(d.width, 24+i) }

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
	if d.group == 0 {
		d.all(indirect)
		return
	}
	for i := range d.group {
		for v := range d.nv {
			d.p("VMOVUPS %d(BX), %s", (i*d.nv+v)*d.width, d.wv(v))
		}
		for p := range d.px {
			addr := fmt.Sprintf("(%s)(AX*4)", dwPixels[p])
			if indirect {
				addr = "(AX)"
			}
			for v := range d.nv {
				d.products(i, p, v, addr)
			}
		}
	}
	d.p("ADDQ $%d, BX", d.group*d.nv*d.width)
}

// all adds the products of one tap with all channels of the input.
func (d *dwF32) all(indirect bool) {
	d.p("MOVQ %d(DI), R14", argKB)
	d.p("SHRQ $2, R14")
	d.p("channels:")
	for v := range d.nv {
		d.p("VMOVUPS %d(BX), %s", v*d.width, d.wv(v))
	}
	for p := range d.px {
		at := fmt.Sprintf("(%s)(AX*4)", dwPixels[p])
		if indirect {
			at = "(AX)"
		}
		for v := range d.nv {
			d.p("VFMADD231PS.BCST %s, %s, %s", at, d.wv(v), d.acc(p, v))
		}
	}
	if indirect {
		d.p("ADDQ $4, AX")
	} else {
		d.p("INCQ AX")
	}
	d.p("ADDQ $%d, BX", d.nv*d.width)
	d.p("DECQ R14")
	d.p("JNE channels")
}

// products adds those of channel i of each group of vector v, of the pixel at addr.
func (d *dwF32) products(i, p, v int, addr string) {
	x := reg(d.width, d.px*d.nv+d.nv+(p*d.nv+v)%2)
	at := fmt.Sprintf("%d%s", v*d.width, addr)
	switch {
	case d.group == 1:
		d.p("VFMADD231PS %s, %s, %s%s", at, d.wv(v), d.mask(v), d.acc(p, v))
		return
	case d.group*4 == d.width: // a group fills a vector
		at = fmt.Sprintf("%d%s", v*d.width+i*4, addr)
		if d.width == 64 {
			d.p("VFMADD231PS.BCST %s, %s, %s", at, d.wv(v), d.acc(p, v))
			return
		}
		d.p("VBROADCASTSS %s, %s", at, x)
	case d.group == 2:
		d.p("%s %s, %s", []string{"VMOVSLDUP", "VMOVSHDUP"}[i], at, x)
	case d.group == 4:
		d.p("VPERMILPS $%d, %s, %s", i*0x55, at, x)
	default:
		d.p("VPERMPS %s, %s, %s", at, d.lane(i), x)
	}
	d.p("VFMADD231PS %s, %s, %s", x, d.wv(v), d.acc(p, v))
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
