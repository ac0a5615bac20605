package main

// The limits of the instructions that carry the kernels: chains of them on
// independent registers, without loads in the loop. Their operands come from data
// once: the speed of tiles may depend on them.

func init() {
	register("peak", func(f *file) {
		f.peak("peakFMA512", 64, 12, func(i int) { f.p("VFMADD231PS Z14, Z15, Z%d", i) })
		f.peak("peakFMA256", 32, 12, func(i int) { f.p("VFMADD231PS Y14, Y15, Y%d", i) })
		f.peak("peakVNNI512", 64, 12, func(i int) { f.p("VPDPBUSD Z14, Z15, Z%d", i) })
		f.peak("peakVNNI256", 32, 12, func(i int) { f.dpbusdVEX(32, 14, 15, i) })
		f.peak("peakPairs256", 32, 6, func(i int) {
			f.p("VPMADDWD Y14, Y15, Y%d", i+6)
			f.p("VPADDD Y%d, Y%d, Y%d", i+6, i, i)
		})
		f.peak("peakCounts512", 64, 6, func(i int) {
			between, after, before := 6, 7, i+8
			f.p("VMOVDQA32 Z%d, Z%d", before, between)
			f.p("VPTERNLOGD $%d, Z14, Z15, Z%d", oddOfThree, between)
			f.p("VMOVDQA32 Z%d, Z%d", between, after)
			f.p("VPTERNLOGD $%d, Z14, Z15, Z%d", oddOfThree, after)
			f.p("VPTERNLOGD $%d, Z%d, Z%d, Z%d", carryOf, after, between, before)
			f.p("VPOPCNTD Z%d, Z%d", before, between)
			f.p("VMOVDQA32 Z%d, Z%d", after, before)
			f.p("VPADDD Z%d, Z%d, Z%d", between, i, i)
		})
		f.peak("peakLookup256", 32, 6, func(i int) {
			f.p("VPSHUFB Y14, Y15, Y%d", i+6)
			f.p("VPADDB Y%d, Y%d, Y%d", i+6, i, i)
		})
		f.peakAMX("peakTiles", "TDPBUSD", f.tileDotU8S8)
		f.peakAMX("peakTilesBF16", "TDPBF16PS", f.tileDotBF16)
	})
}

// peak emits a loop of n instructions that f writes, with operands in the registers 14 and 15.
func (f *file) peak(name string, width, n int, ins func(i int)) {
	f.text("repeats its instructions n times.", name, "data *peakData, n int", 0, 16)
	f.p("MOVQ data+0(FP), AX")
	f.p("MOVQ n+8(FP), CX")
	for i := range 16 {
		f.p("VPXOR X%d, X%d, X%d", i, i, i)
	}
	f.p("VMOVUPS (AX), %s", reg(width, 14))
	f.p("VMOVUPS %d(AX), %s", width, reg(width, 15))
	f.p("loop:")
	for i := range n {
		ins(i)
	}
	f.p("DECQ CX")
	f.p("JNE loop")
	f.ret()
}

func (f *file) peakAMX(name, ins string, dot func(c, a, b byte)) {
	f.text("repeats four "+ins+" n times.", name, "cfg *tileConfig, data *peakData, n int", 0, 24)
	f.p("MOVQ cfg+0(FP), AX")
	f.p("MOVQ data+8(FP), BX")
	f.p("MOVQ n+16(FP), CX")
	f.tileConfig("AX")
	f.p("MOVQ $64, DX")
	for t := range byte(4) {
		f.tileZero(t)
		f.tileLoad(4+t, "BX", "DX", int32(t)*1024)
	}
	f.p("loop:")
	for t := range byte(4) {
		dot(t, 4+t/2, 6+t%2)
	}
	f.p("DECQ CX")
	f.p("JNE loop")
	f.tileRelease()
	f.p("RET")
	f.asm.WriteByte('\n')
}
