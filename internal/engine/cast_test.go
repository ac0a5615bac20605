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
				for i := 60; i < 400; i++ { // below and above what floats of fewer bits reach
					tensor.Of[float64](x)[i] = math.Ldexp(float64(k.rng.IntN(1<<12)*2+1), k.rng.IntN(300)-150) + math.Ldexp(float64(k.rng.IntN(3)-1), -160)
				}
				tensor.Of[float64](x)[50] = math.Float64frombits(0xfffc123456789abc)
			case tensor.Int32, tensor.Uint32, tensor.Int64, tensor.Uint64:
				nearTies(k, d, x)
			}
			k.output(k.node("Cast", []string{k.input(x)}, "to", int64(to)))
			t.Run(castText(d, to), func(t *testing.T) { wantKernels(t, k.checkExact(t), castText(d, to)) })
		}
	}
}

// spreadReals fills x with numbers around the ends of whole numbers, and in the second half with small ones.
func spreadReals[T float32 | float64](k *maker, x []T) {
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

// nearTies fills a third of x with small numbers and another with those next to ties of floats of 8, 11 and 24 bits.
func nearTies(k *maker, d tensor.DType, x *tensor.Tensor) {
	size := d.Bits() / 8
	for i := range x.Len() {
		v := int64(k.rng.IntN(1<<17) - 1<<16)
		switch i % 3 {
		case 0:
			continue
		case 1:
			bits := []int{8, 11, 24}[k.rng.IntN(3)]
			v = (int64(k.rng.IntN(1<<bits))<<1|1)<<k.rng.IntN(38) + int64(k.rng.IntN(3)-1)
		}
		for b := range size {
			x.Raw[i*size+b] = byte(v >> (8 * b))
		}
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
