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
		for _, k.from = range []distance{held, near, far} {
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
	from   distance
	dot    func(c, a, b byte)
	load   func(*tiles) // loads constants, once
	start  func(*tiles) // fills the sums of a turn
	next   func(*tiles) // loads the factors of the blocks that finish
	finish func(*tiles) // from sums at DX to memory at DI, finishRows rows
}

// distance says where B is.
type distance int

const (
	held distance = iota // in the first cache, with the rows
	near                 // in the second cache
	far
)

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
	switch k.from {
	case held:
		name, doc = name+"Held", doc+" that lie in the first cache"
	case far:
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
	if k.from == near {
		k.tileStream(k.columnsOf(u), from, "R10", 0)
		return
	}
	k.tileLoad(k.columnsOf(u), from, "R10", 0)
	if k.from == held {
		return
	}
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
