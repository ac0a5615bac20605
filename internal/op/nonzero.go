package op

import (
	"bytes"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalNonZero lists the coordinates (rank,n) of the nonzero elements in row-major order.
func evalNonZero(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	zero, err := isZero(x)
	if err != nil {
		return nil, err
	}
	var at []int
	for i := range x.Len() {
		if !zero(i) {
			at = append(at, i)
		}
	}
	out, err := newChecked(tensor.Int64, x.Rank(), len(at))
	if err != nil {
		return nil, err
	}
	v := tensor.Of[int64](out)
	own := strides(x.Shape)
	for k, d := range x.Shape {
		for i, p := range at {
			v[k*len(at)+i] = int64(p / own[k] % d)
		}
	}
	return []*tensor.Tensor{out}, nil
}

// isZero returns a test of single elements; the empty string counts as zero.
func isZero(t *tensor.Tensor) (func(i int) bool, error) {
	if t.DType == tensor.String {
		return func(i int) bool { return t.Str[i] == "" }, nil
	}
	if t.DType.Class() == tensor.ClassComplex {
		size := t.DType.Bits() / 8
		zeros := make([]byte, size)
		return func(i int) bool { return bytes.Equal(t.Raw[i*size:(i+1)*size], zeros) }, nil
	}
	x, err := floats(t)
	if err != nil {
		return nil, err
	}
	return func(i int) bool { return x[i] == 0 }, nil
}

func inferNonZero(c *Inference) ([]Fact, error) {
	dims := unknownDims(2)
	if x := c.Input(0); x.Ranked {
		dims[0] = graph.Known(len(x.Shape))
	}
	return Typed(graph.OfDims(tensor.Int64, dims)), nil
}
