package main

import "fmt"

// dwIntSlide emits a body like dwInt3x3 for pixels one apart. Each column of
// three bytes is interleaved once, with a zero, and meets the weights of three
// outputs: argB holds [column of taps][4 vectors] with dwords of three rows.
// Three sets of accumulators take turns.
type dwIntSlide struct {
	dwInt
}

const (
	slideWeights = 12 // [column][4]
	slideTmp     = 24
	slideZ       = 29
	slideNought  = 30
	slideHi      = 31
	slideQLo     = 8 // vectors of the frame behind bias and scale
	slideQHi     = 9
	slideFlip    = 10
)

func (f *file) dwIntSlide(width int) {
	d := &dwIntSlide{dwInt{f, "VNNI", width, false}}
	f.text(fmt.Sprintf("convolves %d channels of pixels one apart, 3 by 3.", width), fmt.Sprintf("dwU8S8Slide%d", width), "t *microArgs", 11*width+8, 8)
	d.open()
	f.p("line:")
	for set := range 3 {
		d.restart(set)
	}
	d.column(0, -1, -1)
	d.column(1, 0, -1)
	f.p("PCALIGN $32")
	f.p("pixel:")
	for set := range 3 {
		d.column((set+2)%3, (set+1)%3, set)
		d.finish(4*set, slideTmp, d.held)
		d.restart(set)
		f.p("ADDQ R15, R14")
		f.p("DECQ CX")
		f.p("JEQ done")
	}
	f.p("JMP pixel")
	f.p("done:")
	for _, c := range []struct{ step, to string }{{"AX", "SI"}, {"DX", "R8"}, {"R12", "R9"}} {
		f.p("ADDQ %d(DI), %s", argASkip, c.to)
		f.p("SUBQ %s, %s", c.step, c.to)
		f.p("SUBQ %s, %s", c.step, c.to)
	}
	f.p("ADDQ %d(DI), R14", argCSkip)
	f.p("MOVQ %d(DI), CX", argRows)
	f.p("DECQ R13")
	f.p("JNE line")
	f.ret()
}

func (d *dwIntSlide) open() {
	d.p("MOVQ t+0(FP), DI")
	d.factors(argBias, 0)
	d.factors(argScale, 4)
	for _, c := range []struct {
		arg int
		to  string
	}{{argA, "SI"}, {argZero, "R8"}, {argAdd, "R9"}, {argAStep, "AX"}, {argOffStep, "DX"}, {argLdAdd, "R12"}, {argC, "R14"}, {argLdc, "R15"}, {argRows, "CX"}, {argB, "BX"}, {argLines, "R13"}} {
		d.p("MOVQ %d(DI), %s", c.arg, c.to)
	}
	for _, c := range []struct{ arg, vector int }{{argQLo, slideQLo}, {argQHi, slideQHi}, {argFlip, slideFlip}} {
		d.p("VPBROADCASTD %d(DI), %s", c.arg, d.r(0))
		d.p("VMOVUPS %s, %s", d.r(0), d.local(c.vector))
	}
	d.p("VPBROADCASTD %d(DI), %s", argZ, d.r(slideZ))
	d.p("VPBROADCASTD %d(DI), %s", argHi, d.r(slideHi))
	d.p("VPXORD %s, %s, %s", d.r(slideNought), d.r(slideNought), d.r(slideNought))
	for i := range 12 {
		d.p("VMOVUPS %d(BX), %s", i*d.width, d.r(slideWeights+i))
	}
}

// restart sets the accumulators of a set to the bias.
func (d *dwIntSlide) restart(set int) {
	for v := range 4 {
		d.p("VMOVUPS %s, %s", d.local(v), d.r(4*set+v))
	}
}

// column adds the next column of pixels to the sets in which it is the first,
// second and third one; -1: to none.
func (d *dwIntSlide) column(first, second, third int) {
	t := func(i int) string { return d.r(slideTmp + i) }
	for i, row := range []struct{ at, step string }{{"SI", "AX"}, {"R8", "DX"}, {"R9", "R12"}} {
		d.p("VMOVUPS (%s), %s", row.at, t(i))
		d.p("ADDQ %s, %s", row.step, row.at)
	}
	nought := d.r(slideNought)
	d.p("VPUNPCKLBW %s, %s, %s", t(1), t(0), t(3))
	d.p("VPUNPCKHBW %s, %s, %s", t(1), t(0), t(0))
	d.p("VPUNPCKLBW %s, %s, %s", nought, t(2), t(1))
	d.p("VPUNPCKHBW %s, %s, %s", nought, t(2), t(2))
	d.p("VPUNPCKLWD %s, %s, %s", t(1), t(3), t(4))
	d.p("VPUNPCKHWD %s, %s, %s", t(1), t(3), t(3))
	d.p("VPUNPCKLWD %s, %s, %s", t(2), t(0), t(1))
	d.p("VPUNPCKHWD %s, %s, %s", t(2), t(0), t(0))
	x := []string{t(4), t(3), t(1), t(0)}
	for kx, set := range []int{first, second, third} {
		if set < 0 {
			continue
		}
		for v := range 4 {
			d.p("VPDPBUSD %s, %s, %s", d.r(slideWeights+4*kx+v), x[v], d.r(4*set+v))
		}
	}
}

// held finds the factors that open keeps.
func (d *dwIntSlide) held(arg int) string {
	switch arg {
	case argHi:
		return d.r(slideHi)
	case argZ:
		return d.r(slideZ)
	}
	return d.local(map[int]int{argQLo: slideQLo, argQHi: slideQHi, argFlip: slideFlip}[arg])
}
