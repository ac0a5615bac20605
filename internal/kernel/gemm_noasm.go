//go:build !amd64 || purego

package kernel

import "unsafe"

func (l Level) tilingF32(taps, k int) (lanes int, widths func(int) []int) {
	return genericLanes, single(1)
}

func (p *PackedF32) runFast(rows[float32], *OutF32, Range) bool { return false }

func (p *PackedF32) panelFast(panel, panel, *rows[float32], *OutF32, int, int) bool { return false }

func (b *winogradBlock) transformFast(*winogradInArgs) bool { return false }

func (b *winogradBlock) gatherFast(*winogradOutArgs, int) bool { return false }

func (s *shape) grain(*Indirect) int { return rowGrain }

func (p *PackedU8S8) pack(w []int8, o Order) { p.packGeneric(w, o) }

func (p *PackedU8S8) runFast(rows[uint8], uint8, *OutU8S8, Range) bool { return false }

func (l Level) takesPixels(shape, Window) bool { return false }

const tilesBF16 = false

func (p *PackedBF16) pack([]uint16, Order) {}

func (p *PackedBF16) runFast(*rows[uint16], *OutF32, Range) bool { return false }

func (d *GroupedF32) pack() {}

func (d *DepthwiseU8S8) pack() {}

func (d *GroupedF32) runFast(rows[float32], *OutF32, int, int) bool { return false }

func (d *DepthwiseU8S8) runFast(rows[uint8], uint8, *OutU8S8, int, int) bool { return false }

// The arguments of assembly: there is none.
type (
	winogradInArgs  struct{}
	winogradOutArgs struct{}
)

// microSet is the choice of assembly: none.
type microSet struct{}

func aligned[T any](n int) []T {
	b := make([]T, n)
	inLargePages(unsafe.Pointer(unsafe.SliceData(b)), n*int(unsafe.Sizeof(*new(T))))
	return b
}

func (l Level) packDiagonal(w []int8, n, k, in, out, taps int, o Order) *PackedU8S8 { return nil }
