//go:build !amd64 || purego

package kernel

var (
	signsAsm    variants[signsFn]
	logCodesAsm variants[logCodesFn]
)

func (p *PackedBits) pack(w []int8, o Order) { p.packGeneric(w, o) }

func (p *PackedBits) packRowFast(row, codes []uint8) int { return 0 }

func (p *PackedBits) runFast(*rows[uint8], *OutU8S8, Range) bool { return false }
