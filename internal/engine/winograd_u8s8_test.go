package engine

import (
	"testing"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// TestWinogradU8S8 runs convolutions that Winograd's form takes, on every level that has it: batches, parts of a
// concatenation, and more threads than rows of tiles, or than panels, give the bytes of plain Go.
func TestWinogradU8S8(t *testing.T) {
	for seed, c := range []struct {
		batch, in, out, h, w int
		dots                 bool // pays beside dot products of bytes
	}{{1, 32, 40, 14, 14, false}, {3, 48, 32, 7, 6, false}, {2, 32, 33, 8, 21, false}, {2, 48, 57, 15, 13, true}, {1, 256, 96, 14, 11, true}} {
		k := newMaker(uint64(seed))
		x := k.codesIn(tensor.Uint8, c.batch, c.in, c.h, c.w)
		conv := func() string {
			w, s := k.weight(0, true, c.out, c.in, 3, 3)
			y := k.node("Conv", []string{x, w, k.biasOf(inScale, s, c.out)}, "pads", []int64{1, 1, 1, 1})
			return k.quantized(y, outScale, 117, tensor.Uint8)
		}
		k.output(k.node("Concat", []string{conv(), conv()}, "axis", int64(1)))
		want := k.bytesOf(t, runs{kernel.Generic, 1})
		for _, level := range kernel.Levels()[1:] {
			for _, threads := range []int{1, 2, 8} {
				if got := k.bytesOf(t, runs{level, threads}); got != want {
					t.Errorf("%v, %v, %d threads: byte %d differs from plain Go", c, level, threads, firstDifference(got, want))
				}
			}
			if level < kernel.AMX && (c.dots || !level.DotsBytes()) {
				_, steps := k.evaluate(t, runs{level, 1}, nil)
				wantKernels(t, steps, "u8s8 Winograd conv 3x3")
			}
		}
	}
}

// formOf names the form in which codes are convolved with 3×3 weights on this machine.
func formOf(out, in, h, w int) string {
	win := kernel.Window{H: h, W: w, Pitch: in, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: 1, Left: 1, OH: h, OW: w}
	if level, _ := kernel.Best(); level.WinogradPaysU8S8(out, in, win) {
		return "Winograd conv 3x3"
	}
	return "conv 3x3"
}
