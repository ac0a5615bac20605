package main

import "fmt"

// The argument of the sums of rows is a *rowsArgs, whose fields are at these offsets:
const (
	rwX   = 0
	rwOff = 8
	rwW   = 16
	rwK   = 24
	rwDst = 32
	rwN   = 40
)

func init() {
	register("vec_rows", func(f *file) {
		for _, width := range []int{64, 32} {
			f.sumRows(width)
		}
	})
}

// sumRows adds rows times their weights, four vectors at a time, then one.
func (f *file) sumRows(width int) {
	f.text(fmt.Sprintf("sets n elements, a multiple of %d, to the sum of k rows times their weights.", width/4), "sumRows"+isaOf(width), "t *rowsArgs", 0, 8)
	f.p("MOVQ t+0(FP), DI")
	f.p("MOVQ %d(DI), SI", rwX)
	f.p("MOVQ %d(DI), R8", rwDst)
	f.p("MOVQ %d(DI), R9", rwN)
	for _, vectors := range []int{4, 1} {
		at := func(label string) string { return fmt.Sprintf("%s%d", label, vectors) }
		f.p("%s:", at("next"))
		f.p("SUBQ $%d, R9", vectors*width/4)
		f.p("JLT %s", at("done"))
		for v := range vectors {
			f.p("VXORPS %s, %s, %s", reg(width, v), reg(width, v), reg(width, v))
		}
		f.p("MOVQ %d(DI), BX", rwOff)
		f.p("MOVQ %d(DI), DX", rwW)
		f.p("MOVQ %d(DI), CX", rwK)
		f.p("%s:", at("row"))
		f.p("MOVLQSX (BX), AX")
		f.p("LEAQ (SI)(AX*4), AX")
		f.p("VBROADCASTSS (DX), %s", reg(width, 4))
		for v := range vectors {
			f.p("VFMADD231PS %d(AX), %s, %s", v*width, reg(width, 4), reg(width, v))
		}
		f.p("ADDQ $4, BX")
		f.p("ADDQ $4, DX")
		f.p("DECQ CX")
		f.p("JNE %s", at("row"))
		for v := range vectors {
			f.p("VMOVUPS %s, %d(R8)", reg(width, v), v*width)
		}
		f.p("ADDQ $%d, SI", vectors*width)
		f.p("ADDQ $%d, R8", vectors*width)
		f.p("JMP %s", at("next"))
		f.p("%s:", at("done"))
		f.p("ADDQ $%d, R9", vectors*width/4)
	}
	f.ret()
}
