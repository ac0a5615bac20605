package op

import (
	"lowbit/internal/tensor"
)

// zip applies f to two operands that broadcast to shape.
func zip[A, B any](a, b []A, sa, sb, shape []int, f func(x, y A) B) []B {
	out := make([]B, tensor.Elements(shape))
	if len(out) == 0 {
		return out
	}
	rank := len(shape)
	if rank == 0 {
		out[0] = f(a[0], b[0])
		return out
	}
	outer, n := shape[:rank-1], shape[rank-1]
	ta, tb := broadcastStrides(sa, shape), broadcastStrides(sb, shape)
	da, db := ta[rank-1], tb[rank-1]
	eachIndex(outer, [][]int{ta[:rank-1], tb[:rank-1]}, func(i int, off []int) {
		p, q := off[0], off[1]
		row := out[i*n : (i+1)*n]
		for k := range row {
			row[k] = f(a[p], b[q])
			p, q = p+da, q+db
		}
	})
	return out
}

// zipShape returns the common shape of two operands whose result has element type d.
func zipShape(d tensor.DType, a, b *tensor.Tensor) ([]int, error) {
	shape, err := broadcastShape(a.Shape, b.Shape)
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
