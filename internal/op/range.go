package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalRange counts from start to limit, which is excluded, in steps of delta.
func evalRange(c *Call) ([]*tensor.Tensor, error) {
	d := c.In[0].DType
	if d.IsFloat() {
		return one(rangeFloats(c, d))
	}
	v := make([]int64, 3)
	for i := range v {
		var err error
		if v[i], err = c.intScalarOf(i); err != nil {
			return nil, err
		}
	}
	n, err := rangeCount(v[0], v[1], v[2], d)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = v[0] + int64(i)*v[2]
	}
	return one(fromInts(d, out, []int{n}))
}

func rangeFloats(c *Call, d tensor.DType) (*tensor.Tensor, error) {
	v := make([]float64, 3)
	for i := range v {
		var err error
		if v[i], err = c.scalarOf(i); err != nil {
			return nil, err
		}
	}
	n, err := rangeLen(v[0], v[1], v[2], d)
	if err != nil {
		return nil, err
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = v[0] + float64(i)*v[2]
	}
	return fromFloats(d, out, []int{n})
}

// rangeCount is rangeLen for integers, whose distance may need 64 bits without a sign.
func rangeCount(start, limit, delta int64, d tensor.DType) (int, error) {
	if delta == 0 {
		return 0, invalidf("delta is 0")
	}
	if (limit > start) != (delta > 0) || limit == start {
		return checkSize(d, []int{0})
	}
	way, step := uint64(limit)-uint64(start), uint64(delta)
	if delta < 0 {
		way, step = -way, -step
	}
	n := (way-1)/step + 1
	if n > uint64(maxBytes) {
		return 0, invalidf("from %d to %d by %d are too many numbers", start, limit, delta)
	}
	return checkSize(d, []int{int(n)})
}

// rangeLen returns max(0, ⌈(limit-start)/delta⌉).
func rangeLen(start, limit, delta float64, d tensor.DType) (int, error) {
	if delta == 0 {
		return 0, invalidf("delta is 0")
	}
	n := math.Ceil((limit - start) / delta)
	if n != n || n > float64(maxBytes) {
		return 0, invalidf("from %g to %g by %g are too many numbers", start, limit, delta)
	}
	return checkSize(d, []int{int(max(0, n))})
}

// inferRange finds the length of integers that count dimensions, as from the length of a past on.
func inferRange(c *Inference) ([]Fact, error) {
	d := c.Input(0).DType
	n := graph.Unknown
	var arg [3]graph.Dim
	known := d.IsInt()
	for i := range arg {
		e, ok := elemsOf(c.Input(i))
		if known = known && ok && len(e) == 1; known {
			arg[i] = e[0]
		}
	}
	if delta, ok := numberOf(arg[2]); known && ok {
		way := addDims(arg[1], arg[0], -1)
		if far, ok := numberOf(way); ok {
			if k, err := rangeCount(0, int64(far), int64(delta), d); err == nil {
				n = graph.Known(k)
			}
		} else if delta == 1 && (arg[0].Size == 0 || neverNegative(way)) {
			n = way
		}
	}
	return Typed(graph.OfDims(d, []graph.Dim{n})), nil
}
