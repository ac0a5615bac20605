package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestUnique tells elements apart, of which many are equal, in order and as they come.
func TestUnique(t *testing.T) {
	for i, shape := range [][]int{{}, {1}, {60}, {3, 500}, {0}} {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Int32, tensor.Int64} {
			for round := range 6 {
				k := newMaker(uint64(i + 10*round))
				var attrs []any
				if len(shape) == 1 && round == 0 {
					attrs = append(attrs, "axis", int64(-1))
				}
				out := k.node("Unique", []string{k.input(k.contested(d, shape...))}, append(attrs, "sorted", int64(round%2))...)
				last := k.m.Graph.Nodes[len(k.m.Graph.Nodes)-1]
				last.Out = append(last.Out, k.name(), k.name(), k.name())
				k.output(last.Out[1:]...)
				if round > 1 {
					last.Out[1] = ""
					k.m.Graph.Out = k.m.Graph.Out[1:]
				}
				k.output(out)
				wantKernels(t, k.checkExact(t), d.String()+" Unique")
			}
		}
	}
}

// TestUniqueRows leaves slices to the definition.
func TestUniqueRows(t *testing.T) {
	k := newMaker(1)
	k.output(k.node("Unique", []string{k.input(k.codes(tensor.Int32, 0, 1, 30, 3))}, "axis", int64(0)))
	k.checkExact(t)
}
