package kernel

// A lookup multiplies signs by signs with tables of 16 bytes: a weight step is four neighbouring signs in four bits, which
// pick from the table of the activations beside them how many of both are equal. A table is that of two rows: in its
// bytes are the count of the first one and sixteen times that of the second.
type lookup struct {
	kd    int     // steps of a tap
	steps []uint8 // [panel][tap][step][column]
}

const (
	lookupColumns = 64
	lookupGroup   = 4  // signs in a step
	lookupRound   = 3  // steps that are counted together
	lookupPadding = 16 // the table of one row that has no four signs, after those that have
	pairTables    = lookupPadding + 1
)

// signTables are the tables of two rows, by the signs of the first one and then by those of the second.
var signTables = func() []uint8 {
	t := aligned[uint8](pairTables * pairTables * 16)
	for i := range t {
		a, b, w := i/16%pairTables, i/16/pairTables, i%16
		t[i] = uint8(equalSigns(a, w) + 16*equalSigns(b, w))
	}
	return t
}()

// equalSigns counts the signs that four activations and four weights share; padding shares none.
func equalSigns(a, w int) (n int) {
	if a == lookupPadding {
		return 0
	}
	for d := a ^ w ^ 15; d > 0; d >>= 1 {
		n += d & 1
	}
	return n
}

// lookupSteps is the number of steps of a tap, a multiple of four.
func lookupSteps(k int) int { return (k + 4*lookupGroup - 1) / (4 * lookupGroup) * 4 }

// rowBytes is the size of a packed row: where the table of each step begins, in 16 bits.
func (k *lookup) rowBytes() int { return k.kd * 2 }

// packSigns writes where the table of each four codes begins, from code from on.
func (k *lookup) packSigns(row, codes []uint8, from int) {
	clear(row[from/2:])
	for i := from; i < len(codes); i++ {
		if codes[i] == 0 {
			row[i/lookupGroup*2] |= 16 << (i % lookupGroup)
		}
	}
}
