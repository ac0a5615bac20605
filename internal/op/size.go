package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// maxElements bounds what a result may hold whose size attributes alone decide, so that its
// float64 form stays within maxBytes.
const maxElements = maxBytes / 8

// sized is checkSize for a result that is computed as float64.
func sized(shape []int) (int, error) { return checkSize(tensor.Float64, shape) }

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

// checkSizes refuses a list of sizes of another length, or with one below 1 or too large.
func checkSizes(name string, list []int, length int) error {
	if len(list) != length {
		return invalidf("%s %v, %d numbers are needed", name, list, length)
	}
	for _, n := range list {
		if n < 1 || n > maxElements {
			return invalidf("%s %v is out of range", name, list)
		}
	}
	return nil
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
