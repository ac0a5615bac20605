package engine

import (
	"math"
	"testing"

	"lowbit/internal/tensor"
)

// TestCast converts between numbers of every kind that has kernels, also those that do not fit, and infinities.
func TestCast(t *testing.T) {
	for d, row := range castings {
		for to := range row {
			if d == to {
				continue
			}
			k := newMaker(3)
			x := tensor.New(d, 1, 70, 13)
			for i := range x.Raw {
				x.Raw[i] = byte(k.rng.IntN(256))
			}
			switch d {
			case tensor.Bool:
				for i := range x.Raw {
					x.Raw[i] &= 1
				}
			case tensor.Float32:
				spreadReals(k, tensor.Of[float32](x))
			case tensor.Float64:
				spreadReals(k, tensor.Of[float64](x))
			}
			k.output(k.node("Cast", []string{k.input(x)}, "to", int64(to)))
			t.Run(castText(d, to), func(t *testing.T) { wantKernels(t, k.checkExact(t), castText(d, to)) })
		}
	}
}

// spreadReals fills x with numbers around the ends of whole numbers, and in the second half with small ones.
func spreadReals[T realNumber](k *maker, x []T) {
	for i := range x {
		v := math.Ldexp(k.rng.NormFloat64(), k.rng.IntN(70)-4)
		if i > len(x)/2 {
			v = 300 * k.rng.NormFloat64()
		}
		x[i] = T(v)
	}
	for i, v := range []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 1 << 31, -1 << 31, 1 << 63, -1 << 63, 0.9, -0.9, 255.9, 1<<31 - 0.5} {
		x[i] = T(v)
	}
}

// TestNot takes any byte but 0 for true.
func TestNot(t *testing.T) {
	k := newMaker(3)
	x := tensor.New(tensor.Bool, 3, 70)
	for i := range x.Raw {
		x.Raw[i] = byte(k.rng.IntN(3))
	}
	k.output(k.node("Not", []string{k.input(x)}))
	wantKernels(t, k.checkExact(t), "Not")
}

// TestWholeArithmetic adds, subtracts and multiplies whole numbers that may overflow.
func TestWholeArithmetic(t *testing.T) {
	for _, op := range []string{"Add", "Sub", "Mul"} {
		for _, d := range []tensor.DType{tensor.Int32, tensor.Int64} {
			for _, shapes := range [][2][]int{{{2, 9, 5, 4}, {1, 9, 1, 1}}, {{4, 1}, {3, 1, 7}}, {{6, 5}, {6, 5}}, {{3}, {}}} {
				k := newMaker(4)
				in := func(shape []int) string {
					x := tensor.New(d, shape...)
					for i := range x.Raw {
						x.Raw[i] = byte(k.rng.IntN(256))
					}
					return k.input(x)
				}
				k.output(k.node(op, []string{in(shapes[0]), in(shapes[1])}))
				wantKernels(t, k.checkExact(t), d.String()+" "+op)
			}
		}
	}
}
