package main

import "fmt"

// The argument of an AMX kernel is an *amxArgs with these offsets.
const (
	amxCfg       = 0
	amxA         = 8
	amxOff       = 16
	amxLda       = 24
	amxTaps      = 32
	amxSteps     = 40
	amxB         = 48
	amxBlocks    = 56
	amxSums      = 64
	amxBias      = 72
	amxBiasStep  = 80
	amxScale     = 88
	amxScaleStep = 96
	amxShift     = 104
	amxShiftStep = 112
	amxC         = 120
	amxLdc       = 128
	amxCStep     = 136
	amxRows      = 144
	amxMask      = 152
	amxKind      = 160
	amxHi        = 168
	amxZ         = 172
	amxQLo       = 176
	amxQHi       = 180
	amxFlip      = 184
	amxLo        = 188
	amxTile      = 192
	amxPart      = 224
	amxAdd       = 256
	amxLdAdd     = 264
	amxAll       = 272
	amxWait      = 280
	amxShare     = 312
	amxBStep     = 344
	amxGroups    = 352
	amxGroupA    = 360
	amxGroupC    = 368
	amxGroupAdd  = 376
)

func init() {
	register("gemm_amx", func(f *file) {
		f.words("transpose4", transpose4...)
		eachTiles("gemmAMX", tiles{file: f, dot: f.tileDotU8S8, load: loadInt, start: startInt, next: nextInt, finish: finishInt})
		eachTiles("gemmBF16AMX", tiles{file: f, dot: f.tileDotBF16, load: loadFloat, start: startFloat, next: nextFloat, finish: finishFloat})
		f.gather("gatherAVX512", 1)
		f.gather("gatherWordsAVX512", 2)
	})
}

// eachTiles emits k for each shape, with B near and far.
func eachTiles(name string, k tiles) {
	for _, shape := range []tile{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {1, 2}, {2, 2}} {
		k.mt, k.nt = shape.mr, shape.nv
		for _, k.far = range []bool{false, true} {
			k.emit(name)
		}
	}
}

// tiles is a kernel that multiplies mt tiles of rows of A by nt blocks of 16
// columns in a turn: the first tiles hold sums, then come those of A and of B. Two by
// two tiles load one for each product. The two threads of a core share the registers
// behind tiles, and a load waits for a free one: a tile that is zeroed has none, so
// those of A and B are zeroed behind their last product, and loads and products
// still overlap where the other thread runs. Sums leave through memory, those of two
// turns alternating. While the tiles multiply the next blocks, vectors finish these:
// some rows behind each product, since a register of tiles is free again only when
// all instructions before its last use are done, and what is left once the next sums
// are on their way. Tile state is made and dropped within the call, during which a
// goroutine cannot change threads.
type tiles struct {
	*file
	mt, nt int
	far    bool // B is not in the second cache
	dot    func(c, a, b byte)
	load   func(*tiles) // loads constants, once
	start  func(*tiles) // fills the sums of a turn
	next   func(*tiles) // loads the factors of the blocks that finish
	finish func(*tiles) // from sums at DX to memory at DI, finishRows rows
}

const (
	mostTiles    = 4
	tileA, tileB = mostTiles, mostTiles + 1 // and tiles two further on
	tileBytes    = 1024
	aheadB       = 4 * tileBytes // how far ahead B is fetched
	finishRows   = 4
	sumPitch     = 64                    // of a block
	turnBytes    = mostTiles * tileBytes // from the sums of a turn to those of the next
	biasRow      = 2 * turnBytes         // in the memory of sums, behind them
)

// sum is the tile of the sums of rows t and block u.
func (k *tiles) sum(t, u int) byte { return byte(u*k.mt + t) }

// rowsOf is the tile of A for the rows t: all the same where they meet one block.
func (k *tiles) rowsOf(t int) byte { return tileA + byte(2*t*(k.nt-1)) }

// columnsOf is the tile of B for block u.
func (k *tiles) columnsOf(u int) byte { return tileB + byte(2*u) }

// vec is the vector register of row r, block u, while rows are finished.
func (k *tiles) vec(r, u int) string { return reg(64, r*k.nt+u) }

