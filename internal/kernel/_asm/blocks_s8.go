package main

import "fmt"

// Products of weights of few bits with activations of eight bits, both with a scale for each block:
// some rows times one vector of columns, along all of k. The argument is a *blockArgs:
const (
	blkCodes  = 0
	blkScale  = 8
	blkZero   = 16
	blkStep   = 24 // bytes from block to block of zero points
	blkA      = 32
	blkLda    = 40 // bytes
	blkInit   = 48 // what the sums start at
	blkDst    = 56 // rows of one vector
	blkBlocks = 64
	blkUnits  = 72 // of 16 k in a block
)

func init() {
	register("blocks_s8", func(f *file) {
		f.words("blockOnes", repeated(0x0001000100010001, 4)...)
		for _, bits := range []int{2, 4, 8} {
			f.words(fmt.Sprintf("blockMask%d", bits), repeated(maskOf(bits), 8)...)
		}
		for _, bits := range []int{2, 4, 8} {
			for _, mr := range []int{8, 4, 2, 1} {
				f.blocksS8(&blockRows{file: f, width: 64, bits: bits, mr: mr})
			}
			for _, mr := range []int{4, 2, 1} {
				if bits < 8 || mr < 4 {
					f.blocksS8(&blockRows{file: f, width: 32, bits: bits, mr: mr})
				}
			}
		}
	})
}

func repeated(w uint64, n int) []uint64 {
	list := make([]uint64, n)
	for i := range list {
		list[i] = w
	}
	return list
}

// maskOf keeps the low bits of each byte; of eight it keeps the low nibble, for kernels that multiply
// by halves.
func maskOf(bits int) uint64 {
	m := uint64(1)<<min(bits, 4) - 1
	return m * 0x0101010101010101
}

type blockRows struct {
	*file
	width, bits, mr int
}

func (b *blockRows) total(r int) string { return reg(b.width, r) }
func (b *blockRows) sum(r int) string   { return reg(b.width, b.mr+r) }

// tmp are registers behind the sums, which are two vectors where there is one row.
func (b *blockRows) tmp(i int) string { return reg(b.width, max(2*b.mr, 3)+i) }

