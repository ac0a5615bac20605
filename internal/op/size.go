package op

import (
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// maxBytes bounds a single result. Arguments that ask for more are refused before anything
// is allocated.
const maxBytes = 1 << 31

// sizeLimit is maxBytes but in tests.
var sizeLimit = maxBytes

// checkSize returns the number of elements of a result, and refuses a shape that is negative
// or needs more than sizeLimit bytes.
func checkSize(d tensor.DType, shape []int) (int, error) {
	for _, n := range shape {
		if n < 0 {
			return 0, invalidf("shape %v has a negative dimension", shape)
		}
	}
	n, err := tensor.CheckedElements(shape)
	if err != nil {
		return 0, fault.Limitf("", "%v", err)
	}
	bits := max(d.Bits(), 8) // smaller elements take a byte each while they are moved
	if d == tensor.String {
		bits = 128
	}
	if n > sizeLimit/16 && n > sizeLimit*8/bits {
		return 0, fault.Limitf("", "a result of shape %v and type %s is larger than %d bytes", shape, d, sizeLimit)
	}
	return n, nil
}

// newChecked is tensor.New behind checkSize.
func newChecked(d tensor.DType, shape ...int) (*tensor.Tensor, error) {
	if _, err := checkSize(d, shape); err != nil {
		return nil, err
	}
	return tensor.New(d, shape...), nil
}

// maxElements bounds what a result may hold whose size attributes alone decide, so that its
// float64 form stays within maxBytes.
const maxElements = maxBytes / 8

// sized is checkSize for a result that is computed as float64.
func sized(shape []int) (int, error) { return checkSize(tensor.Float64, shape) }

// unknownDims returns n dimensions of which nothing is known.
func unknownDims(n int) []graph.Dim {
	d := make([]graph.Dim, n)
	for i := range d {
		d[i] = graph.Unknown
	}
	return d
}