// Frame: cursors that advance from turn to turn; then those from group to group.
const (
	amxCurBias  = "bias-8(SP)"
	amxCurScale = "scale-16(SP)"
	amxCurShift = "shift-24(SP)"
	amxCurC     = "c-32(SP)"
	amxLeft     = "blocks-40(SP)"
	amxCurAdd   = "add-48(SP)"
	amxRowAdd   = "row-56(SP)"
	amxTurn     = "turn-64(SP)"
	amxCurOff   = "off-72(SP)"
	amxCurA     = "a-80(SP)"
	amxGroup    = "group-88(SP)"
	amxFirstC   = "rows-96(SP)"
	amxFirstAdd = "residual-104(SP)"
	amxFrame    = 104
)

// Masks of the columns of the last block that finishes, and of the last that begins;
// and of the bytes of two blocks that finish.
const maskDone, maskNext, maskBytes = "K1", "K2", "K4"

// masked is the mask of block u of those that finish, and what follows it.
func (k *tiles) masked(u int) string {
	if u < k.nt-1 {
		return ""
	}
	return maskDone + ", "
}

func (k *tiles) emit(name string) {
	doc := "multiplies rows by blocks of 16 columns"
	if k.nt > 1 {
		doc = "multiplies rows by pairs of blocks of 16 columns"
	}
	if k.far {
		name, doc = name+"Far", doc+" that it fetches ahead"
	}
	name = fmt.Sprintf("%s%d", name, k.mt*16)
	if k.nt > 1 {
		name += fmt.Sprintf("x%d", k.nt*16)
	}
	k.text(doc+".", name, "t *amxArgs", amxFrame, 8)
	k.p("MOVQ t+0(FP), R13")
	k.p("MOVQ %d(R13), AX", amxCfg)
	k.tileConfig("AX")
	k.p("MOVQ %d(R13), R8", amxLda)
	k.p("MOVQ %d(R13), R9", amxLdc)
	k.p("MOVQ $64, R10")
	k.p("XORQ R15, R15")
	k.p("MOVQ R15, %s", amxTurn)
	k.p("MOVQ R15, %s", amxGroup)
	k.cursors([]cursor{{amxC, amxFirstC}, {amxAdd, amxFirstAdd}})
	k.load(k)
	k.p("rows:")
	k.rows()
	k.p("block:")
	k.begin()
	k.multiply()
	k.store()
	k.p("drain:")
	k.p("MOVQ $%d, SI", slotDrain)
	k.p("TESTQ R15, R15")
	k.p("JG finish")
	k.p("CMPQ %s, $0", amxLeft)
	k.p("JEQ end")
	k.follow()
	k.p("DECQ %s", amxLeft)
	k.p("JNE block")
	k.p("INCQ %s", amxGroup)
	k.p("MOVQ %s, AX", amxGroup)
	k.p("CMPQ AX, %d(R13)", amxGroups)
	k.p("JLT rows")
	k.p("JMP drain")
	k.finishing()
	k.p("end:")
	k.tileRelease()
	k.ret()
}

// cursor is a place in the frame, and the argument that it begins with.
type cursor struct {
	arg int
	to  string
}

func (k *tiles) cursors(list []cursor) {
	for _, c := range list {
		k.p("MOVQ %d(R13), AX", c.arg)
		k.p("MOVQ AX, %s", c.to)
	}
}

// rows begins a group of rows: all blocks of columns come again, while the last ones of
// the group before finish.
func (k *tiles) rows() {
	k.cursors([]cursor{{amxBias, amxCurBias}, {amxScale, amxCurScale}, {amxShift, amxCurShift}, {amxBlocks, amxLeft}})
	for _, c := range []struct {
		first, cur string
		step       int
	}{{amxFirstC, amxCurC, amxGroupC}, {amxFirstAdd, amxCurAdd, amxGroupAdd}} {
		k.p("MOVQ %s, AX", c.first)
		k.p("MOVQ AX, %s", c.cur)
		k.p("ADDQ %d(R13), AX", c.step)
		k.p("MOVQ AX, %s", c.first)
	}
	k.p("MOVQ %d(R13), AX", amxGroupA)
	k.p("MOVQ %s, CX", amxGroup)
	k.p("MOVQ (AX)(CX*8), AX")
	k.p("ADDQ %d(R13), AX", amxA)
	k.p("MOVQ AX, %s", amxCurA)
	k.p("MOVQ %d(R13), BX", amxB)
	k.p("KXNORW %s, %s, %s", maskNext, maskNext, maskNext)
}

