package main

import "fmt"

// Depthwise convolution in integers. Four taps at a time are interleaved so
// that a dword holds the four bytes of one channel; within each 128-bit lane L
// accumulator v then stands for the channels 16L+4v.., and packing puts them
// back in order. argTaps counts the groups of four, argB holds
// [group][4 vectors], where a group that is not full has zero weights.

func init() {
	register("dwconv_u8s8", func(f *file) {
		f.words("lowbytes", 0x00FF00FF00FF00FF)
		for _, width := range []int{64, 32, 16} {
			f.dwInt("VNNI", width, false)
		}
		f.dwInt("VNNI", 16, true)
		for _, width := range []int{32, 16} {
			f.dwInt("AVXVNNI", width, false)
			f.dwInt("AVX2", width, false)
		}
		for _, width := range []int{64, 32, 16} {
			f.dwInt3x3("VNNI", width)
			f.dwIntSlide(width)
		}
		for _, width := range []int{32, 16} {
			f.dwInt3x3("AVXVNNI", width)
			f.dwInt3x3("AVX2", width)
		}
	})
}

type dwInt struct {
	*file
	isa    string
	width  int
	masked bool
}

// r names register i: 0-3 accumulators, 4-7 bytes, 8-11 interleaved, 12 temporary.
func (d *dwInt) r(i int) string { return reg(d.width, i) }

// wide says that weights take 16 bits: there is no VPDPBUSD.
func (d *dwInt) wide() bool { return d.isa == "AVX2" }

// local addresses vector i of the frame: bias 0-3, scale 4-7.
func (d *dwInt) local(i int) string { return fmt.Sprintf("v%d-%d(SP)", i, (i+1)*d.width) }

// dwInt emits a body for width channels; the masked one stores, and reads,
// only those of argMask.
func (f *file) dwInt(isa string, width int, masked bool) {
	d := &dwInt{f, isa, width, masked}
	name := fmt.Sprintf("dwU8S8%s%d", isa, width)
	if masked {
		name += "Masked"
	}
	f.text(fmt.Sprintf("convolves %d channels of pixels, one at a time.", width), name, "t *microArgs", 8*width+8, 8)
	f.p("MOVQ t+0(FP), DI")
	d.factors(argBias, 0)
	d.factors(argScale, 4)
	for _, c := range []struct {
		arg int
		to  string
	}{{argA, "SI"}, {argZero, "DX"}, {argOff, "R12"}, {argOffRow, "R13"}, {argC, "R14"}, {argLdc, "R15"}, {argRows, "CX"}} {
		f.p("MOVQ %d(DI), %s", c.arg, c.to)
	}
	if masked {
		f.p("KMOVQ %d(DI), K1", argMask)
	}
	if d.wide() {
		f.p("VPBROADCASTQ lowbytes<>(SB), %s", d.r(13))
	}
	f.p("PCALIGN $32")
	f.p("pixel:")
	for v := range 4 {
		f.p("VMOVUPS %s, %s", d.local(v), d.r(v))
	}
	f.p("MOVQ t+0(FP), DI")
	f.p("MOVQ %d(DI), BX", argB)
	f.p("MOVQ %d(DI), DI", argTaps)
	f.p("MOVQ R12, AX")
	f.p("group:")
	d.group()
	f.p("DECQ DI")
	f.p("JNE group")
	f.p("MOVQ t+0(FP), DI")
	d.finish(0, 4, d.loaded)
	f.p("ADDQ R13, R12")
	f.p("ADDQ R15, R14")
	f.p("DECQ CX")
	f.p("JNE pixel")
	f.ret()
}

