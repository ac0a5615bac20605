package main

import "fmt"

// finish stores the four accumulators from first on as argKind says, with
// four vectors from tmp on to spare. DI holds the arguments and R14 the
// address. held gives a vector of a factor that all channels share: where it
// is kept, or after loading it to the first spare vector.
func (d *dwInt) finish(first, tmp int, held func(arg int) string) {
	label := fmt.Sprint(first)
	d.p("CMPQ %d(DI), $%d", argKind, kindU8)
	d.p("JNE wide%s", label)
	d.codes(first, held)
	d.p("JMP stored%s", label)
	d.p("wide%s:", label)
	d.words(first, tmp, label)
	d.p("stored%s:", label)
}

// loaded is the held of bodies that keep no factor.
func (d *dwInt) loaded(arg int) string {
	d.p("VPBROADCASTD %d(DI), %s", arg, d.r(4))
	return d.r(4)
}

// codes rounds, packs, adds the zero point and clamps.
func (d *dwInt) codes(first int, held func(arg int) string) {
	hi := held(argHi)
	for v := range 4 {
		a := d.r(first + v)
		d.p("VCVTDQ2PS %s, %s", a, a)
		d.p("VMULPS %s, %s, %s", d.local(4+v), a, a)
		d.p("VMINPS %s, %s, %s", hi, a, a)
		d.p("VCVTPS2DQ %s, %s", a, a)
	}
	a, b := d.r(first), d.r(first+2)
	d.p("VPACKSSDW %s, %s, %s", d.r(first+1), a, a)
	d.p("VPACKSSDW %s, %s, %s", d.r(first+3), b, b)
	z := held(argZ)
	d.p("VPADDSW %s, %s, %s", z, a, a)
	d.p("VPADDSW %s, %s, %s", z, b, b)
	d.p("VPACKUSWB %s, %s, %s", b, a, a)
	xor := "VPXOR"
	if d.isa == "VNNI" {
		xor = "VPXORD"
	}
	for _, c := range []struct {
		arg int
		op  string
	}{{argQLo, "VPMAXUB"}, {argQHi, "VPMINUB"}, {argFlip, xor}} {
		d.p("%s %s, %s, %s", c.op, held(c.arg), a, a)
	}
	if d.masked {
		d.p("VMOVDQU8 %s, K1, (R14)", a)
	} else {
		d.p("VMOVUPS %s, (R14)", a)
	}
}

// words stores int32 sums, or float32 with scale and shift.
func (d *dwInt) words(first, tmp int, label string) {
	d.p("CMPQ %d(DI), $%d", argKind, kindI32)
	d.p("JEQ raw%s", label)
	for v := range 4 {
		a := d.r(first + v)
		d.p("VCVTDQ2PS %s, %s", a, a)
		d.p("VMULPS %s, %s, %s", d.local(4+v), a, a)
	}
	d.p("raw%s:", label)
	out := d.inOrder(first, tmp)
	d.p("CMPQ %d(DI), $%d", argKind, kindI32)
	d.p("JEQ sums%s", label)
	d.p("MOVQ %d(DI), DI", argShift)
	for v, x := range out {
		d.p("VADDPS %d(DI), %s, %s", v*d.width, x, x)
	}
	d.p("MOVQ t+0(FP), DI")
	d.p("sums%s:", label)
	for v, x := range out {
		if d.masked {
			d.p("KSHIFTRW $%d, K1, K2", 4*v)
			d.p("VMOVDQU32 %s, K2, %d(R14)", x, v*d.width)
		} else {
			d.p("VMOVUPS %s, %d(R14)", x, v*d.width)
		}
	}
}

// inOrder turns the accumulators into vectors of channels in order, and names
// these: the channels 16L on, four by four, are lane L of the accumulators.
func (d *dwInt) inOrder(first, tmp int) []string {
	a := func(v int) string { return d.r(first + v) }
	t := func(v int) string { return d.r(tmp + v) }
	switch d.width {
	case 64:
		d.p("VSHUFI32X4 $0x44, %s, %s, %s", a(1), a(0), t(0))
		d.p("VSHUFI32X4 $0xEE, %s, %s, %s", a(1), a(0), t(1))
		d.p("VSHUFI32X4 $0x44, %s, %s, %s", a(3), a(2), t(2))
		d.p("VSHUFI32X4 $0xEE, %s, %s, %s", a(3), a(2), t(3))
		d.p("VSHUFI32X4 $0x88, %s, %s, %s", t(2), t(0), a(0))
		d.p("VSHUFI32X4 $0xDD, %s, %s, %s", t(2), t(0), a(1))
		d.p("VSHUFI32X4 $0x88, %s, %s, %s", t(3), t(1), a(2))
		d.p("VSHUFI32X4 $0xDD, %s, %s, %s", t(3), t(1), a(3))
	case 32:
		return d.inOrder32(a, t)
	}
	return []string{a(0), a(1), a(2), a(3)}
}

// inOrder32 joins the lower halves of neighbours, then the upper ones.
func (d *dwInt) inOrder32(a, t func(int) string) []string {
	lower, upper := "VPERM2I128 $0x20", "VPERM2I128 $0x31"
	if d.isa == "VNNI" {
		lower, upper = "VSHUFI32X4 $0", "VSHUFI32X4 $3"
	}
	for i, half := range []string{lower, upper} {
		d.p("%s, %s, %s, %s", half, a(1), a(0), t(2*i))
		d.p("%s, %s, %s, %s", half, a(3), a(2), t(2*i+1))
	}
	return []string{t(0), t(1), t(2), t(3)}
}
