//go:build !amd64 || purego

package kernel

func (p *WinogradU8S8) setLanes() (widths func(int) []int) {
	p.lanes = genericLanes
	return single(1)
}

func (l Level) fastWinogradU8S8(k int) bool { return false }

func (p *WinogradU8S8) runFast(x []uint8, pad uint8, t *TilesU8S8, out *OutU8S8, r Range) {}

func (p *WinogradU8S8) filterFast(u []int16, w []int8, tap int) {}
