package main

import "fmt"

// The two transforms of a convolution in Winograd's form F(2×2, 3×3), for one
// tile: vectors of channels side by side. The argument of the first is a
// *winogradInArgs, that of the second a *winogradOutArgs:
const (
	wiSrc  = 0   // 16 addresses of pixels, by rows
	wiDst  = 128 // of 16 matrices
	wiStep = 136 // bytes from matrix to matrix
	wiLen  = 144 // bytes of a pixel's channels

	woSrc  = 0 // of 16 matrices
	woStep = 8
	woLen  = 16 // bytes of the columns
	woBias = 24
	woDst  = 32 // 4 addresses
	woAdd  = 64 // 4 addresses; the first 0: none
	woLo   = 96
	woHi   = 100
)

func init() {
	register("winograd_f32", func(f *file) {
		for _, width := range []int{64, 32} {
			f.winogradIn(width)
			f.winogradOut(width)
		}
	})
}

// winogradIn computes a row of V at a time: it reads two rows of the tile.
func (f *file) winogradIn(width int) {
	f.text("transforms the channels of 4 by 4 pixels.", "winogradIn"+isaOf(width), "t *winogradInArgs", 8, 8)
	sources := []string{"R8", "R9", "R10", "R11", "R12", "R13", "CX", "DX"}
	dests := []string{"BX", "SI", "DI", "R15"}
	for i, row := range []struct {
		a, b int // of the tile
		op   string
	}{{0, 2, "VSUBPS"}, {1, 2, "VADDPS"}, {2, 1, "VSUBPS"}, {1, 3, "VSUBPS"}} {
		f.p("MOVQ t+0(FP), DI")
		for j := range 4 {
			f.p("MOVQ %d(DI), %s", wiSrc+(row.a*4+j)*8, sources[j])
			f.p("MOVQ %d(DI), %s", wiSrc+(row.b*4+j)*8, sources[4+j])
		}
		f.p("MOVQ %d(DI), AX", wiLen)
		f.p("MOVQ AX, len-8(SP)")
		f.p("MOVQ %d(DI), R15", wiStep)
		f.p("MOVQ R15, AX")
		f.p("IMULQ $%d, AX", 4*i)
		f.p("MOVQ %d(DI), BX", wiDst)
		f.p("ADDQ AX, BX")
		f.p("LEAQ (BX)(R15*1), SI")
		f.p("LEAQ (SI)(R15*1), DI")
		f.p("ADDQ DI, R15")
		f.p("XORQ AX, AX")
		f.p("row%d:", i)
		r := func(k int) string { return reg(width, k) }
		for j := range 4 {
			f.p("VMOVUPS (%s)(AX*1), %s", sources[j], r(j))
			f.p("%s (%s)(AX*1), %s, %s", row.op, sources[4+j], r(j), r(j))
		}
		f.p("VSUBPS %s, %s, %s", r(2), r(0), r(4))
		f.p("VADDPS %s, %s, %s", r(2), r(1), r(5))
		f.p("VSUBPS %s, %s, %s", r(1), r(2), r(6))
		f.p("VSUBPS %s, %s, %s", r(3), r(1), r(7))
		for j, d := range dests {
			f.p("VMOVUPS %s, (%s)(AX*1)", r(4+j), d)
		}
		f.p("ADDQ $%d, AX", width)
		f.p("CMPQ AX, len-8(SP)")
		f.p("JLT row%d", i)
	}
	f.ret()
}

// winogradOut keeps the columns of Aᵀ·M in eight registers.
func (f *file) winogradOut(width int) {
	f.text("makes the columns of 2 by 2 pixels.", "winogradOut"+isaOf(width), "t *winogradOutArgs", 0, 8)
	r := func(k int) string { return reg(width, k) }
	lo, hi := r(14), r(15)
	columns := []string{"SI", "CX", "DX", "R11"}
	f.p("MOVQ t+0(FP), DI")
	f.p("VBROADCASTSS %d(DI), %s", woLo, lo)
	f.p("VBROADCASTSS %d(DI), %s", woHi, hi)
	f.p("MOVQ %d(DI), AX", woStep)
	f.p("MOVQ %d(DI), SI", woSrc)
	f.p("LEAQ (SI)(AX*1), CX")
	f.p("LEAQ (SI)(AX*2), DX")
	f.p("LEAQ (CX)(AX*2), R11")
	f.p("LEAQ (AX*4), R8")
	f.p("LEAQ (AX*8), R9")
	f.p("LEAQ (R8)(R9*1), R10")
	f.p("MOVQ %d(DI), R12", woBias)
	f.p("XORQ AX, AX")
	f.p("vector:")
	for j, c := range columns {
		upper, lower, m1, m2 := r(j), r(4+j), r(8), r(9)
		f.p("VMOVUPS (%s)(R8*1), %s", c, m1)
		f.p("VMOVUPS (%s)(R9*1), %s", c, m2)
		f.p("VADDPS (%s), %s, %s", c, m1, upper)
		f.p("VADDPS %s, %s, %s", m2, upper, upper)
		f.p("VSUBPS %s, %s, %s", m2, m1, lower)
		f.p("VSUBPS (%s)(R10*1), %s, %s", c, lower, lower)
		f.p("ADDQ $%d, %s", width, c)
	}
	f.p("VMOVUPS (R12)(AX*1), %s", r(8))
	for i := range 2 {
		m, left, right := 4*i, r(10+2*i), r(11+2*i)
		f.p("VADDPS %s, %s, %s", r(m+1), r(m), left)
		f.p("VADDPS %s, %s, %s", r(m+2), left, left)
		f.p("VSUBPS %s, %s, %s", r(m+2), r(m+1), right)
		f.p("VSUBPS %s, %s, %s", r(m+3), right, right)
	}
	for q := range 4 {
		f.p("VADDPS %s, %s, %s", r(8), r(10+q), r(10+q))
	}
	f.p("CMPQ %d(DI), $0", woAdd)
	f.p("JEQ added")
	for q := range 4 {
		f.p("MOVQ %d(DI), BX", woAdd+8*q)
		f.p("VADDPS (BX)(AX*1), %s, %s", r(10+q), r(10+q))
	}
	f.p("added:")
	for q := range 4 {
		f.p("VMAXPS %s, %s, %s", r(10+q), lo, r(10+q))
		f.p("VMINPS %s, %s, %s", r(10+q), hi, r(10+q))
		f.p("MOVQ %d(DI), BX", woDst+8*q)
		f.p("VMOVUPS %s, (BX)(AX*1)", r(10+q))
	}
	f.p("ADDQ $%d, AX", width)
	f.p("CMPQ AX, %d(DI)", woLen)
	f.p("JLT vector")
	f.ret()
}

func isaOf(width int) string { return fmt.Sprintf("AVX%s", map[int]string{64: "512", 32: "2"}[width]) }
