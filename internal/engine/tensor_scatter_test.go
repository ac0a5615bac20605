package engine

import (
	"fmt"
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

// scattered is a TensorScatter of caches of seven rows and updates of three.
func scattered(k *maker, d tensor.DType, axis int64, mode string, at ...int64) {
	k.m.Opsets[0].Version, k.m.IR = 24, 13
	cache, update := []int{2, 3, 7, 5}, []int{2, 3, 3, 5}
	if axis == 1 {
		cache, update = []int{2, 7, 5}, []int{2, 3, 5}
	}
	draw := func(shape []int) string {
		if d == tensor.Float32 {
			return k.input(k.floats(shape...))
		}
		return k.input(k.codes(d, 0, 255, shape...))
	}
	in := []string{draw(cache), draw(update)}
	if at != nil {
		in = append(in, k.input(tensor.Vector(at...)))
	}
	k.output(k.node("TensorScatter", in, "axis", axis, "mode", mode))
}

func TestTensorScatter(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float32, tensor.Uint8} {
		for i, at := range [][]int64{nil, {0, 4}, {2, 1}, {6, 13}} {
			mode := "linear"
			if i == 3 {
				mode = "circular"
			}
			for _, axis := range []int64{-2, 1} {
				t.Run(fmt.Sprint(d, at, axis), func(t *testing.T) {
					k := newMaker(uint64(i))
					scattered(k, d, axis, mode, at...)
					wantKernels(t, k.checkExact(t), "move")
				})
			}
		}
	}
}

// TestTensorScatterOutside asks for the definition's error where rows would lie behind the last.
func TestTensorScatterOutside(t *testing.T) {
	k := newMaker(1)
	scattered(k, tensor.Float32, -2, "linear", 0, 5)
	s, err := Compile(k.m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Run(t.Context(), k.in); err == nil || !strings.Contains(err.Error(), "write index 5 is outside dimension 7") {
		t.Errorf("error %v", err)
	}
}