// factors puts four vectors of 32-bit factors into the order of the
// accumulators and keeps them in the frame from vector first on.
func (d *dwInt) factors(arg, first int) {
	d.p("MOVQ %d(DI), AX", arg)
	for v := range 4 {
		d.p("VMOVUPS %d(AX), %s", v*d.width, d.r(v))
	}
	switch d.width {
	case 64: // the way there is the way back
		d.inOrder(0, 4)
	case 32:
		d.p("VPERM2I128 $0x20, Y2, Y0, Y4")
		d.p("VPERM2I128 $0x31, Y2, Y0, Y5")
		d.p("VPERM2I128 $0x20, Y3, Y1, Y2")
		d.p("VPERM2I128 $0x31, Y3, Y1, Y3")
		d.p("VMOVAPS Y4, Y0")
		d.p("VMOVAPS Y5, Y1")
	}
	for v := range 4 {
		d.p("VMOVUPS %s, %s", d.r(v), d.local(first+v))
	}
}

func (d *dwInt) group() {
	ptr := []string{"R8", "R9", "R10", "R11"}
	for i, x := range ptr {
		d.p("MOVLQSX %d(AX), %s", i*4, x)
		d.p("TESTQ %s, %s", x, x)
		d.p("LEAQ (SI)(%s*1), %s", x, x)
		d.p("CMOVQLT DX, %s", x)
	}
	for i, x := range ptr {
		if d.masked {
			d.p("VMOVDQU8.Z (%s), K1, %s", x, d.r(4+i))
		} else {
			d.p("VMOVUPS (%s), %s", x, d.r(4+i))
		}
	}
	d.interleave()
	for v := range 4 {
		d.dot(v, 0)
	}
	d.p("ADDQ $%d, BX", d.groupBytes())
	d.p("ADDQ $16, AX")
}

// interleave turns the bytes 4-7 into the dwords of accumulators 0-3, in 4-7.
func (d *dwInt) interleave() {
	d.p("VPUNPCKLBW %s, %s, %s", d.r(5), d.r(4), d.r(8))
	d.p("VPUNPCKHBW %s, %s, %s", d.r(5), d.r(4), d.r(9))
	d.p("VPUNPCKLBW %s, %s, %s", d.r(7), d.r(6), d.r(10))
	d.p("VPUNPCKHBW %s, %s, %s", d.r(7), d.r(6), d.r(11))
	d.p("VPUNPCKLWD %s, %s, %s", d.r(10), d.r(8), d.r(4))
	d.p("VPUNPCKHWD %s, %s, %s", d.r(10), d.r(8), d.r(5))
	d.p("VPUNPCKLWD %s, %s, %s", d.r(11), d.r(9), d.r(6))
	d.p("VPUNPCKHWD %s, %s, %s", d.r(11), d.r(9), d.r(7))
}

// groupBytes is the size of the weights of four taps.
func (d *dwInt) groupBytes() int {
	if d.wide() {
		return 8 * d.width
	}
	return 4 * d.width
}

// dot adds four products per channel, of the taps of group g behind BX.
// Without VPDPBUSD the taps 0 and 2 of a dword, then 1 and 3, are multiplied
// as 16-bit pairs.
func (d *dwInt) dot(v, g int) {
	x, acc, t := d.r(4+v), d.r(v), d.r(12)
	at := g * d.groupBytes()
	switch d.isa {
	case "VNNI":
		d.p("VPDPBUSD %d(BX), %s, %s", at+v*d.width, x, acc)
	case "AVXVNNI":
		d.p("VMOVDQU %d(BX), %s", at+v*d.width, t)
		d.dpbusdVEX(d.width, 12, 4+v, v)
	default:
		d.p("VPAND %s, %s, %s", d.r(13), x, t)
		d.p("VPSRLW $8, %s, %s", x, x)
		d.p("VPMADDWD %d(BX), %s, %s", at+2*v*d.width, t, t)
		d.p("VPMADDWD %d(BX), %s, %s", at+(2*v+1)*d.width, x, x)
		d.p("VPADDD %s, %s, %s", t, acc, acc)
		d.p("VPADDD %s, %s, %s", x, acc, acc)
	}
}