// SI names the place to go on behind some finished rows: the number of a tile, behind
// whose product it is, or slotDrain. Multiples of slotRow above it are the rows to finish.
const (
	slotDrain = 15
	slotRow   = 16
)

// finishing does rows, finishRows at a time, and goes on where SI says.
func (k *tiles) finishing() {
	k.p("finish:")
	k.finish(k)
	k.p("ADDQ $%d, DX", finishRows*k.nt*sumPitch)
	k.p("LEAQ (DI)(R9*%d), DI", finishRows)
	k.p("SUBQ $%d, SI", finishRows*slotRow)
	k.p("SUBQ $%d, R15", finishRows)
	k.p("JLE leave")
	k.p("CMPQ SI, $%d", slotRow)
	k.p("JGE finish")
	k.p("leave:")
	k.p("ANDQ $%d, SI", slotRow-1)
	for slot := range k.mt * k.nt {
		k.p("CMPQ SI, $%d", slot)
		k.p("JEQ slot%d", slot)
	}
	k.p("JMP drain")
}

// begin starts a turn.
func (k *tiles) begin() {
	k.p("CMPQ %s, $1", amxLeft)
	k.p("JNE whole")
	k.p("MOVL %d(R13), AX", amxMask)
	k.p("KMOVW AX, %s", maskNext)
	k.p("whole:")
	k.start(k)
	k.p("MOVQ %d(R13), AX", amxOff)
	k.p("MOVQ AX, %s", amxCurOff)
	k.p("MOVQ %d(R13), R14", amxTaps)
}

// multiply runs through the taps of a turn.
func (k *tiles) multiply() {
	k.p("tap:")
	k.p("MOVQ %s, AX", amxCurOff)
	k.p("MOVLQSX (AX), R11")
	k.p("ADDQ %s, R11", amxCurA)
	k.p("ADDQ $4, %s", amxCurOff)
	k.p("MOVQ %d(R13), CX", amxSteps)
	k.p("PCALIGN $32")
	k.p("loop:")
	for u := range k.nt {
		k.loadB(u)
		for t := range k.mt {
			if u == 0 {
				k.loadA(t)
			}
			k.dot(k.sum(t, u), k.rowsOf(t), k.columnsOf(u))
			if u == k.nt-1 {
				k.tileZero(k.rowsOf(t))
			}
			if t == k.mt-1 {
				k.tileZero(k.columnsOf(u))
			}
			slot := u*k.mt + t
			k.p("MOVQ %d(R13), SI", amxShare+8*slot)
			k.p("CMPQ R15, %d(R13)", amxWait+8*slot)
			k.p("JGT finish")
			k.p("slot%d:", slot)
		}
	}
	k.p("ADDQ $64, R11")
	k.p("ADDQ $%d, BX", tileBytes)
	k.p("DECQ CX")
	k.p("JNE loop")
	k.p("DECQ R14")
	k.p("JNE tap")
	if k.nt > 1 {
		k.p("ADDQ %d(R13), BX", amxBStep)
	}
}

// loadA takes the next tile of the rows t.
func (k *tiles) loadA(t int) {
	from := "R11"
	if t > 0 {
		from = "AX"
		k.p("MOVQ %d(R13), AX", amxTile+8*t)
		k.p("ADDQ R11, AX")
	}
	k.tileLoad(k.rowsOf(t), from, "R8", 0)
}

// loadB takes the next tile of block u of B. From the second cache it comes past the
// first one, which keeps the rows; one from farther away is in the first by the time
// that it is wanted.
func (k *tiles) loadB(u int) {
	from := "BX"
	if u > 0 {
		from = "AX"
		k.p("MOVQ %d(R13), AX", amxBStep)
		k.p("ADDQ BX, AX")
	}
	if !k.far {
		k.tileStream(k.columnsOf(u), from, "R10", 0)
		return
	}
	k.tileLoad(k.columnsOf(u), from, "R10", 0)
	for line := 0; line < tileBytes; line += 64 {
		k.p("PREFETCHT0 %d(%s)", aheadB+line, from)
	}
}

