//go:build !amd64 || purego

package kernel

func (l Level) packSpan(w []int8, n, k, taps int, o Order, span int) *PackedNarrow { return nil }
