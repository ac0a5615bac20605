package kernel

// A lookup multiplies small weights by small activations with tables of 16 bytes: a weight step is
// a few neighbouring weights in four bits, which pick from the table of the activations beside
// them what the dot product of both is, moved up so that it is no less than 0 and no more than 4.
type lookup struct {
	group  int     // weights in a step
	kd     int     // steps of a tap, an even number
	steps  []uint8 // [panel][tap][step][column]
	tables []uint8 // 16 bytes for each kind of group, the last one for padding
	factor int32   // of a count in a sum
}

// signTables are the tables of four signs: how many of them equal those of the weight, and of
// padding, that half of them do.
var signTables = func() []uint8 {
	t := aligned[uint8](17 * 16)
	for a := range 16 {
		for w := range 16 {
			for d := a ^ w ^ 15; d > 0; d >>= 1 {
				t[a*16+w] += uint8(d & 1)
			}
		}
	}
	fill(t[256:], 2)
	return t
}()

const (
	lookupColumns = 64
	lookupMost    = 4 // of a step
)

// rowBytes is the size of a packed row: where the table of each step begins, in 16 bits.
func (k *lookup) rowBytes() int { return k.kd * 2 }

// packSigns writes where the table of each four codes begins, from code from on.
func (k *lookup) packSigns(row, codes []uint8, from int) {
	clear(row[from/2:])
	for i := from; i < len(codes); i++ {
		if codes[i] == 0 {
			row[i/4*2] |= 16 << (i % 4)
		}
	}
}
