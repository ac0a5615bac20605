package main

func startInt(k *tiles) {
	for t := range byte(k.mt * k.nt) {
		k.tileZero(t)
	}
}

// nextInt loads scale, shift and bias. It sets R12 where the store may be plain: whole
// blocks, every code of uint8, and scales below 1, so that no product leaves
// int32 and the packing clamps.
func nextInt(k *tiles) {
	for _, c := range []struct {
		cur       string
		step, reg int
	}{{amxCurScale, amxScaleStep, tileScale}, {amxCurShift, amxShiftStep, tileShift}, {amxCurBias, amxBiasStep, tileBias}} {
		k.p("MOVQ %s, AX", c.cur)
		for u := range k.nt {
			if u < k.nt-1 {
				k.p("VMOVUPS (AX), %s", reg(64, c.reg+u))
			} else {
				k.p("VMOVUPS.Z (AX), %s, %s", maskDone, reg(64, c.reg+u))
			}
			k.p("ADDQ %d(R13), AX", c.step)
		}
		k.p("MOVQ AX, %s", c.cur)
	}
	if k.nt > 1 {
		k.p("KMOVW %s, AX", maskDone)
		k.p("SHLL $16, AX")
		k.p("ORL $0xffff, AX")
		k.p("KMOVD AX, %s", maskBytes)
	}
	k.p("VPCMPUD $1, %s, %s, K3", reg(64, tileConsts+6), reg(64, tileScale))
	k.p("KANDW K3, %s, K3", maskDone)
	if k.nt > 1 {
		k.p("VPCMPUD $1, %s, %s, K3, K3", reg(64, tileConsts+6), reg(64, tileScale+1))
	}
	k.p("KMOVW K3, AX")
	k.p("XORQ R12, R12")
	k.p("CMPL AX, $0xffff")
	k.p("JNE chosen")
	k.p("MOVQ %d(R13), R12", amxAll)
	k.p("chosen:")
}

// loadInt loads what all codes share.
func loadInt(k *tiles) {
	for i, arg := range []int{amxHi, amxZ, amxQLo, amxQHi, amxFlip} {
		k.p("VPBROADCASTD %d(R13), %s", arg, reg(64, tileConsts+i))
	}
	k.p("VMOVDQU64 transpose4<>(SB), %s", reg(64, tileConsts+5))
	k.p("MOVL $0x3f800000, AX") // 1, whose bits are above those of all numbers from 0 to 1
	k.p("VPBROADCASTD AX, %s", reg(64, tileConsts+6))
}

// finishInt stores rows as the kind of output says.
func finishInt(k *tiles) {
	k.p("TESTQ R12, R12")
	k.p("JEQ any")
	k.p("CMPQ R15, $%d", k.plainRows())
	k.p("JLT any")
	k.plain()
	k.p("JMP stored")
	k.p("any:")
	k.p("MOVQ %d(R13), AX", amxKind)
	k.p("CMPQ AX, $%d", kindI32)
	k.p("JEQ whole32")
	k.scaled(finishRows)
	k.p("CMPQ AX, $%d", kindF32)
	k.p("JEQ real")
	k.codes()
	k.p("JMP stored")
	k.p("whole32:")
	for v := range finishRows * k.nt {
		k.biased(v)
	}
	k.p("JMP write")
	k.p("real:")
	for r := range finishRows {
		for u := range k.nt {
			k.p("VADDPS %s, %s, %s", reg(64, tileShift+u), k.vec(r, u), k.vec(r, u))
		}
	}
	k.p("write:")
	k.storeRows("stored")
	k.p("stored:")
}

// biased takes vector v of the sums and adds the bias.
func (k *tiles) biased(v int) {
	k.p("VPADDD %d(DX), %s, %s", v*sumPitch, reg(64, tileBias+v%k.nt), reg(64, v))
}

// scaled takes rows of sums times the scale.
func (k *tiles) scaled(rows int) {
	for r := range rows {
		for u := range k.nt {
			v := k.vec(r, u)
			k.biased(r*k.nt + u)
			k.p("VCVTDQ2PS %s, %s", v, v)
			k.p("VMULPS %s, %s, %s", reg(64, tileScale+u), v, v)
		}
	}
}

// storeRows writes vectors as rows.
func (k *tiles) storeRows(done string) {
	k.each(done, func(r int, addr string) {
		for u := range k.nt {
			k.p("VMOVDQU32 %s, %s%d%s", k.vec(r, u), k.masked(u), u*sumPitch, addr)
		}
	})
}

// codes rounds the vectors of rows and packs four to one by lanes, which a
// transposition of the dwords puts in order: four rows of a block, or two of two.
func (k *tiles) codes() {
	hi, lo, top, flip := reg(64, tileConsts), reg(64, tileConsts+2), reg(64, tileConsts+3), reg(64, tileConsts+4)
	for v := range finishRows * k.nt {
		k.p("VMINPS %s, %s, %s", hi, reg(64, v), reg(64, v))
		k.p("VCVTPS2DQ %s, %s", reg(64, v), reg(64, v))
	}
	for v := 0; v < finishRows*k.nt; v += 4 {
		a := reg(64, v)
		k.packed(v)
		k.p("VPMAXUB %s, %s, %s", lo, a, a)
		k.p("VPMINUB %s, %s, %s", top, a, a)
		k.p("VPXORD %s, %s, %s", flip, a, a)
		if k.nt > 1 {
			k.p("VEXTRACTI64X4 $1, %s, %s", a, reg(32, v+2))
			continue
		}
		for r := 1; r < finishRows; r++ {
			k.p("VEXTRACTI32X4 $%d, %s, %s", r, a, reg(16, r))
		}
	}
	k.each("stored", func(r int, addr string) {
		if k.nt > 1 {
			k.p("VMOVDQU8 %s, %s, %s", reg(32, r*k.nt), maskBytes, addr)
			return
		}
		k.p("VMOVDQU8 %s, %s, %s", reg(16, r), maskDone, addr)
	})
}

