package main

import (
	"fmt"
	"math/bits"
	"slices"
)

func init() {
	register("winograd_u8s8", func(f *file) {
		f.words("ninth", 0x38E38E3938E38E39)
		eachExtent(f.winogradU8S8In)
		eachExtent(f.winogradU8S8Out)
		f.sumsToRows()
		for _, mr := range []int{4, 2, 1} {
			f.microBytesOfPairs(mr, 2)
		}
	})
}

// microBytesOfPairs multiplies 16 bits by bytes, which it widens as they are loaded.
func (f *file) microBytesOfPairs(mr, nv int) {
	m := &micro{file: f, name: fmt.Sprintf("winogradS16S8AVX2%dx%d", mr, nv*8), width: 32, mr: mr, nv: nv, size: 2, unroll: 4, spare: 1,
		fill: product, step: stepPairs, finish: finishIntY, bytes: true}
	m.emit(fmt.Sprintf("makes tiles of %d rows by %d columns.", mr, nv*8))
}

const reach, side = 6, 4 // of a tile: pixels and outputs

// An extent is what a tile has along one axis: whole, or where the image ends after two outputs, half.
type extent struct {
	pixels, outputs int
	positions       []int // in the order in which the transforms give them
}

var (
	whole = extent{reach, side, []int{0, 1, 2, 3, 4, 5}}
	half  = extent{side, side / 2, []int{0, 1, 2, 5}}
)

// eachExtent calls f for each kind of tile: what its functions' names end in, and its rows and columns.
func eachExtent(f func(name string, rows, cols extent)) {
	f("", whole, whole)
	f("Narrow", whole, half)
	f("Low", half, whole)
	f("Small", half, half)
}

// winogradU8S8In transforms the pixels of 16 channels at a time: columns to the scratch, then its rows.
func (f *file) winogradU8S8In(name string, rows, cols extent) {
	f.text("transforms a tile of n channels, a multiple of 16: position q goes to dst, q·step bytes further.",
		"winogradU8S8In"+name, "pixels **uint8, dst *int16, step, n int, half *int16", 0, 40)
	f.p("MOVQ pixels+0(FP), AX")
	f.p("MOVQ dst+8(FP), DI")
	f.p("MOVQ step+16(FP), DX")
	f.p("MOVQ n+24(FP), CX")
	f.p("MOVQ half+32(FP), BX")
	f.p("LEAQ (DX)(DX*2), R10")
	f.p("XORQ SI, SI")
	f.p("loop:")
	for x := range cols.pixels {
		for i := range rows.pixels {
			f.p("MOVQ %d(AX), R8", (i*reach+x)*8)
			f.p("VPMOVZXBW (R8)(SI*1), Y%d", i)
		}
		f.pixelsAcross(rows, func(i int, y string) { f.p("VMOVDQU %s, %d(BX)", y, (i*reach+x)*32) })
	}
	f.p("MOVQ DI, R9")
	for y := range reach {
		if !slices.Contains(rows.positions, y) {
			f.p("LEAQ (R9)(R10*2), R9")
			continue
		}
		for i := range cols.pixels {
			f.p("VMOVDQU %d(BX), Y%d", (y*reach+i)*32, i)
		}
		f.pixelsAcross(cols, func(i int, v string) {
			if i == 5 && len(cols.positions) < reach {
				f.p("LEAQ (R9)(DX*2), R9")
			}
			f.p("VMOVDQU %s, (R9)", v)
			f.p("ADDQ DX, R9")
		})
	}
	f.p("ADDQ $16, SI")
	f.p("ADDQ $32, DI")
	f.p("CMPQ SI, CX")
	f.p("JLT loop")
	f.ret()
}

// pixelsAcross transforms the pixels from Y0 on, and gives the results to put in their order.
func (f *file) pixelsAcross(e extent, put func(i int, y string)) {
	if e.pixels < reach {
		f.p("VPSUBW Y2, Y0, Y6")
		put(0, "Y6")
		f.p("VPADDW Y2, Y1, Y7")
		put(1, "Y7")
		f.p("VPSUBW Y1, Y2, Y8")
		put(2, "Y8")
		f.p("VPSUBW Y3, Y1, Y9")
		put(5, "Y9")
		return
	}
	f.p("VPSUBW Y2, Y4, Y10") // d4 − d2
	f.p("VPSUBW Y2, Y0, Y6")
	f.p("VPSLLW $2, Y6, Y6")
	f.p("VPADDW Y10, Y6, Y6")
	put(0, "Y6")
	f.p("VPADDW Y2, Y1, Y6")
	f.p("VPADDW Y4, Y3, Y7")
	f.p("VPSLLW $2, Y6, Y6")
	f.p("VPSUBW Y6, Y7, Y7")
	put(1, "Y7")
	f.p("VPSUBW Y2, Y1, Y8")
	f.p("VPSUBW Y3, Y4, Y9")
	f.p("VPSLLW $2, Y8, Y8")
	f.p("VPADDW Y8, Y9, Y9")
	put(2, "Y9")
	f.p("VPSUBW Y1, Y3, Y11")
	f.p("VPADDW Y11, Y11, Y11") // 2(d3 − d1)
	f.p("VPADDW Y11, Y10, Y12")
	put(3, "Y12")
	f.p("VPSUBW Y11, Y10, Y13")
	put(4, "Y13")
	f.p("VPSUBW Y3, Y5, Y14")
	f.p("VPADDW Y11, Y11, Y11")
	f.p("VPSUBW Y11, Y14, Y14")
	put(5, "Y14")
}

