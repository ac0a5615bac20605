package op

import (
	"lowbit/internal/tensor"
)

// zip applies f to two operands that broadcast to shape.
func zip[A, B any](a, b []A, sa, sb, shape []int, f func(x, y A) B) []B {
	out := make([]B, tensor.Elements(shape))
	eachPairRow(sa, sb, shape, func(at, n int, x, y walk) {
		row := out[at : at+n]
		p, q := x.from, y.from
		for k := range row {
			row[k] = f(a[p], b[q])
			p, q = p+x.step, q+y.step
		}
	})
	return out
}

// A walk is how the elements of an operand lie that one row of the result needs.
type walk struct{ from, step int }

// eachPairRow visits rows of shape, as long as both operands that broadcast to it can be walked
// with one step each: f gets the position and the length of a row and the operands' walks.
func eachPairRow(sa, sb, shape []int, f func(at, n int, x, y walk)) {
	if tensor.Elements(shape) == 0 {
		return
	}
	shape, steps := collapse(shape, broadcastStrides(sa, shape), broadcastStrides(sb, shape))
	last := len(shape) - 1
	if last < 0 {
		f(0, 1, walk{}, walk{})
		return
	}
	n := shape[last]
	eachIndex(shape[:last], [][]int{steps[0][:last], steps[1][:last]}, func(i int, off []int) {
		f(i*n, n, walk{off[0], steps[0][last]}, walk{off[1], steps[1][last]})
	})
}

// zipShape returns the common shape of two operands whose result has element type d.
func zipShape(d tensor.DType, a, b *tensor.Tensor) ([]int, error) {
	shape, err := BroadcastShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	_, err = checkSize(d, shape)
	return shape, err
}

// mapFloats applies f to every element of a floating-point tensor and rounds to its type.
func mapFloats(t *tensor.Tensor, f func(float64) float64) (*tensor.Tensor, error) {
	if t.DType == tensor.Float32 {
		out := tensor.New(t.DType, t.Shape...)
		y := tensor.Of[float32](out)
		for i, v := range tensor.Of[float32](t) {
			y[i] = float32(f(float64(v)))
		}
		return out, nil
	}
	x, err := floats(t)
	if err != nil {
		return nil, err
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return fromFloats(t.DType, y, t.Shape)
}

// mapInts applies f to every element of an integer tensor; high bits are dropped.
func mapInts(t *tensor.Tensor, f func(int64) int64) (*tensor.Tensor, error) {
	x, err := ints(t)
	if err != nil {
		return nil, err
	}
	y := make([]int64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return fromInts(t.DType, y, t.Shape)
}

// bools wraps truth values.
func bools(v []bool, shape []int) *tensor.Tensor { return tensor.Wrap(tensor.Bool, v, shape...) }