// packed makes bytes of the four vectors from v on, in the first of them.
func (k *tiles) packed(v int) {
	z, perm := reg(64, tileConsts+1), reg(64, tileConsts+5)
	for i := v; i < v+4; i += 2 {
		k.p("VPACKSSDW %s, %s, %s", reg(64, i+1), reg(64, i), reg(64, i))
		k.p("VPADDSW %s, %s, %s", z, reg(64, i), reg(64, i))
	}
	k.p("VPACKUSWB %s, %s, %s", reg(64, v+2), reg(64, v), reg(64, v))
	k.p("VPERMD %s, %s, %s", reg(64, v), perm, reg(64, v))
}

// plainRows is the number of rows that [tiles.plain] does: eight vectors.
func (k *tiles) plainRows() int { return 2 * finishRows / k.nt }

// plain does plainRows rows as [tiles.codes] does where nothing needs clamping
// or masking.
func (k *tiles) plain() {
	k.scaled(k.plainRows())
	for v := range 2 * finishRows {
		k.p("VCVTPS2DQ %s, %s", reg(64, v), reg(64, v))
	}
	at := "DI"
	for v := 0; v < 2*finishRows; v += 4 {
		k.packed(v)
		if k.nt > 1 {
			k.p("VMOVDQU %s, (%s)", reg(32, v), at)
			k.p("VEXTRACTI64X4 $1, %s, (%s)(R9*1)", reg(64, v), at)
			k.p("LEAQ (%s)(R9*2), AX", at)
			at = "AX"
			continue
		}
		k.p("VMOVDQU %s, (%s)", reg(16, v), at)
		k.p("VEXTRACTI32X4 $1, %s, (%s)(R9*1)", reg(64, v), at)
		k.p("VEXTRACTI32X4 $2, %s, (%s)(R9*2)", reg(64, v), at)
		k.p("LEAQ (%s)(R9*2), AX", at)
		k.p("VEXTRACTI32X4 $3, %s, (AX)(R9*1)", reg(64, v))
		k.p("LEAQ (AX)(R9*2), AX")
		at = "AX"
	}
	if more := k.plainRows() - finishRows; more > 0 {
		k.p("LEAQ (DI)(R9*%d), DI", more)
		k.p("ADDQ $%d, DX", more*sumPitch)
		k.p("SUBQ $%d, SI", more*slotRow)
		k.p("SUBQ $%d, R15", more)
	}
}

func loadFloat(k *tiles) {
	k.p("VBROADCASTSS %d(R13), %s", amxLo, reg(64, tileConsts))
	k.p("VBROADCASTSS %d(R13), %s", amxHi, reg(64, tileConsts+1))
}

// startFloat begins sums with the bias, as the definition does. The last columns that
// there are are copied.
func startFloat(k *tiles) {
	k.p("MOVQ %s, R11", amxCurBias)
	k.p("MOVQ %d(R13), AX", amxBiasStep)
	for range k.nt {
		k.p("ADDQ AX, %s", amxCurBias)
	}
	k.p("XORQ CX, CX")
	for u := range k.nt {
		if u > 0 {
			k.p("ADDQ AX, R11")
		}
		if u == k.nt-1 {
			k.p("CMPQ %s, $1", amxLeft)
			k.p("JNE readable")
			k.p("VMOVDQU32.Z (R11), %s, Z0", maskNext)
			k.p("MOVQ %d(R13), R11", amxSums)
			k.p("VMOVDQU64 Z0, %d(R11)", biasRow)
			k.p("ADDQ $%d, R11", biasRow)
			k.p("readable:")
		}
		for t := range k.mt {
			k.tileLoad(k.sum(t, u), "R11", "CX", 0)
		}
	}
}

// nextFloat goes on to the residual of the blocks.
func nextFloat(k *tiles) {
	k.p("MOVQ %s, AX", amxCurAdd)
	k.p("MOVQ AX, %s", amxRowAdd)
	for range k.nt {
		k.p("ADDQ %d(R13), AX", amxCStep)
	}
	k.p("MOVQ AX, %s", amxCurAdd)
}

// finishFloat adds the residual, clamps and stores. The smaller operand comes
// first in VMAXPS, so that a NaN in the sum survives.
func finishFloat(k *tiles) {
	for v := range finishRows * k.nt {
		k.p("VMOVUPS %d(DX), %s", v*sumPitch, reg(64, v))
	}
	k.p("CMPQ %d(R13), $0", amxAdd)
	k.p("JEQ added")
	k.p("MOVQ %s, AX", amxRowAdd)
	for r := range finishRows {
		if r > 0 {
			k.p("CMPQ R15, $%d", r)
			k.p("JLE added")
		}
		for u := range k.nt {
			k.p("VADDPS %d(AX), %s, %s%s", u*sumPitch, k.vec(r, u), k.masked(u), k.vec(r, u))
		}
		k.p("ADDQ %d(R13), AX", amxLdAdd)
	}
	k.p("MOVQ AX, %s", amxRowAdd)
	k.p("added:")
	for v := range finishRows * k.nt {
		k.p("VMAXPS %s, %s, %s", reg(64, v), reg(64, tileConsts), reg(64, v))
		k.p("VMINPS %s, %s, %s", reg(64, v), reg(64, tileConsts+1), reg(64, v))
	}
	k.storeRows("stored")
	k.p("stored:")
}