// winogradU8S8Out transforms the sums of all positions to those of outputs, eight columns at a time.
func (f *file) winogradU8S8Out(name string, rows, cols extent) {
	f.text("transforms the products of tiles that lie side by side to sums: lines of 16 columns for each pixel, line bytes apart.",
		"winogradU8S8Out"+name, "products, dst *int32, line, tiles int, half *int32", 0, 40)
	f.p("MOVQ products+0(FP), SI")
	f.p("MOVQ dst+8(FP), DI")
	f.p("MOVQ line+16(FP), DX")
	f.p("MOVQ tiles+24(FP), CX")
	f.p("MOVQ half+32(FP), BX")
	f.p("VPBROADCASTQ ninth<>(SB), Y15")
	f.p("loop:")
	for h := range 2 {
		for _, x := range cols.positions {
			for _, i := range rows.positions {
				f.p("VMOVDQU %d(SI), Y%d", (i*reach+x)*64+h*32, i)
			}
			f.sumsAcross(rows, func(i int, y string) { f.p("VMOVDQU %s, %d(BX)", y, (i*reach+x)*32) })
		}
		f.p("MOVQ DI, R9")
		for y := range rows.outputs {
			for _, i := range cols.positions {
				f.p("VMOVDQU %d(BX), Y%d", (y*reach+i)*32, i)
			}
			f.sumsAcross(cols, func(i int, v string) {
				f.p("VPMULLD Y15, %s, %s", v, v)
				f.p("VPSRAD $6, %s, %s", v, v)
				f.p("VMOVDQU %s, %d(R9)", v, i*64+h*32)
			})
			f.p("ADDQ DX, R9")
		}
	}
	f.p("ADDQ $%d, SI", reach*reach*64)
	f.p("ADDQ $%d, DI", side*64)
	f.p("DECQ CX")
	f.p("JNE loop")
	f.ret()
}

// sumsAcross transforms the sums in the registers of their positions, and gives the results to put in their order.
func (f *file) sumsAcross(e extent, put func(i int, y string)) {
	if e.outputs < side {
		f.times8and(16, 0, 6) // 24·m0
		f.p("VPADDD Y2, Y1, Y7")
		f.times8and(4, 7, 8)
		f.p("VPADDD Y8, Y6, Y6")
		put(0, "Y6")
		f.p("VPSUBD Y2, Y1, Y7")
		f.times8and(4, 7, 8)
		f.times8and(16, 5, 6)
		f.p("VPSUBD Y6, Y8, Y8")
		put(1, "Y8")
		return
	}
	f.p("VPADDD Y2, Y1, Y6")
	f.p("VPSUBD Y2, Y1, Y7")
	f.p("VPADDD Y4, Y3, Y8")
	f.p("VPSUBD Y4, Y3, Y9")
	f.p("VPSLLD $2, Y6, Y6") // 4(m1 + m2)
	f.p("VPSLLD $2, Y7, Y7") // 4(m1 − m2)
	f.p("VPADDD Y0, Y0, Y10")
	f.p("VPSLLD $2, Y0, Y0")
	f.p("VPADDD Y10, Y0, Y0")
	f.p("VPSUBD Y6, Y0, Y0")
	f.p("VPADDD Y8, Y0, Y0")
	put(0, "Y0")
	f.p("VPADDD Y9, Y9, Y9") // 2(m3 − m4)
	f.p("VPSUBD Y7, Y9, Y10")
	put(1, "Y10")
	f.p("VPSLLD $2, Y8, Y8")
	f.p("VPSUBD Y6, Y8, Y8")
	put(2, "Y8")
	f.p("VPSLLD $2, Y9, Y9")
	f.p("VPSUBD Y7, Y9, Y9")
	f.p("VPSLLD $3, Y5, Y11")
	f.p("VPSLLD $4, Y5, Y12")
	f.p("VPADDD Y11, Y9, Y9")
	f.p("VPADDD Y12, Y9, Y9")
	put(3, "Y9")
}

// sumsToRows reads rows of 16 sums, argAStep bytes from one tile of four rows to the next.
func (f *file) sumsToRows() {
	m := &micro{file: f, name: "sumsToRows", width: 32, mr: 4, nv: 2, finish: finishIntY}
	m.fill = func(m *micro) {
		m.p("MOVQ t+0(FP), DI")
		m.p("MOVQ %d(DI), AX", argBias)
		m.p("MOVQ %s, SI", curA)
		for r := range m.mr {
			for v := range m.nv {
				m.p("VMOVUPS %d(AX), %s", v*m.width, m.acc(r, v))
				m.p("VPADDD %d(SI), %s, %s", (r*m.nv+v)*m.width, m.acc(r, v), m.acc(r, v))
			}
		}
	}
	m.emit("writes rows of 16 sums, plus bias, as the kind of output says.")
}

// times8and multiplies register from by 8 plus a power of two, 4 or 16, by way of Y14.
func (f *file) times8and(power, from, to int) {
	f.p("VPSLLD $3, Y%d, Y14", from)
	f.p("VPSLLD $%d, Y%d, Y%d", bits.TrailingZeros(uint(power)), from, to)
	f.p("VPADDD Y14, Y%d, Y%d", to, to)
}
