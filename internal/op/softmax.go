package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// softmaxAxes returns the extents (outer, n, inner) in front of, along and behind the axis of
// Softmax, LogSoftmax and Hardmax. Before opset 13 the axis, 1 unless given, starts a range
// to the end that is seen as one axis.
func softmaxAxes(n *graph.Node, opset int, shape []int) (outer, size, inner int, err error) {
	def := -1
	if opset < 13 {
		def = 1
	}
	rank := len(shape)
	axis := n.Int("axis", def)
	if opset < 13 && axis == rank { // an empty range
		return tensor.Elements(shape), 1, 1, nil
	}
	if rank == 0 && (axis == 0 || axis == -1 || !n.Has("axis")) {
		return 1, 1, 1, nil
	}
	if axis, err = axisOf(axis, rank); err != nil {
		return 0, 0, 0, err
	}
	outer = tensor.Elements(shape[:axis])
	if opset < 13 {
		return outer, tensor.Elements(shape[axis:]), 1, nil
	}
	return outer, shape[axis], tensor.Elements(shape[axis+1:]), nil
}

// alongAxis returns the Eval of an operator that rewrites every row along an axis in place.
func alongAxis(f func(row []float64)) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x := c.In[0]
		outer, n, inner, err := softmaxAxes(c.Node, c.Opset, x.Shape)
		if err != nil {
			return nil, err
		}
		v, err := floats(x)
		if err != nil {
			return nil, err
		}
		out := make([]float64, len(v))
		eachRow(v, out, outer, n, inner, f)
		return one(fromFloats(x.DType, out, x.Shape))
	}
}

// eachRow copies every row of v along the middle of (outer,n,inner), lets f rewrite it, and
// stores it in out.
func eachRow[T any](v, out []T, outer, n, inner int, f func(row []T)) {
	if len(v) == 0 {
		return
	}
	row := make([]T, n)
	for o := range outer {
		for i := range inner {
			at := o*n*inner + i
			for k := range row {
				row[k] = v[at+k*inner]
			}
			f(row)
			for k, y := range row {
				out[at+k*inner] = y
			}
		}
	}
}

func softmaxRow(row []float64) {
	sum := 0.0
	top := maxOf(row)
	for i, v := range row {
		row[i] = math.Exp(v - top)
		sum += row[i]
	}
	for i := range row {
		row[i] /= sum
	}
}

func logSoftmaxRow(row []float64) {
	lse := logSumExp(row)
	for i := range row {
		row[i] -= lse
	}
}

// hardmaxRow makes the first largest element 1 and the others 0.
func hardmaxRow(row []float64) {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	clear(row)
	row[best] = 1
}

// inferSoftmax checks the axis where the rank is known.
func inferSoftmax(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	if t.Ranked {
		if _, _, _, err := softmaxAxes(c.Node, c.Opset, make([]int, len(t.Shape))); err != nil {
			return nil, err
		}
	}
	return Typed(t), nil
}
