package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestContribTwins takes operators of ONNX Runtime's that are those of ONNX the same ways.
func TestContribTwins(t *testing.T) {
	k := newMaker(3)
	x := k.input(k.floats(2, 5, 7))
	k.output(k.node("com.microsoft.Trilu", []string{x, k.constant(tensor.Wrap(tensor.Int64, []int64{-1}))}, "upper", int64(0)))
	k.output(k.node("com.microsoft.Pad", []string{x, k.constant(tensor.Int64s([]int64{0, 1, 2, 0, -1, 3}, 6)), k.scalar(2.5)}))
	k.output(k.node("com.microsoft.GatherND", []string{x, k.constant(tensor.Int64s([]int64{1, 4, 0, 2}, 2, 2))}))
	image, grid := k.input(k.floats(1, 3, 6, 5)), k.input(k.floats(1, 4, 4, 2))
	k.output(k.node("com.microsoft.GridSample", []string{image, grid}, "mode", "bilinear", "padding_mode", "border"))
	for _, s := range k.checkFloat(t) {
		if s.Kernel == "reference" {
			t.Errorf("%s runs by its definition", s.Op)
		}
	}
}
