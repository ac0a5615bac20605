//go:build !amd64 || purego

package kernel

func (l Level) lanesS8() int { return genericLanes }

func (l Level) lanesBlocks() (lanes, width int) { return genericLanes, genericLanes }

func (p *PackedBlocksS8) runFast([]uint8, *OutF32, Range) bool { return false }

func (p *PackedBlocksF32) runFast(*blockSums, *rows[float32], *OutF32, int, int, Range) bool {
	return false
}

// decodeArgs is the argument of assembly: there is none.
type decodeArgs struct{}
