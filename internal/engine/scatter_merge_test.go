package engine

import (
	"context"
	"fmt"
	"testing"

	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// scatterCases are shapes of what is scattered into and of the indices, which come several times.
var scatterCases = []struct {
	op    string
	x, at []int
	limit int
	axis  int64
}{
	{"ScatterElements", []int{9, 6}, []int{30, 5}, 9, 0},
	{"ScatterElements", []int{9, 6}, []int{4, 50}, 6, -1},
	{"ScatterElements", []int{3, 5, 40}, []int{2, 17, 33}, 5, 1},
	{"ScatterElements", []int{12}, []int{40}, 12, 0},
	{"Scatter", []int{9, 6}, []int{30, 5}, 9, 0},
	{"ScatterND", []int{40, 3}, []int{160, 1}, 40, 0},
	{"ScatterND", []int{5, 5, 3}, []int{70, 2}, 5, 0},
	{"ScatterND", []int{4, 4}, []int{70, 2}, 4, 0},
}

// TestScatterMerge scatters elements and slices of every type by every reduction.
func TestScatterMerge(t *testing.T) {
	for i, c := range scatterCases {
		for _, reduction := range []string{"none", "add", "mul", "max", "min"} {
			for _, d := range []tensor.DType{tensor.Float32, tensor.Int32, tensor.Int64, tensor.Int16, tensor.Uint8} {
				plain := reduction == "none"
				if c.op == "Scatter" && !plain || d.Bits() < 32 && (!plain || c.op == "ScatterND") {
					continue
				}
				t.Run(fmt.Sprint(c.op, i, reduction, d), func(t *testing.T) {
					k := newMaker(uint64(i))
					if k.m.Opsets[0].Version = 18; c.op == "Scatter" {
						k.m.Opsets[0].Version = 10
					}
					shape, attrs := c.at, []any{"axis", c.axis}
					if c.op == "ScatterND" {
						shape, attrs = append([]int{c.at[0]}, c.x[c.at[1]:]...), nil
					}
					if c.op != "Scatter" {
						attrs = append(attrs, "reduction", reduction)
					}
					fill := func(shape []int) string { return k.input(k.anything(d, shape...)) }
					if d == tensor.Float32 {
						fill = func(shape []int) string { return k.input(k.floats(shape...)) }
					}
					k.output(k.node(c.op, []string{fill(c.x), k.input(k.indices(tensor.Int64, c.limit, c.at...)), fill(shape)}, attrs...))
					if d == tensor.Float32 && (reduction == "add" || reduction == "mul") {
						wantKernels(t, k.checkFloat(t))
					} else {
						wantKernels(t, k.checkExact(t))
					}
				})
			}
		}
	}
}

// TestScatterOutside refuses indices out of bounds with the words of the definition.
func TestScatterOutside(t *testing.T) {
	for _, name := range []string{"ScatterElements", "MaxUnpool"} {
		k := newMaker(5)
		at := k.indices(tensor.Int64, 1, 1, 1, 3, 5)
		tensor.Of[int64](at)[7] = 1 << 62
		in, attrs := []string{k.input(k.floats(1, 1, 3, 5)), k.input(at)}, []any{"kernel_shape", []int64{2, 2}, "strides", []int64{2, 2}}
		if name == "ScatterElements" {
			in, attrs = append(in, in[0]), nil
		} else {
			for i, v := range tensor.Of[int64](at) {
				tensor.Of[int64](at)[i] = max(v, -v)
			}
		}
		k.output(k.node(name, in, attrs...))
		_, want := op.Run(k.m, k.in, op.Options{})
		_, got := k.compile(t, Options{Threads: 2}).Run(context.Background(), k.in)
		if want == nil || got == nil || got.Error() != want.Error() {
			t.Errorf("%s: %v, not %v", name, got, want)
		}
	}
}

// TestMaxUnpool puts the largest elements of windows back where they were.
func TestMaxUnpool(t *testing.T) {
	k := newMaker(5)
	x := k.input(k.floats(2, 3, 12, 10))
	attrs := []any{"kernel_shape", []int64{2, 2}, "strides", []int64{2, 2}}
	y := k.node("MaxPool", []string{x}, attrs...)
	indices := k.name()
	last := k.m.Graph.Nodes[len(k.m.Graph.Nodes)-1]
	last.Out = append(last.Out, indices)
	k.output(k.node("MaxUnpool", []string{y, indices}, attrs...))
	found := false
	for _, s := range k.checkExact(t) {
		found = found || s.Kernel == "unpool"
	}
	if !found {
		t.Error("MaxUnpool runs by reference")
	}
}

// TestFolds combines three and four operands of shapes that broadcast, and means of one and two.
func TestFolds(t *testing.T) {
	for _, name := range []string{"Sum", "Mean", "Min", "Max"} {
		k := newMaker(6)
		a, b, c, d := k.input(k.floats(2, 1, 5, 6)), k.input(k.floats(4, 1, 1)), k.input(k.floats(6)), k.input(k.floats(2, 4, 5, 6))
		k.output(k.node(name, []string{a, b, c}), k.node(name, []string{c, c, b, d}), k.node(name, []string{a}), k.node(name, []string{c, a}))
		wantKernels(t, k.checkExact(t))
	}
}

// TestEinsumOfThree multiplies three matrices of which the product of two is larger than the result.
func TestEinsumOfThree(t *testing.T) {
	k := newMaker(6)
	k.output(k.node("Einsum", []string{k.input(k.floats(64, 8)), k.input(k.floats(8, 70)), k.input(k.floats(70, 3))}, "equation", "ij,jk,kl->il"))
	wantKernels(t, k.checkFloat(t), "f32 matmul")
}
