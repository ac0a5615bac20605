package op

import (
	"bytes"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalCompress keeps the slices along axis (the elements of the flattened input without one)
// whose condition holds.
func evalCompress(c *Call) ([]*tensor.Tensor, error) {
	x, cond := c.In[0], c.In[1]
	axis := 0
	if !c.HasAttr("axis") {
		x = x.Reshape(x.Len())
	} else {
		var err error
		if axis, err = axisOf(c.Int("axis", 0), x.Rank()); err != nil {
			return nil, err
		}
	}
	if cond.Rank() != 1 || cond.Len() > x.Shape[axis] {
		return nil, invalidf("a condition of shape %v for dimension %d", cond.Shape, x.Shape[axis])
	}
	var keep []int64
	for i, v := range cond.Raw {
		if v != 0 {
			keep = append(keep, int64(i))
		}
	}
	return one(sliceAt(x, axis, keep))
}

func inferCompress(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !c.HasAttr("axis") {
		return Typed(graph.OfDims(x.DType, unknownDims(1))), nil
	}
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	axis, err := axisOf(c.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	dims[axis] = graph.Unknown
	return Typed(graph.OfDims(x.DType, dims)), nil
}

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
