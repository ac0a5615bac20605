package engine

import (
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// dealt slices an image into step² strided ones and concatenates them, in the order given.
func (k *maker) dealt(x string, step int64, order []int64, side int64) string {
	var parts []string
	for _, o := range order {
		rows := k.node("Slice", []string{x, k.constant(tensor.Vector(o / step)), k.constant(tensor.Vector(side)), k.constant(tensor.Vector(2)), k.constant(tensor.Vector(step))})
		parts = append(parts, k.node("Slice", []string{rows, k.constant(tensor.Vector(o % step)), k.constant(tensor.Vector(side)), k.constant(tensor.Vector(3)), k.constant(tensor.Vector(step))}))
	}
	return k.node("Concat", parts, "axis", int64(1))
}

// TestDealtPixels runs convolutions over strided slices, of floats, of floats that are quantized, and of codes.
func TestDealtPixels(t *testing.T) {
	attrs := []any{"pads", []int64{1, 0, 0, 1}, "strides", []int64{1, 2}}
	for _, c := range []struct {
		step  int64
		order []int64
	}{{2, []int64{0, 2, 1, 3}}, {2, []int64{3, 1, 0, 2}}, {3, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}}} {
		channels := 3 * int(c.step*c.step)
		image := []int{2, 3, 12, 12}

		k := newMaker(uint64(c.step))
		k.output(k.node("Conv", []string{k.dealt(k.input(k.floats(image...)), c.step, c.order, 12), k.constant(k.floats(20, channels, 3, 2))}, attrs...))
		wantNoKernel(t, k.checkFloat(t), "slice", "concat")

		k = newMaker(uint64(c.step))
		w, _ := k.weight(0, true, 20, channels, 3, 2)
		x := k.quantized(k.dealt(k.input(k.floats(image...)), c.step, c.order, 12), inScale, 117, tensor.Uint8)
		k.codesOut(k.node("Conv", []string{x, w}, attrs...), tensor.Uint8)
		wantNoKernel(t, k.checkSteps(t, outScale), "slice", "concat")
	}
}

// TestSpaceToDepth runs a convolution over pixels dealt by one operator, in another order of channels.
func TestSpaceToDepth(t *testing.T) {
	for _, gather := range []bool{false, true} {
		k := newMaker(7)
		w, _ := k.weight(0, true, 20, 12, 3, 3)
		x := k.node("SpaceToDepth", []string{k.codesIn(tensor.Uint8, 1, 3, 10, 12)}, "blocksize", int64(2))
		if gather {
			x = k.node("Gather", []string{k.quantized(x, inScale, 117, tensor.Uint8), k.constant(tensor.Vector(9, 10, 11, 0, 1, 2, 6, 7, 8, 3, 5, 4))}, "axis", int64(1))
		}
		k.codesOut(k.node("Conv", []string{k.quantized(x, inScale, 117, tensor.Uint8), w}), tensor.Uint8)
		wantNoKernel(t, k.checkSteps(t, outScale), "move", "deal pixels")
	}
}

// TestNotDealt leaves alone what takes pixels twice, or not all.
func TestNotDealt(t *testing.T) {
	for _, order := range [][]int64{{0, 0, 1, 3}, {0, 1, 2}} {
		k := newMaker(5)
		x := k.dealt(k.input(k.floats(1, 3, 8, 8)), 2, order, 8)
		k.output(k.node("Conv", []string{x, k.constant(k.floats(8, 3*len(order), 3, 3))}))
		wantKernels(t, k.checkFloat(t), "concat")
	}
	k := newMaker(6)
	x := k.dealt(k.input(k.floats(1, 3, 7, 7)), 2, []int64{0, 0, 0, 0}, 6) // an odd row and column are left over
	k.output(k.node("Conv", []string{x, k.constant(k.floats(8, 12, 3, 3))}))
	wantKernels(t, k.checkFloat(t), "concat")
}

// TestDealtOutside refuses channels that are not there.
func TestDealtOutside(t *testing.T) {
	k := newMaker(8)
	x := k.node("SpaceToDepth", []string{k.input(k.floats(1, 3, 10, 12))}, "blocksize", int64(2))
	x = k.node("Gather", []string{x, k.constant(tensor.Vector(9, 10, 11, 0, 1, 2, 6, 7, 8, 3, 5, 12))}, "axis", int64(1))
	k.output(k.node("Conv", []string{x, k.constant(k.floats(8, 12, 3, 3))}))
	s, err := Compile(k.m, Options{})
	if err == nil {
		defer s.Close()
		_, err = s.Run(t.Context(), k.in)
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

func wantNoKernel(t *testing.T, steps []StepTime, names ...string) {
	t.Helper()
	for _, s := range steps {
		for _, name := range names {
			if s.Kernel == name {
				t.Errorf("%s runs by %q", s.Node, name)
			}
		}
	}
}