// store writes the sums to memory, blocks side by side. A tile covers what the one
// before it has too much.
func (k *tiles) store() {
	k.p("MOVQ $%d, CX", k.nt*sumPitch)
	for t := range k.mt {
		k.p("MOVQ %s, AX", amxTurn)
		k.p("ADDQ %d(R13), AX", amxSums)
		if t > 0 {
			for range k.nt {
				k.p("ADDQ %d(R13), AX", amxPart+8*t)
			}
		}
		for u := range k.nt {
			k.tileStore(k.sum(t, u), "AX", "CX", int32(u*sumPitch))
		}
	}
}

// follow makes the sums that were stored last those that finish.
func (k *tiles) follow() {
	k.p("MOVQ %s, DX", amxTurn)
	k.p("XORQ $%d, %s", turnBytes, amxTurn)
	k.p("ADDQ %d(R13), DX", amxSums)
	k.p("MOVQ %d(R13), R15", amxRows)
	k.p("MOVQ %s, DI", amxCurC)
	k.p("MOVQ %d(R13), AX", amxCStep)
	k.p("LEAQ (DI)(AX*%d), AX", k.nt)
	k.p("MOVQ AX, %s", amxCurC)
	k.p("KMOVW %s, %s", maskNext, maskDone)
	k.next(k)
}

// Registers of the factors of the blocks that finish. Those from tileConsts on hold
// constants.
const (
	tileBias   = 26
	tileScale  = 28
	tileShift  = 30
	tileConsts = 16
)

// each calls f for the rows that exist, with its address; the label done
// follows.
func (k *tiles) each(done string, f func(r int, addr string)) {
	for r := range finishRows {
		if r > 0 {
			k.p("CMPQ R15, $%d", r)
			k.p("JLE %s", done)
		}
		switch r {
		case 0:
			f(r, "(DI)")
		case 1:
			f(r, "(DI)(R9*1)")
		case 2:
			k.p("LEAQ (DI)(R9*2), AX")
			f(r, "(AX)")
		case 3:
			f(r, "(AX)(R9*1)")
		}
	}
}

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

// gather copies rows through a list of offsets. Arguments are as for a micro
// kernel, elements of size bytes: argC is the block, argLdc its pitch, argKB the bytes from tap to tap
// in it, argMask the bytes to read for the last vector of a tap. Whole vectors
// are written, so up to 63 bytes follow the last row.
func (f *file) gather(name string, size int) {
	f.text("copies the taps of rows side by side; whole vectors are written.", name, "t *microArgs", 8, 8)
	f.p("MOVQ t+0(FP), AX")
	for _, c := range []struct {
		arg int
		to  string
	}{{argA, "SI"}, {argZero, "DX"}, {argOff, "R8"}, {argOffRow, "R9"}, {argC, "R10"}, {argLdc, "R11"}, {argRows, "R12"}, {argKB, "R13"}} {
		f.p("MOVQ %d(AX), %s", c.arg, c.to)
	}
	f.p("KMOVQ %d(AX), K1", argMask)
	f.p("MOVQ %d(AX), R14", argTaps)
	f.p("row:")
	f.p("MOVQ R8, R15")
	f.p("MOVQ R10, DI")
	f.p("MOVQ R14, AX")
	f.p("MOVQ AX, tap-8(SP)")
	f.p("tap:")
	f.p("MOVLQSX (R15), BX")
	f.p("TESTQ BX, BX")
	f.p("LEAQ (SI)(BX*%d), BX", size)
	f.p("CMOVQLT DX, BX")
	f.p("XORQ CX, CX")
	f.p("MOVQ R13, AX")
	f.p("SUBQ $64, AX")
	f.p("JLE last")
	f.p("whole:")
	f.p("VMOVDQU64 (BX)(CX*1), Z0")
	f.p("VMOVDQU64 Z0, (DI)(CX*1)")
	f.p("ADDQ $64, CX")
	f.p("CMPQ CX, AX")
	f.p("JLT whole")
	f.p("last:")
	f.p("VMOVDQU8.Z (BX)(CX*1), K1, Z0")
	f.p("VMOVDQU64 Z0, (DI)(CX*1)")
	f.p("ADDQ R13, DI")
	f.p("ADDQ $4, R15")
	f.p("DECQ tap-8(SP)")
	f.p("JNE tap")
	f.p("ADDQ R9, R8")
	f.p("ADDQ R11, R10")
	f.p("DECQ R12")
	f.p("JNE row")
	f.ret()
}
