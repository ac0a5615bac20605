package main

// The argument q of the sums is a *QFused, with these fields:
const (
	qfX      = 0
	qfY      = 4
	qfOffset = 8
	qfLo     = 12
	qfHi     = 13
)

func init() {
	register("quant_fused", func(f *file) {
		f.words("transpose4", transpose4...)
		f.words("transpose2", transpose2...)
		f.qfused(64, "transpose4")
		f.qfused(32, "transpose2")
	})
}

// transpose2 is the index of a VPERMD that turns two rows of four dwords into columns.
var transpose2 = []uint64{0x0000000400000000, 0x0000000500000001, 0x0000000600000002, 0x0000000700000003}

// qfused widens four vectors of codes and packs them again by lanes, which a transposition of the dwords puts in order.
func (f *file) qfused(width int, order string) {
	f.codeSums("qfusedU8", "QFused", width)
	r := func(i int) string { return reg(width, i) }
	factorX, factorY, offset, lo, hi, perm, t := r(4), r(5), r(6), r(7), r(8), r(9), r(10)
	f.p("VBROADCASTSS %d(DX), %s", qfX, factorX)
	f.p("VBROADCASTSS %d(DX), %s", qfY, factorY)
	f.p("VBROADCASTSS %d(DX), %s", qfOffset, offset)
	f.p("VPBROADCASTB %d(DX), %s", qfLo, lo)
	f.p("VPBROADCASTB %d(DX), %s", qfHi, hi)
	f.p("VMOVUPS %s<>(SB), %s", order, perm)
	f.eachVector()
	for v := range 4 {
		at := v * width / 4
		f.p("VPMOVZXBD %d(BX)(AX*1), %s", at, r(v))
		f.p("VCVTDQ2PS %s, %s", r(v), r(v))
		f.p("VFMADD213PS %s, %s, %s", offset, factorY, r(v))
		f.p("VPMOVZXBD %d(SI)(AX*1), %s", at, t)
		f.p("VCVTDQ2PS %s, %s", t, t)
		f.p("VFMADD231PS %s, %s, %s", factorX, t, r(v))
		f.p("VCVTPS2DQ %s, %s", r(v), r(v))
	}
	f.p("VPACKSSDW %s, %s, %s", r(1), r(0), r(0))
	f.p("VPACKSSDW %s, %s, %s", r(3), r(2), r(2))
	f.p("VPACKUSWB %s, %s, %s", r(2), r(0), r(0))
	f.p("VPERMD %s, %s, %s", r(0), perm, r(0))
	f.storeClamped(width, r(0), lo, hi)
}
