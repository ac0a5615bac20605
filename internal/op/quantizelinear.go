package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalQuantizeLinear is saturate(round(x/scale) + zero), half to even, with the division in
// the precision that the node asks for.
func evalQuantizeLinear(c *Call) ([]*tensor.Tensor, error) {
	x, scale, zero := c.In[0], c.In[1], c.Input(2)
	if err := checkZero(zero, scale); err != nil {
		return nil, err
	}
	g, err := granularityOf(c.Node, x.Shape, scale.Shape)
	if err != nil {
		return nil, err
	}
	to, err := quantizedType(c.Node, zero)
	if err != nil {
		return nil, err
	}
	q, err := quotients(c.Node, g, x, scale)
	if err != nil {
		return nil, err
	}
	z, err := zeros(zero, scale.Len())
	if err != nil {
		return nil, err
	}
	if to.IsFloat() {
		return one(castingOf(c.Node, to).store(q, x.Shape))
	}
	codes := make([]int64, len(q))
	lowest, highest := intRange(to)
	g.runs(func(lo, hi, k, step int) {
		for i := lo; i < hi; i++ {
			codes[i] = saturated(q[i], z[k], lowest, highest)
			k += step
		}
	})
	return one(fromInts(to, codes, x.Shape))
}

// quotients divides x by its scales, rounded to the precision that the node asks for.
func quotients(n *graph.Node, g granularity, x, scale *tensor.Tensor) ([]float64, error) {
	work, err := divisionType(n, x.DType, scale.DType)
	if err != nil {
		return nil, err
	}
	v, err := roundedTo(work, x, scale)
	if err != nil {
		return nil, err
	}
	q := make([]float64, len(v[0]))
	g.runs(func(lo, hi, k, step int) {
		for i := lo; i < hi; i++ {
			q[i] = v[0][i] / v[1][k]
			k += step
		}
	})
	return roundAll(work, q)
}

// saturated rounds v half to even, adds zero and clamps. NaN becomes the lowest code.
func saturated(v float64, zero, lo, hi int64) int64 {
	q := math.RoundToEven(v) + float64(zero)
	switch {
	case q >= float64(hi):
		return hi
	case q > float64(lo):
		return int64(q)
	}
	return lo
}

// quantizedType returns the element type of the codes: that of the zero point, else of
// attribute output_dtype, else uint8.
func quantizedType(n *graph.Node, zero *tensor.Tensor) (tensor.DType, error) {
	d, err := dtypeAttr(n, "output_dtype", tensor.Undefined)
	switch {
	case err != nil:
		return 0, err
	case zero != nil && d != tensor.Undefined && d != zero.DType:
		return 0, invalidf("output_dtype %s with a zero point of type %s", d, zero.DType)
	case zero != nil:
		return zero.DType, nil
	case d == tensor.Undefined:
		return tensor.Uint8, nil
	case d.Bits() == 0 || d.Bits() > 16:
		return 0, invalidf("output_dtype %s is no type for codes", d)
	}
	return d, nil
}

// divisionType returns the precision in which x is divided by its scale.
func divisionType(n *graph.Node, x, scale tensor.DType) (tensor.DType, error) {
	d, err := dtypeAttr(n, "precision", tensor.Undefined)
	if err != nil {
		return 0, err
	}
	for _, d := range []tensor.DType{d, scale, x} {
		if d.IsFloat() && d.Bits() >= 16 {
			return d, nil
		}
	}
	return tensor.Float32, nil
}

// roundedTo returns the elements of tensors, rounded to a floating-point type.
func roundedTo(d tensor.DType, list ...*tensor.Tensor) ([][]float64, error) {
	out, err := floatsOf(list...)
	if err != nil {
		return nil, err
	}
	for i, t := range list {
		if t.DType == d {
			continue
		}
		if out[i], err = roundAll(d, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// roundAll rounds numbers to a floating-point type.
func roundAll(d tensor.DType, x []float64) ([]float64, error) {
	if d == tensor.Float32 {
		for i, v := range x {
			x[i] = float64(float32(v))
		}
		return x, nil
	}
	t, err := fromFloats(d, x, []int{len(x)})
	if err != nil {
		return nil, err
	}
	return floats(t)
}

func inferQuantizeLinear(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	t.DType = c.Input(2).DType
	if !c.Has(2) {
		d, err := quantizedType(c.Node, nil)
		if err != nil {
			return nil, err
		}
		t.DType = d
	}
	return Typed(t), nil
}
