package engine

import (
	"fmt"
	"math"
	"testing"

	"lowbit/internal/tensor"
)

// contested returns numbers of few values, so that many are equal, with zeros of both signs and what is no number among floats.
func (k *maker) contested(d tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	odd := []float32{float32(math.NaN()), -float32(math.NaN()), 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1))}
	spread := []int{3, 10, 1 << 20}[k.rng.IntN(3)]
	some := k.rng.IntN(3) * 20
	for i := range t.Len() {
		v := k.rng.IntN(2*spread) - spread
		switch d {
		case tensor.Float32:
			x := float32(v) / 3
			if some > 0 && k.rng.IntN(some) == 0 {
				x = odd[k.rng.IntN(len(odd))]
			}
			tensor.Of[float32](t)[i] = x
		case tensor.Int64:
			tensor.Of[int64](t)[i] = int64(v) << 30
		case tensor.Int32:
			tensor.Of[int32](t)[i] = int32(v) << 11
		default:
			t.Raw[i] = byte(v)
		}
	}
	return t
}

// TestArg finds the first and the last of the largest and of the smallest along every axis.
func TestArg(t *testing.T) {
	for _, op := range []string{"ArgMax", "ArgMin"} {
		for i, shape := range [][]int{{7}, {5, 1}, {2, 9, 5, 3}, {3, 2, 300}, {1, 21, 30, 40}} {
			for axis := -1; axis < len(shape); axis++ {
				for _, d := range []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int32, tensor.Uint8, tensor.Int8} {
					k := newMaker(uint64(i + 10*axis))
					for bits := range int64(4) {
						x := k.input(k.contested(d, shape...))
						k.output(k.node(op, []string{x}, "axis", int64(axis), "select_last_index", bits&1, "keepdims", bits>>1))
					}
					wantKernels(t, k.checkExact(t), d.String()+" "+op)
				}
			}
		}
	}
}

// TestArgOfChannels finds the largest channel of what a convolution makes, without turning it around.
func TestArgOfChannels(t *testing.T) {
	k := newMaker(2)
	x := k.conv3(k.image(2, 8, 9, 7), 8, 21)
	for _, axis := range []int64{0, 1, 2, 3} {
		for _, keep := range []int64{0, 1} {
			k.output(k.node("ArgMax", []string{x}, "axis", axis, "keepdims", keep))
		}
	}
	wantKernels(t, k.checkExact(t), "float ArgMax")
}

// TestHardmax marks the first of the largest numbers, between others that are none.
func TestHardmax(t *testing.T) {
	for i, shape := range [][]int{{7}, {4, 33}, {5, 2, 300}} {
		for _, opset := range []int{11, 13} {
			for round := range 4 {
				k := newMaker(uint64(i + 10*round))
				k.m.Opsets[0].Version = opset
				k.output(k.node("Hardmax", []string{k.input(k.contested(tensor.Float32, shape...))}, "axis", int64(len(shape)-1)))
				wantKernels(t, k.checkExact(t), "f32 Hardmax")
			}
		}
	}
}

// TestTopK ranks few and many of few and many, of which many are equal, along every axis.
func TestTopK(t *testing.T) {
	for i, shape := range [][]int{{9}, {3, 200}, {2, 40, 5}, {1, 3000}} {
		for axis, n := range shape {
			for _, top := range []int{1, 5, 16, 17, n / 3, n - 1, n} {
				if top > n || top < 1 {
					continue
				}
				t.Run(fmt.Sprint(shape, axis, top), func(t *testing.T) {
					for j, d := range []tensor.DType{tensor.Float32, tensor.Int32, tensor.Uint8, tensor.Int8} {
						k := newMaker(uint64(i + 10*j))
						for largest := range int64(2) {
							n := k.node("TopK", []string{k.input(k.contested(d, shape...)), k.constant(tensor.Vector(int64(top)))}, "axis", int64(axis), "largest", largest)
							where := k.name()
							last := k.m.Graph.Nodes[len(k.m.Graph.Nodes)-1]
							last.Out = append(last.Out, where)
							k.output(where)
							if largest == 0 || i == 0 {
								k.output(n)
							}
						}
						wantKernels(t, k.checkExact(t), d.String()+" TopK")
					}
				})
			}
		}
	}
}
