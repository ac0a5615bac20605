package kernel

import (
	"slices"
	"testing"
)

// TestRepeat writes elements of every size up to nine times, at any place, and nothing beyond.
func TestRepeat(t *testing.T) {
	t.Run("uint8", testRepeat[uint8])
	t.Run("uint16", testRepeat[uint16])
	t.Run("uint32", testRepeat[uint32])
	t.Run("uint64", testRepeat[uint64])
}

func testRepeat[T Word](t *testing.T) {
	for times := range 10 {
		for n := range 45 {
			for off := range 3 {
				src, dst := make([]T, n), make([]T, off+n*times+9)
				for i := range dst {
					dst[i] = T(i * 7)
				}
				want := slices.Clone(dst)
				for i := range src {
					src[i] = ^T(0) - T(i*i*77)
					for k := range times {
						want[off+i*times+k] = src[i]
					}
				}
				for _, l := range Levels() {
					got := slices.Clone(dst)
					Repeat(l, got[off:], src, times)
					if !slices.Equal(got, want) {
						t.Fatalf("%v: %d elements %d times at %d: %v, not %v", l, n, times, off, got, want)
					}
				}
			}
		}
	}
}
