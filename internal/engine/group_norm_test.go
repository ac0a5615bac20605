package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestInstanceNorm normalises channels in either layout, in one block of pixels and in several, of few channels and of many.
func TestInstanceNorm(t *testing.T) {
	norm := func(k *maker, x string, c int) string {
		return k.node("InstanceNormalization", []string{x, k.constant(k.floats(c)), k.constant(k.floats(c))}, "epsilon", float32(1e-3))
	}
	const kernel = "f32 InstanceNormalization"
	runFloatCases(t, []floatCase{
		{"planes", func(k *maker) string { return norm(k, k.image(2, 5, 7, 9), 5) }, []string{kernel}},
		{"large planes", func(k *maker) string { return norm(k, k.image(2, 3, 131, 137), 3) }, []string{kernel}},
		{"rows", func(k *maker) string { return norm(k, k.input(k.floats(2, 5, 77)), 5) }, []string{kernel}},
		{"volumes", func(k *maker) string { return norm(k, k.input(k.floats(2, 5, 3, 7, 9)), 5) }, []string{kernel}},
		{"one pixel", func(k *maker) string { return norm(k, k.image(2, 70, 1, 1), 70) }, []string{kernel}},
		{"one channel", func(k *maker) string { return norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 1), 1) }, []string{kernel}},
		{"pixels", func(k *maker) string { return norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 21), 21) }, []string{"f32 sums of channels", kernel}},
		{"blocks of pixels", func(k *maker) string { return norm(k, k.conv3(k.image(2, 3, 61, 67), 3, 13), 13) }, []string{"f32 sums of channels", kernel}},
		{"wide pixels", func(k *maker) string { return norm(k, k.conv3(k.image(2, 3, 5, 7), 3, 700), 700) }, []string{"f32 sums of channels", kernel}},
		{"between convolutions", func(k *maker) string {
			return k.conv3(k.node("Relu", []string{norm(k, k.conv3(k.image(2, 9, 26, 27), 9, 40), 40)}), 40, 9)
		}, []string{"f32 sums of channels", kernel}},
		{"computed scale and bias", func(k *maker) string {
			scale, bias := k.node("Exp", []string{k.input(k.floats(21))}), k.node("Tanh", []string{k.input(k.floats(21))})
			return k.node("InstanceNormalization", []string{k.conv3(k.image(2, 9, 6, 7), 9, 21), scale, bias})
		}, []string{"f32 sums of channels", kernel}},
	})
}

// TestInstanceNormFarFromZero holds channels whose mean is large beside what they differ by.
func TestInstanceNormFarFromZero(t *testing.T) {
	for _, last := range []bool{false, true} {
		k := newMaker(2)
		x := k.image(2, 21, 34, 37)
		if last {
			x = k.conv3(x, 21, 21)
		}
		x = k.node("Add", []string{x, k.scalar(30)})
		k.output(k.node("InstanceNormalization", []string{x, k.constant(k.floats(21)), k.constant(k.floats(21))}))
		wantKernels(t, k.checkFloat(t), "f32 InstanceNormalization")
	}
}

// TestGroupNorm normalises groups in either layout, with scales of groups and of channels.
func TestGroupNorm(t *testing.T) {
	for _, version := range []int{18, 21} {
		for _, groups := range []int{1, 3, 12} {
			for _, c := range []struct {
				shape []int
				last  bool
			}{{[]int{2, 12, 7, 9}, false}, {[]int{2, 12, 7, 9}, true}, {[]int{1, 12, 131, 27}, false}, {[]int{1, 12, 131, 27}, true}, {[]int{2, 12, 33}, false}, {[]int{3, 12}, false}, {[]int{2, 12, 3, 4, 5}, false}} {
				t.Run(fmt.Sprint(version, groups, c.shape, c.last), func(t *testing.T) {
					k := newMaker(4)
					k.m.Opsets[0].Version = version
					x, factors := k.input(k.floats(c.shape...)), 12
					if version < 21 {
						factors = groups
					}
					if c.last {
						x = k.conv3(x, 12, 12)
					}
					k.output(k.node("GroupNormalization", []string{x, k.constant(k.floats(factors)), k.input(k.floats(factors))}, "num_groups", int64(groups)))
					wantKernels(t, k.checkFloat(t), "f32 GroupNormalization")
				})
			}
		}
	}
}

// TestMeanVariance normalises over pixels, channels and images, also numbers that are all the same.
func TestMeanVariance(t *testing.T) {
	for _, axes := range [][]int64{nil, {0, 2, 3}, {2, -1}, {1, 2, 3}, {0, 1, 2, 3}} {
		k := newMaker(5)
		same := tensor.New(tensor.Float32, 2, 3, 29, 31)
		for i := range tensor.Of[float32](same) {
			tensor.Of[float32](same)[i] = 0.1
		}
		for _, x := range []string{k.image(2, 5, 7, 9), k.conv3(k.image(2, 5, 6, 7), 5, 9), k.input(same)} {
			var attrs []any
			if axes != nil {
				attrs = []any{"axes", axes}
			}
			k.output(k.node("MeanVarianceNormalization", []string{x}, attrs...))
		}
		wantKernels(t, k.checkFloat(t), "f32 MeanVarianceNormalization")
	}
}