// blockRowRegs hold the addresses of the rows.
var blockRowRegs = []string{"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}

func (f *file) blocksS8(b *blockRows) {
	isa := map[int]string{64: "VNNI", 32: "AVX2"}[b.width]
	name := fmt.Sprintf("blocksS8%s%dx%d", isa, b.bits, b.mr)
	f.text(fmt.Sprintf("multiplies %d rows by columns of %d bits.", b.mr, b.bits), name, "t *blockArgs", 0, 8)
	f.p("MOVQ t+0(FP), AX")
	for _, c := range []struct {
		arg int
		to  string
	}{{blkCodes, "SI"}, {blkScale, "DI"}, {blkZero, "DX"}, {blkA, "R8"}, {blkBlocks, "BX"}, {blkInit, "CX"}} {
		f.p("MOVQ %d(AX), %s", c.arg, c.to)
	}
	for r := range b.mr {
		f.p("VMOVUPS (CX), %s", b.total(r))
		if r > 0 {
			f.p("MOVQ %s, %s", blockRowRegs[r-1], blockRowRegs[r])
			f.p("ADDQ %d(AX), %s", blkLda, blockRowRegs[r])
		}
	}
	f.p("XORQ CX, CX")
	f.p("PCALIGN $32")
	f.p("block:")
	b.begin()
	f.p("ADDQ $4, CX")
	f.p("MOVQ t+0(FP), AX")
	f.p("MOVQ %d(AX), AX", blkUnits)
	f.p("unit:")
	if b.width == 64 {
		b.unitVNNI()
	} else {
		b.unitAVX2()
	}
	f.p("ADDQ $16, CX")
	f.p("ADDQ $%d, SI", b.width*b.bits/2)
	f.p("DECQ AX")
	f.p("JNE unit")
	b.finish()
	f.p("ADDQ $4, CX")
	f.p("ADDQ $%d, DI", b.width)
	f.p("MOVQ t+0(FP), AX")
	f.p("ADDQ %d(AX), DX", blkStep)
	f.p("DECQ BX")
	f.p("JNE block")
	f.p("MOVQ %d(AX), DI", blkDst)
	for r := range b.mr {
		f.p("VMOVUPS %s, %d(DI)", b.total(r), r*b.width)
	}
	f.ret()
}

// begin sets the sums to the zero points times minus the sums of the activations.
func (b *blockRows) begin() {
	b.p("PREFETCHT0 2048(DI)")
	z := b.tmp(0)
	b.p("VPMOVZXBD (DX), %s", z)
	for r := range b.mr {
		b.p("VPBROADCASTD (%s)(CX*1), %s", blockRowRegs[r], b.sum(r))
		b.p("VPMADDWD %s, %s, %s", z, b.sum(r), b.sum(r))
	}
	if b.mr == 1 {
		b.zero(reg(b.width, 2))
	}
}

func (b *blockRows) zero(x string) {
	if b.width == 64 {
		b.p("VPXORD %s, %s, %s", x, x, x)
	} else {
		b.p("VPXOR %s, %s, %s", x, x, x)
	}
}

// unitVNNI takes 16 k: bits/2 dwords of each column, 8/bits fields in each. One row has two sums, so
// that one need not wait for the other.
func (b *blockRows) unitVNNI() {
	fields := 8 / b.bits
	step := 0
	for d := range b.bits / 2 {
		for f := range fields {
			w := b.tmp(1 + step%8)
			if f == 0 {
				b.p("PREFETCHT0 %d(SI)", 4096+d*64)
			}
			switch {
			case fields == 1:
				b.p("VMOVDQU64 %d(SI), %s", d*64, w)
			case f == 0:
				b.p("VMOVDQU64 %d(SI), %s", d*64, b.tmp(0))
				b.p("VPANDD blockMask%d<>(SB), %s, %s", b.bits, b.tmp(0), w)
			default:
				b.p("VPSRLW $%d, %s, %s", f*b.bits, b.tmp(0), w)
				b.p("VPANDD blockMask%d<>(SB), %s, %s", b.bits, w, w)
			}
			for r := range b.mr {
				acc := b.sum(r)
				if b.mr == 1 {
					acc = reg(b.width, 1+step%2)
				}
				b.p("VPDPBUSD.BCST %d(%s)(CX*1), %s, %s", step*4, blockRowRegs[r], w, acc)
			}
			step++
		}
	}
}

// unitAVX2 takes 16 k. Four products of pairs, each of at most 15·127, are added in 16 bits; bytes
// are multiplied by halves.
func (b *blockRows) unitAVX2() {
	fields := max(2, 8/b.bits)
	bits := min(b.bits, 4)
	half := func(r, h int) string { return b.tmp(h*b.mr + r) }
	n := b.mr
	if b.bits == 8 {
		n *= 2
	}
	q, w, x := b.tmp(n), b.tmp(n+1), b.tmp(n+2)
	first := map[string]bool{}
	for d := range b.bits / 2 {
		b.p("VMOVDQU %d(SI), %s", d*32, q)
		for f := range fields {
			if f == 0 {
				b.p("VPAND blockMask%d<>(SB), %s, %s", b.bits, q, w)
			} else {
				b.p("VPSRLW $%d, %s, %s", f*bits, q, w)
				b.p("VPAND blockMask%d<>(SB), %s, %s", b.bits, w, w)
			}
			at, h := (d*8/b.bits+f)*4, 0
			if b.bits == 8 {
				at, h = d*4, f
			}
			for r := range b.mr {
				to := half(r, h)
				b.p("VPBROADCASTD %d(%s)(CX*1), %s", at, blockRowRegs[r], x)
				if !first[to] {
					first[to] = true
					b.p("VPMADDUBSW %s, %s, %s", x, w, to)
					continue
				}
				b.p("VPMADDUBSW %s, %s, %s", x, w, x)
				b.p("VPADDW %s, %s, %s", x, to, to)
			}
		}
	}
	for r := range b.mr {
		b.p("VPMADDWD blockOnes<>(SB), %s, %s", half(r, 0), half(r, 0))
		b.p("VPADDD %s, %s, %s", half(r, 0), b.sum(r), b.sum(r))
		if b.bits == 8 {
			b.p("VPMADDWD blockOnes<>(SB), %s, %s", half(r, 1), half(r, 1))
			b.p("VPSLLD $4, %s, %s", half(r, 1), half(r, 1))
			b.p("VPADDD %s, %s, %s", half(r, 1), b.sum(r), b.sum(r))
		}
	}
}

// finish adds the sums, times both scales, to the totals.
func (b *blockRows) finish() {
	s, t := b.tmp(0), b.tmp(1)
	b.p("VMOVUPS (DI), %s", s)
	if b.mr == 1 {
		b.p("VPADDD %s, %s, %s", reg(b.width, 2), b.sum(0), b.sum(0))
	}
	for r := range b.mr {
		b.p("VCVTDQ2PS %s, %s", b.sum(r), b.sum(r))
		if b.width == 64 {
			b.p("VMULPS.BCST (%s)(CX*1), %s, %s", blockRowRegs[r], s, t)
		} else {
			b.p("VBROADCASTSS (%s)(CX*1), %s", blockRowRegs[r], t)
			b.p("VMULPS %s, %s, %s", t, s, t)
		}
		b.p("VMULPS %s, %s, %s", t, b.sum(r), b.sum(r))
		b.p("VADDPS %s, %s, %s", b.sum(r), b.total(r), b.total(r))
	}
}
