package engine

import (
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// chosen is a matrix of as many rows as x has above zero in column 0.
func (k *maker) chosen(rows, cols int) string {
	x := k.input(k.floats(rows, cols))
	first := k.node("Squeeze", []string{k.node("Gather", []string{x, k.constant(tensor.Vector(0))}, "axis", int64(1)), k.constant(tensor.Vector(1))})
	at := k.node("Squeeze", []string{k.node("NonZero", []string{k.node("Relu", []string{first})}), k.constant(tensor.Vector(0))})
	return k.node("Gather", []string{x, at})
}

// TestLate compiles what follows rows that are counted in the run as one, whether there are rows or none.
func TestLate(t *testing.T) {
	for seed, rows := range []int{1, 2, 9, 60} {
		k := newMaker(uint64(seed))
		x := k.chosen(rows, 24)
		y := k.node("Gemm", []string{x, k.constant(k.floats(40, 24)), k.constant(k.floats(40))}, "transB", int64(1))
		z := k.node("MatMul", []string{k.node("Relu", []string{y}), k.constant(k.floats(40, 12))})
		image := k.node("Reshape", []string{x, k.constant(tensor.Vector(-1, 2, 4, 3))})
		c := k.node("Conv", []string{image, k.constant(k.floats(5, 2, 3, 3)), k.constant(k.floats(5))}, "pads", []int64{1, 1, 1, 1})
		u := k.node("ConvTranspose", []string{image, k.constant(k.floats(2, 3, 2, 2))}, "strides", []int64{2, 2})
		n := &graph.Node{Op: "DynamicQuantizeLinear", In: []string{x}, Out: []string{"codes", "step", "zero"}}
		k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
		sums := k.node("MatMulInteger", []string{"codes", k.constant(k.codes(tensor.Int8, -127, 128, 24, 7)), "zero"})
		k.output(k.node("Cast", []string{sums}, "to", int64(1)))
		k.output(z, c, u, k.node("MatMul", []string{x, k.node("Transpose", []string{x}, "perm", []int64{1, 0})}))
		names := kernelsOf(k.checkFloat(t))
		if n := len(slices.DeleteFunc(names, func(s string) bool { return s != "compiled in the run" })); n != 1 {
			t.Errorf("%d nodes are compiled in the run", n)
		}
	}
}

// TestLateNesting finds one shape after the other, deeper than compilations stand in each other.
func TestLateNesting(t *testing.T) {
	k := newMaker(4)
	x := k.chosen(9, 24)
	size, turn := k.input(tensor.Vector(-1, 24)), tensor.New(tensor.Float32, 24, 24)
	for i := range 24 {
		tensor.Of[float32](turn)[i*24+(i+1)%24] = 1
	}
	for range 2 * mostNesting {
		x = k.node("Relu", []string{k.node("MatMul", []string{k.node("Reshape", []string{x, size}), k.constant(turn)})})
		x = k.node("Clip", []string{x, k.scalar(0), k.scalar(1)})
	}
	k.output(x)
	k.checkFloat(t)
}
