package kernel

// winograd says whether a window has Winograd's forms: 3×3 taps with steps of one. [WinogradF32] computes
// tiles of 2×2 outputs, [WinogradU8S8] tiles of 4×4, for which only integers are exact enough.
func (w *Window) winograd() bool {
	return w.KH == 3 && w.KW == 3 && w.StrideH == 1 && w.StrideW == 1 && w.DilH == 1 && w.DilW == 1
}
