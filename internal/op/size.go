package op

import (
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// maxElements bounds what a result may hold whose size attributes alone decide: 2 GiB of float64.
const maxElements = 1 << 28

// sized returns the number of elements of a result's shape, or an error where it is negative
// somewhere or larger than the evaluation may allocate.
func sized(shape []int) (int, error) {
	n, err := tensor.CheckedElements(shape)
	if err != nil {
		return 0, invalidf("%v", err)
	}
	if n > maxElements {
		return 0, fault.Limitf("", "result of shape %v is too large", shape)
	}
	return n, nil
}

// wantRank refuses a tensor with fewer than least dimensions.
func wantRank(what string, shape []int, least int) error {
	if len(shape) < least {
		return invalidf("%s of shape %v, at least %d dimensions are needed", what, shape, least)
	}
	return nil
}

// wantShape refuses a tensor whose shape is not the expected one.
func wantShape(what string, t *tensor.Tensor, shape ...int) error {
	if t == nil {
		return nil
	}
	if len(t.Shape) == len(shape) {
		same := true
		for i, d := range shape {
			same = same && t.Shape[i] == d
		}
		if same {
			return nil
		}
	}
	return invalidf("%s of shape %v, %v is needed", what, t.Shape, shape)
}

// product multiplies dimensions that are known to be small enough.
func product(dims []int) int { return tensor.Elements(dims) }

// unknownDims returns n dimensions of which nothing is known.
func unknownDims(n int) []graph.Dim {
	d := make([]graph.Dim, n)
	for i := range d {
		d[i] = graph.Unknown
	}
	return d
}
