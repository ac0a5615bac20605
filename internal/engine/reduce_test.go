package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// reducedAxesCases are shapes with axes to reduce.
var reducedAxesCases = []struct {
	shape []int
	axes  []int64
}{
	{[]int{}, nil}, {[]int{7}, []int64{0}}, {[]int{5, 9}, []int64{0}}, {[]int{5, 9}, []int64{1}}, {[]int{3, 5, 7}, nil},
	{[]int{3, 70, 5}, []int64{1}}, {[]int{3, 700, 3}, []int64{-2}}, {[]int{9, 1500}, []int64{0}}, {[]int{2, 3, 2100}, []int64{1}}, {[]int{2, 3, 1024}, []int64{1}},
	{[]int{7, 9001}, []int64{0}}, {[]int{300, 5000}, []int64{0}}, {[]int{3, 37, 8}, []int64{1}},
	{[]int{2, 3, 4, 5}, []int64{2, 3}}, {[]int{2, 3, 4, 5}, []int64{1}}, {[]int{2, 3, 4, 5}, []int64{0}}, {[]int{2, 3, 4, 5}, []int64{0, 2}},
	{[]int{2, 3, 4, 5}, []int64{0, 3}}, {[]int{2, 3, 4, 5}, []int64{1, 3}}, {[]int{2, 3, 4, 5}, []int64{0, 1, 3}}, {[]int{2, 3, 4, 5, 6}, []int64{0, 2, 4}},
	{[]int{1, 3, 1, 5}, []int64{0, 2}},
}

func (k *maker) reduce(op, x string, axes []int64, keep int64) string {
	if len(axes) == 0 {
		return k.node(op, []string{x}, "keepdims", keep)
	}
	return k.node(op, []string{x, k.constant(tensor.Int64s(axes, len(axes)))}, "keepdims", keep)
}

// TestReduce reduces floats in either layout, over neighbouring axes and over others.
func TestReduce(t *testing.T) {
	for _, op := range slices.Sorted(maps.Keys(reductions)) {
		for i, c := range reducedAxesCases {
			t.Run(op+fmt.Sprint(c.shape, c.axes), func(t *testing.T) {
				k := newMaker(uint64(i))
				k.m.Opsets[0].Version = 18
				x := k.floats(c.shape...)
				if op == "ReduceLogSum" || op == "ReduceProd" {
					x = k.positive(c.shape...)
				}
				k.output(k.reduce(op, k.input(x), c.axes, 0), k.reduce(op, k.constant(x), c.axes, 1))
				if len(c.shape) == 4 && op != "ReduceLogSum" {
					y := k.conv3(k.input(k.floats(c.shape...)), c.shape[1], 6)
					k.output(k.reduce(op, y, c.axes, 0), k.reduce(op, y, c.axes, 1))
				}
				wantKernels(t, k.checkFloat(t), "f32 "+op)
			})
		}
	}
}

// TestReduceWhole reduces integers, also where sums and products wrap and float64 does not hold the sum.
func TestReduceWhole(t *testing.T) {
	for _, op := range []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"} {
		for i, c := range reducedAxesCases {
			t.Run(op+fmt.Sprint(c.shape, c.axes), func(t *testing.T) {
				k := newMaker(uint64(i))
				k.m.Opsets[0].Version = 18
				long := tensor.New(tensor.Int64, c.shape...)
				for i := range tensor.Of[int64](long) {
					tensor.Of[int64](long)[i] = int64(k.rng.Uint64())
				}
				for _, x := range []*tensor.Tensor{k.codes(tensor.Int32, -9, 9, c.shape...), k.codes(tensor.Int32, math.MinInt32, math.MaxInt32, c.shape...), long} {
					k.output(k.reduce(op, k.input(x), c.axes, 0))
				}
				steps := k.checkExact(t)
				if op == "ReduceMean" && len(reduceStages(rowMajor, c.shape, goneAxes(c.shape, c.axes))) > 1 {
					return
				}
				wantKernels(t, steps, "int32 "+op, "int64 "+op)
			})
		}
	}
}

func goneAxes(shape []int, axes []int64) []bool {
	gone := make([]bool, len(shape))
	for i := range gone {
		gone[i] = len(axes) == 0 || slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-len(shape)))
	}
	return gone
}

// TestReduceExtremes reduces bytes, infinities, and means at the ends of their type.
func TestReduceExtremes(t *testing.T) {
	k := newMaker(1)
	k.m.Opsets[0].Version = 18
	for _, axis := range []int64{0, 1} {
		for _, d := range []tensor.DType{tensor.Int8, tensor.Uint8} {
			x := k.input(k.codes(d, 0, 255, 9, 11))
			k.output(k.reduce("ReduceMax", x, []int64{axis}, 0), k.reduce("ReduceMin", x, []int64{axis}, 0))
		}
		most := k.input(tensor.Int64s([]int64{math.MaxInt64, math.MaxInt64, math.MinInt64, math.MinInt64, 1<<53 + 1, 1 << 53, 3, -4, 5}, 3, 3))
		k.output(k.reduce("ReduceMean", most, []int64{axis}, 0))
	}
	wantKernels(t, k.checkExact(t), "int8 ReduceMax", "uint8 ReduceMin", "int64 ReduceMean")

	k = newMaker(2)
	k.m.Opsets[0].Version = 18
	up := float32(math.Inf(1))
	for _, axis := range []int64{0, 1} {
		x := k.input(tensor.Float32s([]float32{-up, -up, -up, 1, 2, -up, up, 3, -up}, 3, 3))
		k.output(k.reduce("ReduceLogSumExp", x, []int64{axis}, 0), k.reduce("ReduceProd", x, []int64{axis}, 0))
	}
	wantKernels(t, k.checkFloat(t), "f32 ReduceLogSumExp")
}
